"""Solved or not: what the measured data and the symmetry say of an attempt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Evidence:
    """What is known of an attempt without knowing the answer.

    Attributes
    ----------
    r_known
        R between measured and drawn |F| over the reflections that the iteration used.
    r_free
        The same over reflections left out.
    agreement
        Correlation of the map with its symmetry mates: the iteration runs in P1 and knows of none.
    d_limit
        Resolution of the data, Å.
    is_p1
        There is no symmetry to agree with.
    """

    r_known: float
    r_free: float
    agreement: float
    d_limit: float
    is_p1: bool


def is_solved(evidence: Evidence) -> bool:
    """The verdict; thresholds from crystals that are used nowhere else (docs/phasing.md)."""
    if evidence.is_p1:
        return evidence.r_known < 0.15
    return evidence.agreement > 0.7 and evidence.r_known < 0.25
