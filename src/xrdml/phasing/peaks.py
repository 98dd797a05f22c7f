"""From a map with the symmetry of its group to atoms."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrdml.crystal.cell import Cell, inverse_d_squared, metric
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Symmetry
from xrdml.crystal.wilson import VOLUME_PER_NON_H_ATOM
from xrdml.data.density import density_crystal, fft_indices

MIN_DISTANCE = 0.9
"""Å; two peaks nearer than this are one atom (a short C≡N bond is 1.14 Å)."""

HEAVY_DISTANCE = 1.3
"""Å from a heavy atom; the shortest bonds to one are P=O and S=O, 1.43 Å."""
HEAVY = 11
"""Atomic number from which on atoms hide others in the ripples around them."""

WEAK = 0.25
"""Of the median height: what is lower is no atom."""
SPLIT_DISTANCE = 0.6
"""Å between a peak that stands for two atoms and what is left when one atom is taken off there."""
FALLOFFS = tuple(range(-2, 9))
"""B in Å² beside that of `START_U`, of which one fits a heavy atom of a map."""

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


def find_peaks(
    f: Tensor,
    cell: Cell,
    symmetry: Symmetry,
    n: int,
    besides: NDArray[np.float64] | None = None,
    apart: float = MIN_DISTANCE,
) -> Peaks:
    """The n highest maxima that are not equivalents of higher ones.

    A maximum is placed by a parabola through its neighbours along each axis. Maxima within
    `MIN_DISTANCE` of their own symmetry image are moved onto the symmetry element.

    Parameters
    ----------
    f
        Structure factors with the symmetry of the group, FFT order, (X, Y, Z).
    besides, apart
        Atoms that are there already, (m, 3): nothing within `apart` Å of them is a peak.
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
    others = np.empty((0, 3)) if besides is None else _images(besides, symmetry)
    for point, height in zip(maxima[order].tolist(), heights[order].tolist(), strict=True):
        x = (np.array(point) + _parabola(array, point)) / shape
        if _near(x, others, g, apart) or (images and _near(x, np.concatenate(images), g, MIN_DISTANCE)):
            continue
        x = _onto_symmetry(x, symmetry, g)
        kept.append(x)
        values.append(height)
        images.append(_images(x[None], symmetry))
        if len(kept) == n:
            break
    return Peaks(np.array(kept).reshape(-1, 3), np.array(values))


def _images(frac: NDArray[np.float64], symmetry: Symmetry) -> NDArray[np.float64]:
    """All equivalents of all sites, (n, 3) → (m, 3)."""
    turned = np.einsum("sij,nj->nsi", symmetry.rotations, frac) + symmetry.translations
    return turned.reshape(-1, 3)


def _near(x: NDArray[np.float64], others: NDArray[np.float64], g: NDArray[np.float64], limit: float) -> bool:
    delta = others - x
    delta -= np.round(delta)
    return bool((np.einsum("ni,ij,nj->n", delta, g, delta) < limit**2).any())


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
    shows electrons, not multiplicities. Heavy atoms come first, and the others from what is left
    of the map without them. Where peaks are too few, as two atoms of a triple bond can be one peak
    of data to 1.5 Å, the last ones come from what is left of the map without all others.
    """
    numbers = cell_atoms(cell, contents)
    heavy = [z for z in numbers if z >= HEAVY]
    light = numbers[len(heavy) :]
    atoms, peaks = _filled(f, cell, symmetry, heavy or light)
    if heavy and light and len(atoms):
        rest = without(f, atoms)
        more, lower = _filled(rest, cell, symmetry, light, atoms.frac, HEAVY_DISTANCE)
        atoms, peaks = _joined(atoms, more), _both(peaks, lower)
    weak = peaks.height < WEAK * np.median(peaks.height) if len(peaks.height) else np.zeros(0, bool)
    if not weak.any() or weak.all():
        return atoms, peaks
    # Fewer peaks than atoms: some stand for two, which shows once one is taken off.
    strong = _chosen(atoms, ~weak)
    taken = int((symmetry.order / symmetry.site_order(strong.frac, cell)).sum())
    rest = without(f, strong)
    more, lower = _filled(rest, cell, symmetry, numbers[taken:], strong.frac, SPLIT_DISTANCE)
    return _joined(strong, more), _both(Peaks(peaks.frac[~weak], peaks.height[~weak]), lower)


def _chosen(atoms: Structure, chosen: NDArray[np.bool_]) -> Structure:
    return replace(
        atoms,
        numbers=atoms.numbers[chosen],
        frac=atoms.frac[chosen],
        u_iso=atoms.u_iso[chosen],
        occupancy=atoms.occupancy[chosen],
    )


def _joined(first: Structure, second: Structure) -> Structure:
    return replace(
        first,
        numbers=np.concatenate([first.numbers, second.numbers]),
        frac=np.concatenate([first.frac, second.frac]),
        u_iso=np.concatenate([first.u_iso, second.u_iso]),
        occupancy=np.concatenate([first.occupancy, second.occupancy]),
    )


def _both(first: Peaks, second: Peaks) -> Peaks:
    return Peaks(np.concatenate([first.frac, second.frac]), np.concatenate([first.height, second.height]))


def _filled(
    f: Tensor,
    cell: Cell,
    symmetry: Symmetry,
    numbers: list[int],
    besides: NDArray[np.float64] | None = None,
    apart: float = MIN_DISTANCE,
) -> tuple[Structure, Peaks]:
    """Atoms of these numbers in the cell, heaviest first, at the highest peaks."""
    # Molecules on sites mm2, as of urea, need four times as many peaks as general positions.
    peaks = find_peaks(f, cell, symmetry, -(-4 * len(numbers) // symmetry.order), besides, apart)
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


def without(f: Tensor, atoms: Structure) -> Tensor:
    """A map (X, Y, Z) without these atoms, on the scale and with the fall-off that leave least of it."""
    x, y, z = f.shape
    indices, _ = fft_indices(atoms.cell, (x, y, z), 1.0)
    inverse_d2 = inverse_d_squared(atoms.cell, indices)[(f != 0).cpu().numpy()]
    if not (inverse_d2 > 0).any():
        return f
    crystal = density_crystal(atoms, float(inverse_d2.max()) ** -0.5, (x, y, z))
    own = torch.from_numpy(crystal.f).to(f.device) * (f != 0)  # as far as the map goes
    s2 = torch.from_numpy(np.where(np.isfinite(crystal.inverse_d2), crystal.inverse_d2 / 4, 0.0)).to(f.device)
    best, left = math.inf, f
    for b in FALLOFFS:
        damped = own * torch.exp(-b * s2)
        k = float((f * damped.conj()).real.sum() / damped.abs().square().sum().clamp_min(1e-12))
        rest = f - k * damped
        size = float(rest.abs().square().sum())
        if size < best:
            best, left = size, rest
    return left
