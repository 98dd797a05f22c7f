"""Structure factors of many crystals at once, on any device.

F(h) = Σ_j w_j f_j(s) exp(−8π² U_j s²) Σ_ops exp(+2πi h·(R x_j + t)), with s = 1/2d.

Lists that fill their box of indices are summed as matrix products (:mod:`xrdml.physics.box_sum`); short
lists, and cells without a right angle in reciprocal space, directly. There the operations of a
group are split as centring × inversion × representatives: only the representatives are summed
over the atoms, the other two are factors of each reflection.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrdml.crystal.grid import HklGrid
from xrdml.crystal.scattering import it92_table
from xrdml.physics.box_sum import amplitudes_in_box, sums_in_box
from xrdml.physics.crystal_batch import CrystalBatch, collate, s_squared, turns

__all__ = ["CrystalBatch", "amplitudes_in_box", "collate", "s_squared", "structure_factors"]

# Phases held at a time: on the CPU what stays in the cache, elsewhere what fills the device.
PHASES_CPU = 2**17
PHASES_DEVICE = 2**26
# A box is worth its cost where that many reflections fall on a row of it.
DENSE = 2
# Summed by boxes at a time.
CRYSTALS = 512


def structure_factors(
    batch: CrystalBatch,
    hkl: Tensor,
    mask: Tensor | None = None,
    table: NDArray[np.float64] | None = None,
) -> Tensor:
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
    table
        Scattering factors by atomic number in the form of :func:`it92_table`, (99, 9); None is that one.
    """
    n = len(batch)
    h = hkl.to(batch.device)
    h = h.expand(n, *h.shape[-2:])
    m = h.shape[1]
    if mask is None:
        reach = [m] * n
    else:
        reach = (mask * torch.arange(1, m + 1, device=mask.device)).amax(1).tolist() if m else [0] * n
    boxes = _boxes(batch, h, reach)
    if mask is None and len(boxes) == n <= CRYSTALS:
        return _from_box(batch, h, list(boxes.values()), table)
    out = torch.zeros(n, m, dtype=torch.promote_types(batch.frac.dtype, torch.complex32), device=batch.device)
    dense, rest = [k for k in range(n) if k in boxes], [k for k in range(n) if k not in boxes]
    for first in range(0, len(dense), CRYSTALS):
        some = dense[first : first + CRYSTALS]
        part, listed = (batch, h) if len(some) == n else (batch.select(some), h[some])
        out[some] = _from_box(part, listed, [boxes[k] for k in some], table)
    coefficients = torch.from_numpy(it92_table() if table is None else table)
    coefficients = coefficients.to(batch.device, batch.frac.dtype)
    few, h = (batch.select(rest), h[rest]) if dense else (batch, h)
    for crystals, columns in _tiles(few, [reach[k] for k in rest]):
        out[rest[crystals], columns] = _block(
            few, crystals, h[crystals, columns].to(batch.frac.dtype), coefficients
        )
    return out if mask is None else out * mask


def _boxes(batch: CrystalBatch, h: Tensor, reach: list[int]) -> dict[int, HklGrid]:
    """The box of indices of each crystal whose list fills it well enough to be summed as a whole."""
    if not h.shape[1] or all(axis is None for axis in batch.column_axes):
        return {}
    if h.stride(0) == 0 and min(reach) == h.shape[1]:
        lower, upper = ([bound.tolist()] * len(batch) for bound in (h[0].amin(0), h[0].amax(0)))
    else:
        used = torch.arange(h.shape[1], device=h.device) < torch.tensor(reach, device=h.device)[:, None]
        listed = torch.where(used[..., None], h, 0)
        lower, upper = listed.amin(1).tolist(), listed.amax(1).tolist()
    found: dict[int, HklGrid] = {}
    for k, axis in enumerate(batch.column_axes):
        if axis is None:
            continue
        box = HklGrid(tuple(lower[k]), tuple(upper[k]))
        if reach[k] * batch.sizes[k][2] >= DENSE * math.prod(box.shape) / box.shape[axis]:
            found[k] = box
    return found


def _from_box(
    batch: CrystalBatch, h: Tensor, boxes: list[HklGrid], table: NDArray[np.float64] | None
) -> Tensor:
    """F at h (b, M, 3) by way of the box that holds all; 0 outside of it, where h does not count."""
    lower, upper = np.min([box.lower for box in boxes], 0), np.max([box.upper for box in boxes], 0)
    box = HklGrid(tuple(lower.tolist()), tuple(upper.tolist()))
    shared = h.stride(0) == 0  # one list for all crystals
    listed = h[:1] if shared else h
    at = listed - torch.from_numpy(lower).to(h.device)
    inside = ((at >= 0) & (at < torch.tensor(box.shape, device=h.device))).all(-1)
    s2 = s_squared(batch.reciprocal_metric, listed[0] if shared else listed) * inside
    out = torch.zeros(h.shape[:2], dtype=torch.promote_types(s2.dtype, torch.complex32), device=h.device)
    for members, axis, f in sums_in_box(batch, box, s2.amax(1), table):
        i, j = (n for n in range(3) if n != axis)
        flat = ((at[..., i] * box.shape[j] + at[..., j]) * box.shape[axis] + at[..., axis]).long() * inside
        found = f.flatten(1)
        found = found.index_select(1, flat[0]) if shared else found.gather(1, flat[members])
        if len(members) == len(batch):
            out = found
        else:
            out[members] = found
    return out if shared else out * inside


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


def _block(batch: CrystalBatch, rows: slice, h: Tensor, coefficients: Tensor) -> Tensor:
    """F of a block of crystals at h (b, m, 3) → (b, m)."""
    sizes = np.array(batch.sizes[rows])
    n_atoms, n_elements, n_ops = sizes.max(0).tolist()
    x = batch.frac[rows, :n_atoms]
    rotations, translations = batch.rotations[rows, :n_ops], batch.translations[rows, :n_ops]

    h_rotated = h[:, None] @ rotations  # (b, s, m, 3)
    shift = h[:, None] @ translations[..., None]  # (b, s, m, 1)
    phase = turns(h_rotated @ x[:, None].transpose(2, 3) + shift)  # (b, s, m, n)
    cos, sin = phase.cos(), phase.sin()
    if (sizes[:, 2] < n_ops).any():
        used = batch.operation[rows, :n_ops, None, None]
        cos, sin = cos * used, sin * used

    s2 = s_squared(batch.reciprocal_metric[rows], h)
    f = _form_factors(coefficients[batch.elements[rows, :n_elements]], s2)  # (b, m, e)
    belongs = batch.species[rows, None, :n_atoms] == torch.arange(n_elements, device=h.device)[:, None]
    f = f @ belongs.to(f.dtype)  # faster than to pick each
    damping = torch.exp(s2[..., None] * (-8 * math.pi**2 * batch.u_iso[rows, None, :n_atoms]))
    f = f * damping * batch.weight[rows, None, :n_atoms]
    half = torch.complex((cos.sum(1) * f).sum(-1), (sin.sum(1) * f).sum(-1))

    # Everything below is a factor of the whole reflection.
    turn = turns(h @ batch.inversion[rows, :, None])[..., 0]
    inverted = torch.polar(torch.ones_like(turn), turn) * half.conj()
    total = half + inverted * batch.is_centrosymmetric[rows, None]
    vectors = turns(h @ batch.centring[rows].transpose(1, 2))  # (b, m, 4), repeated to fill 4
    count = batch.n_centring[rows, None]
    used = torch.arange(4, device=h.device) < count[..., None]
    # Centring vectors come in ± pairs, so their sum is real.
    return total * (vectors.cos() * used).sum(-1)


def _form_factors(coefficients: Tensor, s2: Tensor) -> Tensor:
    """f in electrons: coefficients a, b, c (b, e, 9), s² (b, m) in Å⁻² → (b, m, e)."""
    table = coefficients[:, None]
    a, b, c = table[..., :4], table[..., 4:8], table[..., 8]
    return (a * torch.exp(-b * s2[..., None, None])).sum(-1) + c
