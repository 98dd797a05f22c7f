"""From a map with the symmetry of its group to atoms."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrdml.crystal.cell import Cell, metric
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Symmetry
from xrdml.crystal.wilson import VOLUME_PER_NON_H_ATOM

MIN_DISTANCE = 0.9
"""Å; two peaks nearer than this are one atom (a short C≡N bond is 1.14 Å)."""

START_U = 0.04


@dataclass(frozen=True)
class Peaks:
    """Unique maxima, highest first: fractional coordinates (n, 3) and heights (n,)."""

    frac: NDArray[np.float64]
    height: NDArray[np.float64]


def fine_density(f: Tensor, factor: int = 2) -> Tensor:
    """The map of F on a grid `factor` times finer, (X, Y, Z) complex → real."""
    shape = [factor * n for n in f.shape]
    padded = torch.zeros(shape, dtype=f.dtype, device=f.device)
    index = [torch.fft.fftfreq(n, 1 / n).round().long() % m for n, m in zip(f.shape, shape, strict=True)]
    padded[index[0][:, None, None], index[1][None, :, None], index[2][None, None, :]] = f
    return torch.fft.fftn(padded, dim=(-3, -2, -1)).real


def find_peaks(f: Tensor, cell: Cell, symmetry: Symmetry, n: int) -> Peaks:
    """The n highest maxima that are not equivalents of higher ones.

    A maximum is placed by a parabola through its neighbours along each axis. Maxima within
    `MIN_DISTANCE` of their own symmetry image are moved onto the symmetry element.

    Parameters
    ----------
    f
        Structure factors with the symmetry of the group, FFT order, (X, Y, Z).
    """
    rho = fine_density(f)
    neighbours = torch.nn.functional.max_pool3d(
        torch.nn.functional.pad(rho[None, None], (1,) * 6, mode="circular"), 3, stride=1
    )[0, 0]
    maxima = torch.nonzero((rho == neighbours) & (rho > 0))
    heights = rho[tuple(maxima.T)]
    order = heights.argsort(descending=True)[: 8 * n * symmetry.order]
    array, shape = rho.numpy(), np.array(rho.shape)
    g = metric(cell)
    kept: list[NDArray[np.float64]] = []
    values: list[float] = []
    images: list[NDArray[np.float64]] = []
    for point, height in zip(maxima[order].tolist(), heights[order].tolist(), strict=True):
        x = (np.array(point) + _parabola(array, point)) / shape
        if images:
            delta = np.concatenate(images) - x
            delta -= np.round(delta)
            if (np.einsum("ni,ij,nj->n", delta, g, delta) < MIN_DISTANCE**2).any():
                continue
        x = _onto_symmetry(x, symmetry, g)
        kept.append(x)
        values.append(height)
        images.append(symmetry.rotations @ x + symmetry.translations)
        if len(kept) == n:
            break
    return Peaks(np.array(kept).reshape(-1, 3), np.array(values))


def _parabola(rho: NDArray, point: list[int]) -> NDArray[np.float64]:
    """Offset of the maximum from a grid point in grid steps, at most half a step along each axis."""
    out = np.zeros(3)
    for axis in range(3):
        index = list(point)
        low, mid, high = (
            rho[(*index[:axis], (point[axis] + d) % rho.shape[axis], *index[axis + 1 :])] for d in (-1, 0, 1)
        )
        curvature = low - 2 * mid + high
        if curvature < 0:
            out[axis] = np.clip(0.5 * (low - high) / curvature, -0.5, 0.5)
    return out


def _onto_symmetry(x: NDArray[np.float64], symmetry: Symmetry, g: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of a site and those of its images that lie within MIN_DISTANCE of it."""
    images = symmetry.rotations @ x + symmetry.translations
    delta = images - x
    delta -= np.round(delta)
    near = np.einsum("ni,ij,nj->n", delta, g, delta) < MIN_DISTANCE**2
    return x + delta[near].mean(0)


def cell_atoms(cell: Cell, contents: dict[str, float] | None) -> list[int]:
    """Atomic numbers of the non-H atoms of the whole cell, heaviest first.

    From its contents or, where unknown, carbon for every 18 Å³.
    """
    if contents is None:
        return [6] * max(1, round(gemmi.UnitCell(*cell).volume / VOLUME_PER_NON_H_ATOM))
    numbers: list[int] = []
    for symbol, count in contents.items():
        z = gemmi.Element(symbol).atomic_number
        if z > 1:
            numbers += [z] * max(1, round(count))
    return sorted(numbers, reverse=True)


def atoms_from_peaks(
    f: Tensor, cell: Cell, symmetry: Symmetry, contents: dict[str, float] | None = None
) -> tuple[Structure, Peaks]:
    """Atoms at the highest peaks, the heaviest elements at the highest ones, until the cell is full.

    A peak on a general position takes as many atoms of the cell as the group has operations, one on
    a symmetry element of order m only one m-th of them. Heights are compared as they are: a map
    shows electrons, not multiplicities.
    """
    numbers = cell_atoms(cell, contents)
    # Molecules on sites mm2, as of urea, need four times as many peaks as general positions.
    peaks = find_peaks(f, cell, symmetry, -(-4 * len(numbers) // symmetry.order))
    order = symmetry.site_order(peaks.frac, cell) if len(peaks.frac) else np.array([], dtype=int)
    multiplicity = symmetry.order / order
    taken = np.cumsum(multiplicity)
    # An atom counts if at least half of its images still find room.
    n = int((taken - multiplicity / 2 <= len(numbers)).sum())
    middle = (taken - multiplicity / 2).astype(int).clip(max=len(numbers) - 1)
    return (
        Structure(
            cell=cell,
            space_group=symmetry.name,
            numbers=np.array(numbers, dtype=np.uint8)[middle[:n]],
            frac=peaks.frac[:n],
            u_iso=np.full(n, START_U),
            occupancy=np.ones(n),
        ),
        Peaks(peaks.frac[:n], peaks.height[:n]),
    )
