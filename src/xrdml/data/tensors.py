"""From crystals to the tensors of :mod:`xrdml.data.keys`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrdml.crystal.cell import Cell, reciprocal_metric
from xrdml.crystal.grid import HklGrid
from xrdml.crystal.symmetry import Hkl, Symmetry, symmetry
from xrdml.data import keys
from xrdml.errors import UserError
from xrdml.physics.measurement import Measured, MeasurementOptions, measure, scattering_tables
from xrdml.physics.structure_factors import (
    CrystalBatch,
    amplitudes_in_box,
    s_squared,
    structure_factors,
)

TensorBatch = dict[str, Any]
"""Tensors of one batch under the names of :mod:`xrdml.data.keys`."""

# d_min is met within 1e-6 of s², which absorbs the rounding of float32.
_LIMIT = 1 + 1e-6


@dataclass(frozen=True)
class Limits:
    """Resolution limits in Å: measured to `low`, wanted to `high`."""

    low: float = 1.5
    high: float = 0.8

    def __post_init__(self) -> None:
        if not 0 < self.high < self.low:
            raise UserError(
                f"d_min_high={self.high:g} must lie between 0 and d_min_low={self.low:g} Å; "
                "set data.d_min_high and data.d_min_low"
            )


@dataclass(frozen=True)
class Geometry:
    """What a space group says about each cell of a grid; flat tensors in C order, (G,).

    Attributes
    ----------
    unique
        Laue-unique reflections, systematic absences among them, without 0 0 0.
    absent, centric, epsilon
        Properties of the position, whether or not it is in the asymmetric unit.
    """

    unique: Tensor
    absent: Tensor
    centric: Tensor
    epsilon: Tensor


@lru_cache(maxsize=256)
def geometry(grid: HklGrid, space_group: str, device: torch.device) -> Geometry:
    """Geometry of one grid and space group, kept on the device."""
    group, hkl = symmetry(space_group), grid.hkl
    unique = (group.to_asu(hkl) == hkl).all(1) & hkl.any(1)

    def tensor(values: NDArray) -> Tensor:
        return torch.from_numpy(np.array(values)).to(device)

    return Geometry(
        tensor(unique),
        tensor(group.is_absent(hkl)),
        tensor(group.is_centric(hkl)),
        tensor(group.epsilon(hkl)).float(),
    )


@lru_cache(maxsize=16)
def _indices(grid: HklGrid, device: torch.device) -> Tensor:
    return torch.from_numpy(grid.hkl).to(device)


def _frame(
    grid: HklGrid, space_groups: Sequence[str], metric: Tensor, d_min: float
) -> tuple[TensorBatch, Tensor, Tensor]:
    """What follows from cell and symmetry alone; with the reflections and s², both flat (B, G)."""
    device = metric.device
    names = sorted(set(space_groups))
    row = torch.tensor([names.index(name) for name in space_groups], device=device)
    found = [geometry(grid, name, device) for name in names]
    unique, absent, centric, epsilon = (
        torch.stack([getattr(g, field) for g in found])[row]
        for field in ("unique", "absent", "centric", "epsilon")
    )
    s2 = s_squared(metric, _indices(grid, device))
    inside = unique & (s2 <= _LIMIT / (4 * d_min**2))
    frame = {
        keys.ABSENT: inside & absent,
        keys.CENTRIC: centric,
        keys.EPSILON: epsilon,
        keys.S: s2.sqrt().float(),
    }
    return frame, inside & ~absent, s2


def _finish(batch: TensorBatch, grid: HklGrid, cell: Tensor, space_groups: Sequence[str]) -> TensorBatch:
    shaped = {name: value.reshape(-1, *grid.shape) for name, value in batch.items()}
    return shaped | {keys.CELL: cell.float(), keys.SPACE_GROUP: list(space_groups), keys.GRID: grid}


def simulated_tensors(
    crystals: CrystalBatch,
    grid: HklGrid,
    limits: Limits,
    options: MeasurementOptions | None = None,
    seed: int = 0,
) -> TensorBatch:
    """Tensors of crystals whose atoms are known: every reflection to `limits.low` is measured.

    With options the input is what a measurement makes of them: reflections that it misses are to
    be predicted, and F_SCALE is the largest |F| as measured. The truth remains the |F| of the
    atoms without any effect. The random numbers follow from `seed` and from the crystals of the batch.

    Reflections outside the grid are left out: check with :meth:`HklGrid.check_fits` before.
    """
    frame, reflections, s2 = _frame(grid, crystals.space_groups, crystals.reciprocal_metric, limits.high)
    measured = reflections & (s2 <= _LIMIT / (4 * limits.low**2))
    truth = _amplitudes(crystals, grid, reflections, s2)
    given = truth
    if options is not None and options.is_on:
        result = _measure(crystals, grid, truth, reflections, s2, options, seed)
        given, measured = result.amplitude, measured & result.observed
    scale = (given * measured).amax(1).clamp_min(torch.finfo(torch.float32).tiny)
    frame |= {
        keys.F_INPUT: given / scale[:, None] * measured,
        keys.F_TARGET: truth / scale[:, None],
        keys.MEASURED: measured,
        keys.PREDICT: reflections & ~measured,
        keys.KNOWN: reflections,
    }
    return _finish(frame, grid, crystals.cell, crystals.space_groups) | {keys.F_SCALE: scale}


def _measure(
    crystals: CrystalBatch,
    grid: HklGrid,
    truth: Tensor,
    reflections: Tensor,
    s2: Tensor,
    options: MeasurementOptions,
    seed: int,
) -> Measured:
    intensity = truth.square()
    if options.anomalous:
        parts = (
            _amplitudes(crystals, grid, reflections, s2, table)
            for table in scattering_tables(options.wavelength)
        )
        intensity = sum((part.square() for part in parts), torch.zeros_like(truth))
    # A seed of its own for each batch, the same whenever these crystals meet.
    # (Mixed, because torch's generator on the CPU looks at 32 bits alone.)
    mixed = int(np.random.SeedSequence((seed, crystals.checksum)).generate_state(1)[0])
    generator = torch.Generator(truth.device).manual_seed(mixed)
    return measure(
        intensity,
        _indices(grid, truth.device),
        s2,
        reflections,
        crystals.reciprocal_metric,
        crystals.rotations,
        options,
        generator,
    )


def _amplitudes(
    crystals: CrystalBatch,
    grid: HklGrid,
    reflections: Tensor,
    s2: Tensor,
    table: NDArray[np.float64] | None = None,
) -> Tensor:
    """|F| in electrons at `reflections` (B, G), 0 elsewhere, float32; `table` of other scattering factors."""
    oblique = [k for k, axis in enumerate(crystals.column_axes) if axis is None]
    right = [k for k, axis in enumerate(crystals.column_axes) if axis is not None]
    out = torch.zeros(reflections.shape, device=reflections.device)
    for members, amplitudes in ((right, _by_box), (oblique, _by_list)):
        if len(members) == len(crystals):
            return amplitudes(crystals, grid, reflections, s2, table)
        if members:
            some = crystals.select(members)
            out[members] = amplitudes(some, grid, reflections[members], s2[members], table)
    return out


def _by_box(
    crystals: CrystalBatch,
    grid: HklGrid,
    reflections: Tensor,
    s2: Tensor,
    table: NDArray[np.float64] | None,
) -> Tensor:
    found = amplitudes_in_box(crystals, grid, (s2 * reflections).amax(1), table)
    return found.flatten(1).float() * reflections


def _by_list(
    crystals: CrystalBatch,
    grid: HklGrid,
    reflections: Tensor,
    _: Tensor,
    table: NDArray[np.float64] | None,
) -> Tensor:
    count = reflections.sum(1)
    crystal, cell = reflections.nonzero(as_tuple=True)
    # Pack each crystal's reflections to the front, so that only they are computed.
    column = torch.arange(len(cell), device=cell.device) - (count.cumsum(0) - count)[crystal]
    hkl = torch.zeros(len(crystals), int(count.max()), 3, dtype=torch.int32, device=cell.device)
    hkl[crystal, column] = _indices(grid, cell.device)[cell]
    packed = torch.arange(hkl.shape[1], device=cell.device) < count[:, None]
    found = structure_factors(crystals, hkl, packed, table).abs().float()
    out = torch.zeros(reflections.shape, device=cell.device)
    out[crystal, cell] = found[crystal, column]
    return out


@dataclass(frozen=True)
class Amplitudes:
    """Measured amplitudes of one crystal.

    Attributes
    ----------
    cell
        a, b, c in Å; α, β, γ in degrees.
    symmetry
        The space group.
    hkl
        Laue-unique indices (`Symmetry.to_asu`), each once, (n, 3).
    f
        |F| on any scale, (n,).
    """

    cell: Cell
    symmetry: Symmetry
    hkl: Hkl
    f: NDArray[np.floating]


def measured_tensors(
    crystals: Sequence[Amplitudes], grid: HklGrid, limits: Limits, device: torch.device | str = "cpu"
) -> TensorBatch:
    """Tensors of measured crystals.

    Reflections with d ≥ `limits.low` are the input; those beyond it are the truth, where they are
    in the list, of what is to be predicted. Absences and what lies beyond `limits.high` are ignored.

    Raises
    ------
    GridTooSmall
        A crystal has unique reflections outside the grid.
    UserError
        A crystal has no reflection with d ≥ `limits.low` and |F| > 0.
    """
    device = torch.device(device)
    metric = torch.from_numpy(np.stack([reciprocal_metric(c.cell) for c in crystals])).to(device)
    names = [c.symmetry.name for c in crystals]
    frame, reflections, s2 = _frame(grid, names, metric, limits.high)
    listed, amplitude = [], []
    for c in crystals:
        c.symmetry.check_cell(c.cell)
        grid.check_fits(c.cell, c.symmetry, limits.high)
        here = grid.contains(c.hkl)
        listed.append(grid.scatter(c.hkl[here], np.ones(here.sum(), bool)).ravel())
        amplitude.append(grid.scatter(c.hkl[here], np.asarray(c.f, np.float64)[here]).ravel())
    known = torch.from_numpy(np.stack(listed)).to(device) & reflections
    f = torch.from_numpy(np.stack(amplitude)).to(device) * known
    measured = known & (s2 <= _LIMIT / (4 * limits.low**2))
    scale = (f * measured).amax(1)
    for c, value in zip(crystals, scale.tolist(), strict=True):
        if not value > 0:
            raise UserError(
                f"no reflection of this {c.symmetry.name} crystal is measured to {limits.low:g} Å: "
                "check the cell, or give a larger low-resolution limit"
            )
    target = (f / scale[:, None]).float()
    frame |= {
        keys.F_INPUT: target * measured,
        keys.F_TARGET: target,
        keys.MEASURED: measured,
        keys.PREDICT: reflections & ~measured,
        keys.KNOWN: known,
    }
    cell = torch.tensor([c.cell for c in crystals], device=device)
    return _finish(frame, grid, cell, names) | {keys.F_SCALE: scale.float()}
