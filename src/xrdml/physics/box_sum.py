"""Structure factors at all indices of a box, as matrix products.

Where one reciprocal axis (the column) is perpendicular to the other two (the row), an atom's part of F is

    Σ_g w a_g exp(−(b_g + 8π²U) s_row²) exp(−(b_g + 8π²U) s_column²) P(row) Q(column)

with its form factor as five Gaussians g, s² = s_row² + s_column², P = exp(2πi(h x + l z)) and
Q = exp(2πi k y). Everything depends on a row or on a column, never on both, so that F of a whole box
is a product of two real matrices, and a cosine is needed per row instead of per reflection.

Operations that turn the row as a whole and the column into ± themselves do not enter the sum over the
atoms: they combine the products of cos and sin of P and Q, as the formulae of International Tables A
of 1952 do. All other operations give images of the atoms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrdml.crystal.grid import HklGrid
from xrdml.crystal.scattering import it92_table
from xrdml.crystal.symmetry import symmetry
from xrdml.physics.crystal_batch import CrystalBatch, turns

ELEMENTS_CPU, ELEMENTS_DEVICE = 2**18, 2**26
"""Entries of a matrix held at a time: on the CPU what stays in the cache, elsewhere what fills the device."""
_GAUSSIANS = 5


@dataclass(frozen=True)
class _Plan:
    """How a space group enters for one choice of the column axis.

    Attributes
    ----------
    rotations, translations
        Operations that make the images of the atoms, (S, 3, 3) and (S, 3).
    coefficients
        c of F = Σ c_ab Σ_atoms {cos, sin}_a(row) {cos, sin}_b(column), by real and imaginary part, by
        (a, b), and by the three indices (the column last) modulo their common period p,
        (2, 2, 2, p, p, p).
    """

    rotations: NDArray[np.float64]
    translations: NDArray[np.float64]
    coefficients: NDArray[np.float64]

    @property
    def period(self) -> int:
        return self.coefficients.shape[-1]


def _row_axes(axis: int) -> list[int]:
    return [i for i in range(3) if i != axis]


@cache
def _plan(space_group: str, axis: int) -> _Plan:
    group, (i, j) = symmetry(space_group), _row_axes(axis)
    diagonal = np.diagonal(group.rotations, axis1=1, axis2=2)
    inner = (group.rotations == diagonal[:, :, None] * np.eye(3, dtype=int)).all((1, 2))
    inner &= diagonal[:, i] == diagonal[:, j]
    images: dict[bytes, int] = {}
    for n, rotation in enumerate(group.rotations):
        coset = min((inside @ rotation).tobytes() for inside in group.rotations[inner])
        images.setdefault(coset, n)
    keep = list(images.values())

    shifts = group.translations[inner]
    period = next(p for p in range(1, 49) if np.allclose(shifts * p, np.round(shifts * p)))
    h = np.stack(np.meshgrid(*[np.arange(period)] * 3, indexing="ij"), -1)
    phase = np.exp(2j * np.pi * (h @ shifts[:, [i, j, axis]].T))
    signs = [[np.ones(len(shifts)), 1j * diagonal[inner, n]] for n in (i, axis)]
    c = np.array([[phase @ (signs[0][a] * signs[1][b]) for b in (0, 1)] for a in (0, 1)])
    parts = np.stack([c.real, c.imag])
    # Exact zeros, by which products that do not count are recognised.
    parts[np.abs(parts) < 1e-9] = 0
    return _Plan(group.rotations[keep].astype(float), group.translations[keep], parts)


@lru_cache(maxsize=256)
def _coefficients(space_group: str, axis: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """:attr:`_Plan.coefficients` by the residue of the row as one number, (2, 2, 2, p, p²)."""
    c = _plan(space_group, axis).coefficients
    return torch.from_numpy(c).to(device, dtype).flatten(3, 4).transpose(3, 4).contiguous()


def amplitudes_in_box(
    batch: CrystalBatch, box: HklGrid, s2_max: Tensor, table: NDArray[np.float64] | None = None
) -> Tensor:
    """|F| in electrons per cell of a box of indices, (B, H, K, L), differentiable.

    Parameters
    ----------
    batch
        Crystals that all have a column axis.
    box
        The indices.
    s2_max
        Largest s² = 1/4d² wanted of each crystal in Å⁻², (B,). What lies beyond it is 0 or |F|, as it
        comes.
    table
        Scattering factors by atomic number in the form of :func:`it92_table`, (99, 9); None is that one.
    """
    parts, order = [], []
    for members, axis, f in sums_in_box(batch, box, s2_max, table, amplitudes=True):
        axes = [*_row_axes(axis), axis]
        parts.append(f.permute(0, *(1 + axes.index(n) for n in range(3))))
        order += members
    if len(parts) == 1:
        return parts[0].contiguous()
    return torch.cat(parts)[torch.from_numpy(np.argsort(order)).to(batch.device)]


def sums_in_box(
    batch: CrystalBatch,
    box: HklGrid,
    s2_max: Tensor,
    table: NDArray[np.float64] | None = None,
    *,
    amplitudes: bool = False,
) -> Iterator[tuple[list[int], int, Tensor]]:
    """F, or |F|, of the crystals of one space group after the other; see :func:`amplitudes_in_box`.

    Yields
    ------
    list
        Which crystals.
    int
        Their column axis, 0, 1 or 2.
    Tensor
        F by the two indices of the row and that of the column, (b, ·, ·, ·).
    """
    real = batch.frac.dtype
    gaussians = _five_gaussians(it92_table() if table is None else table).to(batch.device, real)
    dtype = real if amplitudes else torch.promote_types(real, torch.complex32)
    kinds: dict[tuple[str, int], list[int]] = {}
    for n, (name, axis) in enumerate(zip(batch.space_groups, batch.column_axes, strict=True)):
        if axis is None:
            raise ValueError(f"crystal {n} ({name}) has no reciprocal axis perpendicular to the others")
        kinds.setdefault((name, axis), []).append(n)
    for (_, axis), members in kinds.items():
        alike, limit = batch, s2_max
        if len(members) < len(batch):
            alike, limit = batch.select(members), s2_max[members]
        i, j = _row_axes(axis)
        rows, columns = box.shape[i] * box.shape[j], box.shape[axis]
        # One row more than there is takes what pads the packed rows.
        out = torch.zeros(len(members), rows + 1, columns, dtype=dtype, device=batch.device)
        place = torch.arange(len(members), device=batch.device)[:, None] * (rows + 1)
        for some, row, f in _blocks(alike, box, limit, axis, gaussians):
            flat = (row + place[some]).flatten()
            out.view(-1, columns)[flat, : f.shape[2]] = (f.abs() if amplitudes else f.to(dtype)).flatten(0, 1)
        yield members, axis, out[:, :rows].unflatten(1, (box.shape[i], box.shape[j]))


def _blocks(
    batch: CrystalBatch, box: HklGrid, s2_max: Tensor, axis: int, gaussians: Tensor
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """F of the rows that crystals of one space group need.

    Yields
    ------
    slice
        Which of the crystals.
    Tensor
        Numbers of the rows, (b, R), padded with the number of rows of the box.
    Tensor
        F, real where it is real in this group, (b, R, columns from the first to the last needed).
    """
    device, dtype, metric = batch.device, batch.frac.dtype, batch.reciprocal_metric
    i, j = _row_axes(axis)
    indices = [torch.arange(box.lower[n], box.upper[n] + 1, device=device) for n in range(3)]
    rows = torch.cartesian_prod(indices[i], indices[j])
    limit = s2_max * (1 + 1e-5)
    p, q = rows.to(dtype).unbind(1)
    terms = torch.stack([metric[:, i, i], 2 * metric[:, i, j], metric[:, j, j]], 1)
    s2 = terms @ torch.stack([p * p, p * q, q * q]) / 4
    needed = s2 <= limit[:, None]
    count = needed.sum(1)
    reach = 2 * (limit / metric[:, axis, axis]).sqrt()
    sizes = torch.stack([count, reach.ceil().long()]).tolist()
    crystal, row = needed.nonzero(as_tuple=True)
    packed = torch.full((len(batch), max(sizes[0])), len(rows), device=device)
    packed[crystal, torch.arange(len(row), device=device) - (count.cumsum(0) - count)[crystal]] = row
    # Padding repeats a row of the box; its sums go where nobody looks.
    used = packed.clamp_max(len(rows) - 1)

    plan = _plan(batch.space_groups[0], axis)
    column = np.arange(box.lower[axis], max(box.lower[axis], min(box.upper[axis], max(sizes[1]))) + 1)
    sums = _Sums.of(batch, plan, axis, column, gaussians)
    budget = ELEMENTS_CPU if device.type == "cpu" else ELEMENTS_DEVICE
    for some, tile in _tiles(batch, sizes[0], len(plan.rotations) * _GAUSSIANS, budget):
        here = used[some, tile]
        yield some, packed[some, tile], sums(some, rows[here], s2[some].gather(1, here))


def _tiles(
    batch: CrystalBatch, rows: Sequence[int], per_atom: int, budget: int
) -> Iterator[tuple[slice, slice]]:
    """Cut (crystal, row) into blocks of a bounded number of matrix entries."""
    start = 0
    while start < len(batch):
        stop = start + 1
        width, height = batch.sizes[start][0] * per_atom, rows[start]
        while stop < len(batch):
            wider, higher = max(width, batch.sizes[stop][0] * per_atom), max(height, rows[stop])
            if (stop + 1 - start) * wider * higher > budget:
                break
            width, height, stop = wider, higher, stop + 1
        step = max(1, budget // max((stop - start) * width, 1))
        for top in range(0, height, step):
            yield slice(start, stop), slice(top, min(top + step, height))
        start = stop


@dataclass(frozen=True)
class _Class:
    """Columns whose indices are alike modulo the period.

    Attributes
    ----------
    columns
        Which.
    matrices
        Column side of the products by a, where any counts, (B, 5 n, |b| · columns).
    terms
        (a, place of b in the matrix, part 0 or 1, coefficients by the residue of the row or one number).
    """

    columns: slice
    matrices: dict[int, Tensor]
    terms: list[tuple[int, int, int, Tensor | float]]


@dataclass(frozen=True)
class _Sums:
    """Sums over the atoms of B crystals of one space group; n images of atoms.

    Attributes
    ----------
    x
        Coordinates of the images along the two axes of the row, (B, n, 2).
    exponent
        b + 8π²U of each Gaussian in Å², (B, 5, n).
    classes
        The columns.
    width
        Number of columns.
    parts
        1 where F is real in this group, otherwise 2.
    period
        Of the coefficients.
    """

    x: Tensor
    exponent: Tensor
    classes: list[_Class]
    width: int
    parts: int
    period: int

    @classmethod
    def of(
        cls, batch: CrystalBatch, plan: _Plan, axis: int, column: NDArray[np.integer], gaussians: Tensor
    ) -> _Sums:
        n = max(size[0] for size in batch.sizes)
        dtype, device = batch.frac.dtype, batch.device
        rotations, translations = (
            torch.from_numpy(array).to(device, dtype) for array in (plan.rotations, plan.translations)
        )
        x = (batch.frac[:, None, :n] @ rotations.transpose(1, 2) + translations[:, None]).flatten(1, 2)
        # Small coordinates keep h·x small, and with it the rounding of its fractional part.
        x = x - x.detach().round()
        numbers = batch.elements.gather(1, batch.species[:, :n])
        table = gaussians[numbers].transpose(1, 2)  # (B, 10, n)
        images = (1, 1, len(rotations))
        exponent = (table[:, _GAUSSIANS:] + 8 * math.pi**2 * batch.u_iso[:, None, :n]).repeat(images)
        weight = (table[:, :_GAUSSIANS] * batch.weight[:, None, :n]).repeat(images)

        k = torch.from_numpy(column).to(device, dtype)
        phase = turns(x[..., axis, None] * k)[:, None]  # (B, 1, n, K)
        s2 = batch.reciprocal_metric[:, axis, axis, None] * k**2 / 4
        damped = weight[..., None] * torch.exp(-exponent[..., None] * s2[:, None, None])
        sides = [(damped * phase.cos()).flatten(1, 2), (damped * phase.sin()).flatten(1, 2)]
        c = _coefficients(batch.space_groups[0], axis, dtype, device)
        classes = [
            _class(plan, c, sides, residue, (residue - int(column[0])) % plan.period)
            for residue in range(plan.period)
        ]
        parts = 2 if plan.coefficients[1].any() else 1
        return cls(x[..., _row_axes(axis)], exponent, classes, len(column), parts, plan.period)

    def __call__(self, some: slice, row: Tensor, s2: Tensor) -> Tensor:
        """F of some crystals at rows (b, R, 2) with s² (b, R) → (b, R, K)."""
        h = row.to(s2.dtype).transpose(1, 2)
        phase = turns(self.x[some] @ h)[:, None]  # (b, 1, n, R)
        damping = torch.exp(self.exponent[some, ..., None] * -s2[:, None, None])  # (b, 5, n, R)
        functions = {0: torch.cos, 1: torch.sin}
        by_row = {
            a: (damping * functions[a](phase)).flatten(1, 2).transpose(1, 2)
            for a in sorted({a for c in self.classes for a in c.matrices})
        }
        residue = (row[..., 0] % self.period) * self.period + row[..., 1] % self.period
        parts = s2.new_zeros(self.parts, *s2.shape, self.width)
        for c in self.classes:
            width = len(range(self.width)[c.columns])
            if not width:
                continue
            products = {a: by_row[a] @ side[some] for a, side in c.matrices.items()}
            found: dict[int, Tensor] = {}
            for a, place, part, coefficient in c.terms:
                value = products[a][..., place * width : (place + 1) * width]
                factor = coefficient[residue][..., None] if isinstance(coefficient, Tensor) else coefficient
                found[part] = value * factor + found[part] if part in found else value * factor
            for part, value in found.items():
                parts[part, ..., c.columns] = value
        return parts[0] if self.parts == 1 else torch.complex(parts[0], parts[1])


def _class(plan: _Plan, c: Tensor, sides: list[Tensor], residue: int, first: int) -> _Class:
    """What enters at the columns with one residue modulo the period, the first of them at `first`."""
    columns = slice(first, None, plan.period)
    values = plan.coefficients[..., residue]  # (2, 2, 2, p, p)
    matrices: dict[int, Tensor] = {}
    terms: list[tuple[int, int, int, Tensor | float]] = []
    for a in (0, 1):
        chosen = [b for b in (0, 1) if values[:, a, b].any()]
        if chosen:
            matrices[a] = torch.cat([sides[b][..., columns] for b in chosen], -1)
        for place, b in enumerate(chosen):
            for part in (0, 1):
                value = values[part, a, b]
                if value.any():
                    same = (value == value[0, 0]).all()
                    terms.append((a, place, part, float(value[0, 0]) if same else c[part, a, b, residue]))
    return _Class(columns, matrices, terms)


def _five_gaussians(table: NDArray[np.float64]) -> Tensor:
    """a and b of five Gaussians of each element, the constant being one of no width, (99, 10)."""
    zero = np.zeros((len(table), 1))
    return torch.from_numpy(np.concatenate([table[:, :4], table[:, 8:], table[:, 4:8], zero], 1))
