"""Random unit cells of a given volume for any lattice."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.cell import Cell
from xrdml.crystal.grid import HklGrid
from xrdml.crystal.symmetry import Symmetry

Array = NDArray[np.float64]

SHORTEST_AXIS = 3.8
"""Å: the thickness of a flat molecule (SCIENCE §5)."""

# Spread of ln(axis) before the three are scaled to the volume, which leaves √(2/3) of it: 0.36,
# that of ln(axis / V^(1/3)) in 138 published monoclinic crystals.
AXIS_SPREAD = 0.44
ANGLES = (90.0, 120.0)
# V / abc: flatter cells are never chosen to describe a lattice.
FLATTEST = 0.5
_BATCH = 8
_BATCHES = 256


@cache
def _point_group(group: Symmetry) -> Array:
    return np.unique(group.rotations, axis=0).astype(np.float64)


@cache
def longest_axes(group: Symmetry, grid: HklGrid, d_min: float) -> Array:
    """Axis lengths in Å, shape (3,), below which |h| ≤ a/d_min and so on lie in the grid."""
    # With unit axes and d_min = 1 the smallest grid shows which indices can be negative.
    negative = np.array(HklGrid.for_crystal((1, 1, 1, 90, 90, 90), group, 1.0).lower) < 0
    bound = np.where(negative, np.minimum(grid.upper, -np.array(grid.lower)), grid.upper)
    return d_min * (bound + 1)


def random_shapes(rng: np.random.Generator, group: Symmetry, n: int) -> tuple[Array, Array]:
    """Cells of unit volume: axes (m, 3) and angles (m, 3) in degrees, m ≤ n.

    A log-normal metric is averaged over the point group, which makes it a lattice of the group in
    its own setting: axes become equal, angles 90 or 120°, only where the symmetry says so.
    """
    lengths = np.exp(rng.normal(0, AXIS_SPREAD, (n, 3)))
    cosines = np.cos(np.radians(rng.uniform(*ANGLES, (n, 3))))
    metric = lengths[:, :, None] * lengths[:, None, :]
    for (i, j), cosine in zip(((1, 2), (0, 2), (0, 1)), cosines.T, strict=True):
        metric[:, i, j] *= cosine
        metric[:, j, i] *= cosine
    rotations = _point_group(group)
    metric = (rotations.transpose(0, 2, 1) @ metric[:, None] @ rotations).mean(1)
    axes = np.sqrt(np.einsum("nii->ni", metric))
    determinant = np.linalg.det(metric)
    good = determinant > (FLATTEST * axes.prod(1)) ** 2
    metric, axes = metric[good], axes[good]
    cosine = np.stack([metric[:, i, j] / (axes[:, i] * axes[:, j]) for i, j in ((1, 2), (0, 2), (0, 1))], 1)
    return axes * determinant[good, None] ** (-1 / 6), np.degrees(np.arccos(cosine))


def random_cell(
    rng: np.random.Generator, group: Symmetry, volume: float, grid: HklGrid | None, d_min: float
) -> Cell | None:
    """A cell of this volume (Å³) whose axes are no shorter than 3.8 Å and fit the grid.

    Returns
    -------
    Six constants rounded to 10⁻⁴ Å and 10⁻³°, or None where 2048 shapes would not do.
    """
    longest = np.full(3, np.inf) if grid is None else longest_axes(group, grid, d_min)
    side = volume ** (1 / 3)
    for _ in range(_BATCHES):
        shapes, angles = random_shapes(rng, group, _BATCH)
        axes = shapes * side
        good = ((axes >= SHORTEST_AXIS) & (axes < longest - 1e-3)).all(1)
        if good.any():
            first = int(np.argmax(good))
            a, b, c = axes[first].round(4).tolist()
            alpha, beta, gamma = angles[first].round(3).tolist()
            return (a, b, c, alpha, beta, gamma)
    return None
