"""What is asked of a model: the measured reflections of one crystal and the list of missing ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.cell import Cell, d_spacing
from xrdml.crystal.reflections import Reflections
from xrdml.crystal.symmetry import Hkl, Symmetry
from xrdml.errors import UserError

MIN_MEASURED = 30
"""Fewer unique reflections than this fix neither a scale nor a fall-off."""


@dataclass(frozen=True)
class FillProblem:
    """One crystal to be filled.

    Attributes
    ----------
    cell, symmetry
        The crystal.
    measured
        Laue-unique reflections without systematic absences, intensities on the file's scale.
    missing
        All other Laue-unique reflections with d ≥ d_min, without systematic absences, (p, 3).
    d_limit
        Resolution that the measured reflections reach, Å.
    d_min
        Resolution to fill to, Å.
    contents
        Atoms in the cell, {symbol: count}, or None where no file said.
    """

    cell: Cell
    symmetry: Symmetry
    measured: Reflections
    missing: Hkl
    d_limit: float
    d_min: float
    contents: dict[str, float] | None = None

    @property
    def f_obs(self) -> NDArray[np.float64]:
        """|F| = √I of the measured reflections, (m,); 0 where noise made I negative."""
        return np.sqrt(np.maximum(self.measured.intensity, 0))


@dataclass(frozen=True)
class Prediction:
    """Amplitudes of the missing reflections.

    Attributes
    ----------
    f, sigma_f
        |F| and standard deviations, both (p,), on the file's scale.
    details
        What the model wants a report to say; anything JSON holds.
    """

    f: NDArray[np.float64]
    sigma_f: NDArray[np.float64]
    details: dict[str, Any] = field(default_factory=dict)


class Predictor(Protocol):
    """Anything that fills crystals: a baseline or a network."""

    name: str

    def predict(self, problems: Sequence[FillProblem]) -> list[Prediction]:
        """One prediction a problem."""


def make_problem(
    reflections: Reflections,
    cell: Cell,
    symmetry: Symmetry,
    *,
    d_min: float = 0.8,
    cut: float | None = None,
    contents: dict[str, float] | None = None,
) -> FillProblem:
    """State the problem for merged (Laue-unique) reflections.

    Parameters
    ----------
    reflections
        Laue-unique; systematic absences among them are left out.
    d_min
        Resolution to fill to, Å.
    cut
        Ignore what was measured at d < cut, Å.

    Raises
    ------
    UserError
        Fewer than `MIN_MEASURED` reflections, or no positive intensity, are left.
    """
    d = d_spacing(cell, reflections.hkl)
    keep = ~symmetry.is_absent(reflections.hkl)
    if cut is not None:
        keep &= d >= cut
    measured = Reflections(reflections.hkl[keep], reflections.intensity[keep], reflections.sigma[keep])
    beyond = "" if cut is None else f" at d ≥ {cut:g} Å"
    if len(measured.hkl) < MIN_MEASURED:
        raise UserError(
            f"only {len(measured.hkl)} unique reflections{beyond} (at least {MIN_MEASURED} are needed); "
            "check the cell and the space group, or cut less"
        )
    if not (measured.intensity > 0).any():
        raise UserError(f"no reflection{beyond} has a positive intensity; is the file HKLF 4 (F² and σ)?")
    unique = symmetry.unique_reflections(cell, d_min)
    missing = unique[~_is_in(unique, measured.hkl)]
    return FillProblem(cell, symmetry, measured, missing, float(d[keep].min()), d_min, contents)


def _is_in(hkl: Hkl, others: Hkl) -> NDArray[np.bool_]:
    """Which rows of `hkl` stand in `others`, (n,)."""
    both = np.concatenate([hkl, others]).astype(np.int64)
    base = np.abs(both).max(initial=0) + 1
    key = ((both[:, 0] + base) * (2 * base) + both[:, 1] + base) * (2 * base) + both[:, 2] + base
    return np.isin(key[: len(hkl)], key[len(hkl) :])
