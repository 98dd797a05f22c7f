"""Solved or not: what the measured data and the symmetry say of an attempt.

Thresholds were read off right and wrong candidates of simulated molecular crystals that were used for
nothing else, by `benchmarks/verdict.py`: docs/phasing.md has the numbers by resolution and size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MIN_AGREEMENT = 0.5
MAX_R, MAX_R_ALONE = 0.6, 0.55
"""Of `Evidence.r`, corrected for the parameters: between the right candidates and the wrong ones of the
calibration; and where there is no agreement to look at as well."""


@dataclass(frozen=True)
class Evidence:
    """What is known of an attempt without knowing the answer.

    Attributes
    ----------
    agreement
        Correlation of the map with its symmetry mates, of which the iteration knew nothing.
    has_symmetry
        There are operations to agree with, beside lattice centring, and they were not imposed.
    r1, r1_free
        R1 of the refined atoms over the reflections they were refined with, and over those which
        were left out of everything.
    n_reflections, n_free, n_atoms
        Measured reflections that r1 and r1_free are over, and atoms of four parameters each.
    d_limit
        Resolution of the data, Å.
    """

    agreement: float
    has_symmetry: bool
    r1: float
    r1_free: float
    n_reflections: int
    n_free: int
    n_atoms: int
    d_limit: float

    @property
    def r(self) -> float:
        """R1 + R1_free, the latter higher the fewer reflections it is over: chance may have made it low."""
        return self.r1 + self.r1_free * (1 + 1 / math.sqrt(max(self.n_free, 1)))

    @property
    def merit(self) -> float:
        """Lower for better attempts: r less a quarter of the agreement."""
        r = self.r
        return math.inf if math.isnan(r) else r - (0.25 * self.agreement if self.has_symmetry else 0.0)


def agreement_text(agreement: float | None) -> str:
    """For people: a dash where it says nothing."""
    return "agreement " + ("–" if agreement is None else f"{agreement:.2f}")


def corrected(r: float, n_reflections: int, n_atoms: int) -> float:
    """R · √(n / (n − p)): what R would be if the p parameters had fitted no noise; ∞ where n ≤ p."""
    freedom = n_reflections - 4 * n_atoms - 1
    return r * math.sqrt(n_reflections / freedom) if freedom > 0 else math.inf


def reasons(evidence: Evidence) -> dict[str, float | None]:
    """What the verdict rests on, beside the limits, for reports.

    `agreement` is None where the group has no symmetry to agree with, or it was imposed; `r` is ∞ where
    there are no more reflections than parameters.
    """
    e = evidence
    return {
        "agreement": e.agreement if e.has_symmetry else None,
        "agreement_above": MIN_AGREEMENT,
        "r": corrected(e.r, e.n_reflections, e.n_atoms),
        "r_below": MAX_R if e.has_symmetry else MAX_R_ALONE,
        "n_reflections": e.n_reflections,
        "n_free": e.n_free,
        "n_parameters": 4 * e.n_atoms + 1,
    }


def is_solved(evidence: Evidence) -> bool:
    """The verdict."""
    if evidence.has_symmetry and evidence.agreement <= MIN_AGREEMENT:
        return False
    below = MAX_R if evidence.has_symmetry else MAX_R_ALONE
    return corrected(evidence.r, evidence.n_reflections, evidence.n_atoms) < below
