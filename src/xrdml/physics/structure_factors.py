"""Structure factors of many crystals at once, on any device.

F(h) = Σ_j w_j f_j(s) exp(−8π² U_j s²) Σ_ops exp(+2πi h·(R x_j + t)), with s = 1/2d.

The operations of a group are split as centring × inversion × representatives: only the
representatives are summed over the atoms, the other two are factors of each reflection.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrdml.crystal.cell import reciprocal_metric
from xrdml.crystal.scattering import it92_table
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import symmetry

# Phases held at a time: on the CPU what stays in the cache, elsewhere what fills the device.
PHASES_CPU = 2**17
PHASES_DEVICE = 2**26


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

    def __len__(self) -> int:
        return len(self.space_groups)

    @property
    def device(self) -> torch.device:
        return self.frac.device

    def to(self, device: torch.device | str) -> CrystalBatch:
        """The same batch on another device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

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

    def real(arrays: Sequence) -> Tensor:
        return torch.from_numpy(_pad(arrays, float)).to(dtype)

    zero = np.zeros(3)
    return CrystalBatch(
        cell=real([s.cell for s in structures]),
        reciprocal_metric=real([reciprocal_metric(s.cell) for s in structures]),
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
    )


def _pad(arrays: Sequence, dtype) -> NDArray:
    """Stack arrays that differ in their first length, zeros at the end."""
    arrays = [np.asarray(a) for a in arrays]
    out = np.zeros((len(arrays), max(len(a) for a in arrays), *arrays[0].shape[1:]), dtype)
    for row, array in zip(out, arrays, strict=True):
        row[: len(array)] = array
    return out


def s_squared(reciprocal_metric: Tensor, hkl: Tensor) -> Tensor:
    """s² = 1/4d² in Å⁻²: G* (B, 3, 3) and hkl (B, M, 3) or (M, 3) → (B, M)."""
    h = hkl.to(reciprocal_metric.dtype)
    return ((h @ reciprocal_metric) * h).sum(-1) / 4


def structure_factors(batch: CrystalBatch, hkl: Tensor, mask: Tensor | None = None) -> Tensor:
    """F in electrons per cell, complex (B, M), differentiable in coordinates, U and weights.

    Parameters
    ----------
    batch
        The crystals.
    hkl
        Miller indices, (B, M, 3) or, the same for all crystals, (M, 3).
    mask
        Which of them to compute, (B, M) bool; the others are zero. Columns past a crystal's last
        True cost nothing, so pack the wanted ones to the front.
    """
    n = len(batch)
    h = hkl.to(batch.device, batch.frac.dtype)
    h = h.expand(n, *h.shape[-2:])
    m = h.shape[1]
    if mask is None:
        reach = [m] * n
    else:
        reach = (mask * torch.arange(1, m + 1, device=mask.device)).amax(1).tolist() if m else [0] * n
    out = torch.zeros(n, m, dtype=torch.promote_types(h.dtype, torch.complex32), device=h.device)
    for crystals, columns in _tiles(batch, reach):
        out[crystals, columns] = _block(batch, crystals, h[crystals, columns])
    return out if mask is None else out * mask


def _tiles(batch: CrystalBatch, reach: list[int]) -> Iterator[tuple[slice, slice]]:
    """Cut (crystal, reflection) into blocks of a bounded number of phases."""
    budget = PHASES_CPU if batch.device.type == "cpu" else PHASES_DEVICE

    def phases(rows: slice) -> tuple[int, int]:
        size = np.array(batch.sizes[rows]).max(0)
        return int(size[0] * size[2]), max(reach[rows])

    start = 0
    while start < len(batch):
        stop = start + 1
        per_reflection, width = phases(slice(start, stop))
        while stop < len(batch):
            wider = phases(slice(start, stop + 1))
            if (stop + 1 - start) * wider[0] * wider[1] > budget:
                break
            per_reflection, width = wider
            stop += 1
        step = max(1, budget // ((stop - start) * max(per_reflection, 1)))
        for first in range(0, width, step):
            yield slice(start, stop), slice(first, min(first + step, width))
        start = stop


def _block(batch: CrystalBatch, rows: slice, h: Tensor) -> Tensor:
    """F of a block of crystals at h (b, m, 3) → (b, m)."""
    sizes = np.array(batch.sizes[rows])
    n_atoms, n_elements, n_ops = sizes.max(0).tolist()
    x = batch.frac[rows, :n_atoms]
    rotations, translations = batch.rotations[rows, :n_ops], batch.translations[rows, :n_ops]

    h_rotated = h[:, None] @ rotations  # (b, s, m, 3)
    shift = h[:, None] @ translations[..., None]  # (b, s, m, 1)
    phase = _turns(h_rotated @ x[:, None].transpose(2, 3) + shift)  # (b, s, m, n)
    cos, sin = phase.cos(), phase.sin()
    if (sizes[:, 2] < n_ops).any():
        used = batch.operation[rows, :n_ops, None, None]
        cos, sin = cos * used, sin * used

    s2 = s_squared(batch.reciprocal_metric[rows], h)
    f = _form_factors(batch.elements[rows, :n_elements], s2)  # (b, m, e)
    f = f.gather(2, batch.species[rows, None, :n_atoms].expand(-1, h.shape[1], -1))
    damping = torch.exp(s2[..., None] * (-8 * math.pi**2 * batch.u_iso[rows, None, :n_atoms]))
    f = f * damping * batch.weight[rows, None, :n_atoms]
    half = torch.complex((cos.sum(1) * f).sum(-1), (sin.sum(1) * f).sum(-1))

    # Everything below is a factor of the whole reflection.
    turn = _turns(h @ batch.inversion[rows, :, None])[..., 0]
    inverted = torch.polar(torch.ones_like(turn), turn) * half.conj()
    total = half + inverted * batch.is_centrosymmetric[rows, None]
    vectors = _turns(h @ batch.centring[rows].transpose(1, 2))  # (b, m, 4), repeated to fill 4
    count = batch.n_centring[rows, None]
    used = torch.arange(4, device=h.device) < count[..., None]
    # Centring vectors come in ± pairs, so their sum is real.
    return total * (vectors.cos() * used).sum(-1)


def _turns(cycles: Tensor) -> Tensor:
    """2π times the part of a phase that counts: whole turns are removed before the product, since
    float32 would otherwise lose the digits behind the point."""
    return (cycles - cycles.detach().round()) * (2 * math.pi)


def _form_factors(numbers: Tensor, s2: Tensor) -> Tensor:
    """f in electrons: atomic numbers (b, e), s² (b, m) in Å⁻² → (b, m, e)."""
    table = _table(s2.dtype, s2.device)[numbers][:, None]  # (b, 1, e, 9)
    a, b, c = table[..., :4], table[..., 4:8], table[..., 8]
    return (a * torch.exp(-b * s2[..., None, None])).sum(-1) + c


@cache
def _table(dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.from_numpy(it92_table()).to(device, dtype)
