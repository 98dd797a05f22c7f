"""Crystals as complex structure factors on the periodic grid of their cell, for the density prior."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrdml.crystal.cell import Cell, inverse_d_squared
from xrdml.crystal.expand import expand_to_p1, fft_shape, to_fft_grid
from xrdml.crystal.structure import Structure
from xrdml.physics.structure_factors import collate, structure_factors

D_HIGH = 1.0
"""Resolution of the density that the prior draws, Å."""


@dataclass(frozen=True)
class DensityCrystal:
    """One crystal in P1 on its FFT grid.

    Attributes
    ----------
    cell
        a, b, c in Å; α, β, γ in degrees.
    f
        F to `D_HIGH` in FFT order without F(000), complex64 (X, Y, Z).
    inverse_d2
        1/d² in Å⁻² in FFT order, infinite where no reflection to `D_HIGH` is, float32 (X, Y, Z).
    """

    cell: Cell
    f: NDArray[np.complex64]
    inverse_d2: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int, int]:
        x, y, z = self.f.shape
        return (x, y, z)

    def permuted(self, axes: Sequence[int]) -> DensityCrystal:
        """The same crystal with its axes in another order."""
        lengths = [self.cell[i] for i in axes]
        angles = [self.cell[3 + i] for i in axes]
        a, b, c, alpha, beta, gamma = *lengths, *angles
        return DensityCrystal(
            (a, b, c, alpha, beta, gamma), self.f.transpose(axes), self.inverse_d2.transpose(axes)
        )


def density_crystal(
    structure: Structure, d_high: float = D_HIGH, shape: tuple[int, int, int] | None = None
) -> DensityCrystal:
    """Structure factors of a structure to d_high (Å) on a grid, by default that of the prior."""
    group, cell = structure.symmetry, structure.cell
    hkl = group.unique_reflections(cell, d_high)
    with torch.no_grad():
        f = structure_factors(collate([structure]), torch.from_numpy(hkl))[0].numpy()
    sphere = expand_to_p1(hkl, group)
    shape = shape or fft_shape(cell)
    values = sphere.structure_factors(f).astype(np.complex64)
    # Absences have F = 0 and are reflections all the same: the sphere is taken from the metric.
    indices, inside = fft_indices(cell, shape, d_high)
    inverse_d2 = np.where(inside, inverse_d_squared(cell, indices), np.inf).astype(np.float32)
    return DensityCrystal(cell, to_fft_grid(shape, sphere.hkl, values), inverse_d2)


def fft_indices(
    cell: Cell, shape: tuple[int, int, int], d_min: float
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Miller indices of a grid in FFT order, (X, Y, Z, 3), and which of them have d ≥ d_min, (X, Y, Z).

    0 0 0 and indices at or beyond half of the grid are not among them.
    """
    axes = [np.fft.fftfreq(n, 1 / n).round().astype(np.int32) for n in shape]
    indices = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    q = inverse_d_squared(cell, indices)
    return indices, (q <= d_min**-2) & (q > 0) & (2 * np.abs(indices) < np.array(shape)).all(-1)


def conditions(level: Tensor, d_limit: Tensor, cells: Sequence[Cell], shape: Sequence[int]) -> Tensor:
    """What :class:`xrdml.models.density_prior.DensityPrior` is told, (B, 8).

    Parameters
    ----------
    level, d_limit
        Error level 0…1 and resolution of the data in Å, (B,).
    cells, shape
        B cells and their common grid.
    """
    rows = [
        [*(cell[i] / shape[i] for i in range(3)), *(math.cos(math.radians(x)) for x in cell[3:])]
        for cell in cells
    ]
    geometry = torch.tensor(rows, dtype=level.dtype, device=level.device)
    return torch.cat([level[:, None], d_limit[:, None], geometry], 1)


def to_density(f: Tensor) -> Tensor:
    """Real map (B, X, Y, Z) of F on the FFT grid; Σ|F|² equals Σρ².

    It is ρ(−x) in the convention F = Σ f exp(+2πi h·x): the prior does not mind the hand, and
    :func:`xrdml.phasing.peaks.fine_density` draws the map that has the atoms where they are.
    """
    return torch.fft.ifftn(f, dim=(-3, -2, -1), norm="ortho").real


def to_structure_factors(density: Tensor) -> Tensor:
    """F on the FFT grid of a real map: the inverse of :func:`to_density`."""
    return torch.fft.fftn(density, dim=(-3, -2, -1), norm="ortho")


def random_phases(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Unit complex numbers with Friedel symmetry and random phases, (B, X, Y, Z)."""
    noise = to_structure_factors(torch.randn(*shape, generator=generator))
    return noise / noise.abs().clamp_min(1e-12)


@dataclass(frozen=True)
class NoisyBatch:
    """A batch to denoise, on the scale on which the map of the measured |F| has variance 1.

    Attributes
    ----------
    f, target
        F with measured amplitudes and partly wrong phases, and the true map, (B, X, Y, Z).
    conditions
        For the prior, (B, 8).
    """

    f: Tensor
    target: Tensor
    conditions: Tensor

    def to(self, device: torch.device | str) -> NoisyBatch:
        """The same on another device."""
        return NoisyBatch(self.f.to(device), self.target.to(device), self.conditions.to(device))


@dataclass(frozen=True)
class Source:
    """Crystals that are drawn together.

    Attributes
    ----------
    crystals
        Any grids.
    share
        How much of the batches come from here, relative to the other sources.
    """

    crystals: Sequence[DensityCrystal]
    share: float = 1.0


class NoisyDensities:
    """Batches of crystals of one grid shape each, with phase errors as met in phasing.

    Batch i is a pure function of (seed, i), so a run can be resumed at any batch.

    Parameters
    ----------
    sources
        To draw from, by their shares.
    points
        Grid points of a batch: the number of crystals in it follows.
    d_limits
        Range of the resolution of the data, Å.
    level_error
        Standard deviation of the error level that the network is told about the true one. In phasing
        nobody knows the level; a network that was always told the truth trusts it too much.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        points: int = 40_000,
        d_limits: tuple[float, float] = (1.2, 2.1),
        seed: int = 0,
        level_error: float = 0.0,
    ):
        self.points, self.d_limits, self.seed = points, d_limits, seed
        self.level_error = level_error
        self._share = np.array([s.share for s in sources]) / sum(s.share for s in sources)
        # By grid with its axes in rising order: crystals that differ in that order alone can share a batch.
        self._pools: list[dict[tuple[int, ...], list[DensityCrystal]]] = []
        for source in sources:
            pools: dict[tuple[int, ...], list[DensityCrystal]] = defaultdict(list)
            for crystal in source.crystals:
                order = np.argsort(crystal.shape, kind="stable").tolist()
                pools[tuple(sorted(crystal.shape))].append(crystal.permuted(order))
            self._pools.append(pools)

    def draw(self, i: int) -> NoisyBatch:
        """Batch i."""
        rng = np.random.default_rng((self.seed, i))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        pools = self._pools[rng.choice(len(self._pools), p=self._share)]
        shapes, counts = list(pools), np.array([len(p) for p in pools.values()])
        shape = shapes[rng.choice(len(shapes), p=counts / counts.sum())]
        n = max(2, round(self.points / math.prod(shape)))
        axes = rng.permutation(3).tolist()
        chosen = [pools[shape][k].permuted(axes) for k in rng.integers(len(pools[shape]), size=n)]
        f = torch.from_numpy(np.stack([c.f for c in chosen]))
        inverse_d2 = torch.from_numpy(np.stack([c.inverse_d2 for c in chosen]))
        if rng.random() < 0.5:
            f = f.conj().resolve_conj()
        level = torch.from_numpy(rng.random(n)).float()
        d_limit = torch.from_numpy(rng.uniform(*self.d_limits, n)).float()
        cells = [c.cell for c in chosen]
        batch = corrupt(f, inverse_d2, level, d_limit, cells, generator)
        told = level + torch.from_numpy(rng.normal(0, self.level_error, n)).float()
        return replace(
            batch,
            conditions=conditions(told.clamp(0, 1), d_limit, cells, f.shape[1:]),
        )


def corrupt(
    f: Tensor,
    inverse_d2: Tensor,
    level: Tensor,
    d_limit: Tensor,
    cells: Sequence[Cell],
    generator: torch.Generator,
) -> NoisyBatch:
    """Cut at d_limit, leave some reflections out, and mix true phases with random ones.

    The mixed phase is that of (1 − t)·e^{iφ} + t·e^{iψ} with random ψ. The level t is the same
    for all reflections of one crystal or, in half of them, rises or falls with resolution
    around its mean, as it does while a structure emerges. Amplitudes stay exact: a prior that was
    trained with errors on them too drew smoother maps and solved half as many crystals.
    """
    n, gen = len(f), generator
    column = (n, 1, 1, 1)
    limit = d_limit.view(column) ** -2
    within = inverse_d2 <= limit
    # Behind the beam stop and in gaps: nothing below a random angle, and a few at random.
    lowest = torch.rand(column, generator=gen) * 0.02 * (torch.rand(column, generator=gen) < 0.3)
    lost = torch.rand(f.shape, generator=gen) < 0.08 * torch.rand(column, generator=gen)
    lost = lost | _mates(lost)
    measured = within & (inverse_d2 >= lowest) & ~lost

    tilt = torch.randn(column, generator=gen) * 0.3 * (torch.rand(column, generator=gen) < 0.5)
    place = (inverse_d2.clamp_max(1e3) / limit).sqrt() - 0.75
    t = (level.view(column) + tilt * place).clamp(0, 1)
    true = f / f.abs().clamp_min(1e-12)
    mixed = (1 - t) * true + t * random_phases(f.shape, gen)
    amplitude = torch.where(measured, f.abs(), torch.zeros(()))
    power = amplitude.square().sum((1, 2, 3), keepdim=True).clamp_min(1e-12)
    scale = (math.prod(f.shape[1:]) / power).sqrt()
    amplitude = amplitude * scale
    return NoisyBatch(
        f=amplitude * mixed / mixed.abs().clamp_min(1e-12),
        target=to_density(f * scale),
        conditions=conditions(level, d_limit, cells, f.shape[1:]),
    )


def _mates(grid: Tensor) -> Tensor:
    """Values at −h for every h of an FFT grid (B, X, Y, Z)."""
    return grid.flip(1, 2, 3).roll((1, 1, 1), (1, 2, 3))
