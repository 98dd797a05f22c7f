"""Patterson maps of what was measured, of what is true, and of what was predicted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.cell import Cell, metric, volume
from xrdml.crystal.expand import expand_to_p1, fft_shape, to_fft_grid
from xrdml.crystal.symmetry import Hkl, Symmetry

Array = NDArray[np.float64]

SPACING = 0.25
"""Å between grid points: a third of the resolution of the sharpest map."""
ORIGIN = 1.0
"""Å around the origin that correlations leave out: its peak is in every Patterson map."""


@dataclass(frozen=True)
class PattersonMap:
    """P(u) = 1/V Σ |F|² cos 2πh·u without F(000), on the grid of a cell.

    Attributes
    ----------
    cell
        a, b, c in Å; α, β, γ in degrees.
    density
        (X, Y, Z).
    """

    cell: Cell
    density: Array

    def section(self, v: float) -> Array:
        """The grid plane nearest to y = v, (X, Z)."""
        n = self.density.shape[1]
        return self.density[:, round(v * n) % n]

    def correlation(self, other: PattersonMap) -> float:
        """Pearson correlation outside of `ORIGIN` Å about the lattice points."""
        return float(np.corrcoef(self.away_from_origin(), other.away_from_origin())[0, 1])

    def away_from_origin(self) -> Array:
        """Values more than `ORIGIN` Å from the lattice points, (n,)."""
        return self.density[_distance_from_origin(self.cell, self.density.shape) > ORIGIN]


def patterson(hkl: Hkl, f: Array, cell: Cell, symmetry: Symmetry) -> PattersonMap:
    """The map of Laue-unique reflections without absences, (n, 3), and their |F| (or |E|), (n,)."""
    shape = fft_shape(cell, SPACING)
    sphere = expand_to_p1(hkl, symmetry)
    coefficients = to_fft_grid(shape, sphere.hkl, (np.asarray(f, np.float64) ** 2)[sphere.source])
    return PattersonMap(cell, np.fft.fftn(coefficients).real / volume(cell))


def _distance_from_origin(cell: Cell, shape: tuple[int, ...]) -> Array:
    """From every grid point to the nearest lattice point, Å; right for cells that are not very oblique."""
    axes = [np.fft.fftfreq(n) for n in shape]
    x = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    return np.sqrt(np.einsum("...i,ij,...j->...", x, metric(cell), x))
