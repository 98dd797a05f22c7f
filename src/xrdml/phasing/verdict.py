"""Solved or not: what the measured data and the symmetry say of an attempt.

Thresholds were read off 4-start attempts on simulated molecular crystals that were used for no training
(9–22 non-H atoms, 1.2 to 2.0 Å, 3 % noise), with the truth at hand: docs/phasing.md has the numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MIN_AGREEMENT = 0.5
MAX_R1 = 0.25


@dataclass(frozen=True)
class Evidence:
    """What is known of an attempt without knowing the answer.

    Attributes
    ----------
    agreement
        Correlation of the map with its symmetry mates: the iteration runs in P1 and knows of none.
    has_symmetry
        There are operations to agree with, beside lattice centring.
    r1, r1_free
        R1 of the refined atoms over the reflections they were refined with, and over those which
        were left out of everything.
    n_reflections, n_atoms
        Measured reflections that r1 is over, and atoms of four parameters each.
    d_limit
        Resolution of the data, Å.
    """

    agreement: float
    has_symmetry: bool
    r1: float
    r1_free: float
    n_reflections: int
    n_atoms: int
    d_limit: float


def corrected_r1(r1: float, n_reflections: int, n_atoms: int) -> float:
    """R1 · √(n / (n − p)): what R1 would be if the p parameters had fitted no noise; ∞ where n ≤ p."""
    freedom = n_reflections - 4 * n_atoms - 1
    return r1 * math.sqrt(n_reflections / freedom) if freedom > 0 else math.inf


def is_promising(agreement: float, has_symmetry: bool) -> bool:
    """Whether atoms are worth building from a map."""
    return agreement > MIN_AGREEMENT or not has_symmetry


def is_solved(evidence: Evidence) -> bool:
    """The verdict."""
    return (
        is_promising(evidence.agreement, evidence.has_symmetry)
        and corrected_r1(evidence.r1, evidence.n_reflections, evidence.n_atoms) < MAX_R1
    )
