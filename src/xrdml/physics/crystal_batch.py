"""Many crystals as padded tensors: what every sum over atoms starts from."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrdml.crystal.cell import reciprocal_metric
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import symmetry


@dataclass(frozen=True)
class CrystalBatch:
    """B crystals as padded tensors; make it with :func:`collate`.

    Attributes
    ----------
    cell
        a, b, c in Å; α, β, γ in degrees, (B, 6).
    reciprocal_metric
        G* in Å⁻², (B, 3, 3): 1/d² = h·G*·h.
    space_groups
        B names that :func:`xrdml.crystal.symmetry.symmetry` takes.
    frac
        Fractional coordinates, (B, N, 3), reduced to −½…½.
    u_iso
        Mean-square displacements in Å², (B, N).
    weight
        Occupancy / order of the site symmetry, (B, N); 0 marks padding.
    elements, species
        Atomic numbers that occur, (B, E), padded with 0; element of each atom as an index into
        them, (B, N).
    rotations, translations
        One operation of each coset of centring and inversion, (B, S, 3, 3) and (B, S, 3).
    operation
        1 for an operation, 0 for padding, (B, S).
    centring
        Centring vectors with the zero vector, (B, 4, 3); `n_centring` (B,) of them count.
    inversion
        Translation part of the inversion, (B, 3); `is_centrosymmetric` (B,) says whether it is one.
    sizes
        (atoms, elements, operations) of each crystal, on the host: what is padding, known
        without asking the device.
    column_axes
        For each crystal an axis (0, 1 or 2) that is perpendicular to the other two in reciprocal
        space, or None where there is none; on the host.
    checksum
        Of all coordinates: the same crystals in the same order have the same, anywhere.
    """

    cell: Tensor
    reciprocal_metric: Tensor
    space_groups: list[str]
    frac: Tensor
    u_iso: Tensor
    weight: Tensor
    elements: Tensor
    species: Tensor
    rotations: Tensor
    translations: Tensor
    operation: Tensor
    centring: Tensor
    n_centring: Tensor
    inversion: Tensor
    is_centrosymmetric: Tensor
    sizes: list[tuple[int, int, int]]
    column_axes: list[int | None]
    checksum: int

    def __len__(self) -> int:
        return len(self.space_groups)

    @property
    def device(self) -> torch.device:
        return self.frac.device

    def to(self, device: torch.device | str) -> CrystalBatch:
        """The same batch on another device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def select(self, rows: list[int]) -> CrystalBatch:
        """Some of the crystals, in the order given."""
        index = torch.tensor(rows, dtype=torch.int64, device=self.device)
        chosen = self._map(lambda tensor: tensor[index])
        return replace(
            chosen,
            space_groups=[self.space_groups[k] for k in rows],
            sizes=[self.sizes[k] for k in rows],
            column_axes=[self.column_axes[k] for k in rows],
        )

    def pin_memory(self) -> CrystalBatch:
        """The same batch in page-locked memory, which a DataLoader asks for."""
        return self._map(Tensor.pin_memory)

    def _map(self, function) -> CrystalBatch:
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: function(v) for k, v in tensors.items() if isinstance(v, Tensor)})


@dataclass(frozen=True)
class _Cosets:
    rotations: NDArray[np.float64]
    translations: NDArray[np.float64]
    centring: NDArray[np.float64]
    inversion: NDArray[np.float64] | None


@cache
def _cosets(space_group: str) -> _Cosets:
    """Split a space group into centring, inversion and representatives of the rest."""
    group = symmetry(space_group)
    identity = np.eye(3, dtype=int)
    first: dict[bytes, int] = {}
    for i, rotation in enumerate(group.rotations):
        if (-rotation).tobytes() in first and group.is_centrosymmetric:
            continue
        first.setdefault(rotation.tobytes(), i)
    keep = list(first.values())
    inverted = np.flatnonzero((group.rotations == -identity).all((1, 2)))
    return _Cosets(
        rotations=group.rotations[keep].astype(float),
        translations=group.translations[keep],
        centring=group.translations[(group.rotations == identity).all((1, 2))],
        inversion=group.translations[inverted[0]] if len(inverted) else None,
    )


def collate(structures: Sequence[Structure], dtype: torch.dtype = torch.float32) -> CrystalBatch:
    """Put structures into one batch on the CPU.

    Parameters
    ----------
    structures
        At least one; any space groups, any numbers of atoms.
    dtype
        Of all real tensors: float32 gives |F| to about 1e-6 of its rms, float64 to 1e-14.
    """
    cosets = [_cosets(s.space_group) for s in structures]
    species = [np.unique(s.numbers, return_inverse=True) for s in structures]
    sizes = [
        (len(s), len(z), len(c.rotations)) for s, (z, _), c in zip(structures, species, cosets, strict=True)
    ]

    metrics = [reciprocal_metric(s.cell) for s in structures]

    def real(arrays: Sequence) -> Tensor:
        return torch.from_numpy(_pad(arrays, float)).to(dtype)

    zero = np.zeros(3)
    return CrystalBatch(
        cell=real([s.cell for s in structures]),
        reciprocal_metric=real(metrics),
        space_groups=[s.space_group for s in structures],
        # Small coordinates keep h·x small, and with it the rounding of its fractional part.
        frac=real([s.frac - np.round(s.frac) for s in structures]),
        u_iso=real([s.u_iso for s in structures]),
        weight=real([s.weight for s in structures]),
        elements=torch.from_numpy(_pad([z for z, _ in species], np.int64)),
        species=torch.from_numpy(_pad([index for _, index in species], np.int64)),
        rotations=real([c.rotations for c in cosets]),
        translations=real([c.translations for c in cosets]),
        operation=real([np.ones(len(c.rotations)) for c in cosets]),
        centring=real([np.resize(c.centring, (4, 3)) for c in cosets]),
        n_centring=torch.tensor([len(c.centring) for c in cosets]),
        inversion=real([zero if c.inversion is None else c.inversion for c in cosets]),
        is_centrosymmetric=torch.tensor([c.inversion is not None for c in cosets]),
        sizes=sizes,
        column_axes=[_column_axis(g) for g in metrics],
        checksum=zlib.crc32(b"".join(np.ascontiguousarray(s.frac).tobytes() for s in structures)),
    )


def _column_axis(g: NDArray[np.float64]) -> int | None:
    """An axis perpendicular to the other two in reciprocal space, b* where it is one, from G*."""
    for axis, i, j in ((1, 0, 2), (2, 0, 1), (0, 1, 2)):
        if abs(g[axis, i]) + abs(g[axis, j]) < 1e-12 * g[axis, axis]:
            return axis
    return None


def _pad(arrays: Sequence, dtype) -> NDArray:
    """Stack arrays that differ in their first length, zeros at the end."""
    lengths = np.array([len(a) for a in arrays])
    filled = np.concatenate(arrays)
    out = np.zeros((len(arrays), lengths.max(), *filled.shape[1:]), dtype)
    out[np.arange(lengths.max()) < lengths[:, None]] = filled
    return out


def s_squared(reciprocal_metric: Tensor, hkl: Tensor) -> Tensor:
    """s² = 1/4d² in Å⁻²: G* (B, 3, 3) and hkl (B, M, 3) or (M, 3) → (B, M)."""
    h, k, l = hkl.to(reciprocal_metric.dtype).unbind(-1)
    products = torch.stack([h * h, k * k, l * l, h * k, h * l, k * l], -1)
    g = reciprocal_metric
    coefficients = torch.stack(
        [g[:, 0, 0] / 4, g[:, 1, 1] / 4, g[:, 2, 2] / 4, g[:, 0, 1] / 2, g[:, 0, 2] / 2, g[:, 1, 2] / 2], -1
    )
    return (products @ coefficients[..., None])[..., 0]


def turns(cycles: Tensor) -> Tensor:
    """2π times the part of a phase that counts: whole turns are removed before the product, since
    float32 would otherwise lose the digits behind the point."""
    return (cycles - cycles.detach().round()) * (2 * math.pi)
