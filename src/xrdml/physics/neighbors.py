"""Which images of which molecules may touch, for many crystals at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xrdml.physics.contacts import POLAR_H
from xrdml.physics.torsions import Torsions

HYDROGEN_REACH = 0.6
"""Å by which hydrogen atoms bring molecules into touch whose other atoms are farther apart than any
touching distance."""


@dataclass(frozen=True)
class RigidCrystals:
    """C crystals made of P bodies, rigid but for torsions, as padded tensors.

    All rotations of the space groups are diagonal (±1), which holds for triclinic, monoclinic and
    orthorhombic groups on their usual axes: they act alike on fractional and Cartesian coordinates.

    Attributes
    ----------
    crystal
        Crystal of each body, (P,).
    atoms
        Cartesian coordinates of each body about its own centre in Å, hydrogen last, (P, N, 3).
    kind
        Kind of each atom (:mod:`xrdml.physics.contacts`), (P, N), 0 for padding.
    signs, shifts
        Diagonal of the rotation and translation of each operation, (C, S, 3).
    operation
        Whether it is one or padding, (C, S).
    free
        Entries of the orthogonalisation matrix that the crystal system leaves free, (C, 3, 3).
    mobile
        1 for each body that may move, 0 for one that sits on a centre of inversion, (P,).
    torsions
        Of each body.
    """

    crystal: Tensor
    atoms: Tensor
    kind: Tensor
    signs: Tensor
    shifts: Tensor
    operation: Tensor
    free: Tensor
    mobile: Tensor
    torsions: Torsions


@dataclass(frozen=True)
class Pose:
    """Where the bodies are: orthogonalisation matrices in Å (C, 3, 3), rotations (P, 3, 3) and
    fractional coordinates of the centres (P, 3)."""

    cell: Tensor
    rotation: Tensor
    center: Tensor


@dataclass(frozen=True)
class Rows:
    """K pairs of a body p and an image of a body q under x' = sign·x + shift, each pair once.

    `weight` (K,) is ½ where the image is also its own inverse, so that Σ weight·E is the energy of
    an asymmetric unit. `limit` (K, N, N) holds the squared touching distances in Å².
    """

    p: Tensor
    q: Tensor
    crystal: Tensor
    sign: Tensor
    shift: Tensor
    weight: Tensor
    limit: Tensor

    def offset(self, pose: Pose) -> Tensor:
        """Fractional vector from the centre of the image to that of p, (K, 3)."""
        return pose.center[self.p] - self.sign * pose.center[self.q] - self.shift


def overlaps(bodies: RigidCrystals, pose: Pose, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
    """r² − d² in Å² of all pairs of atoms (K, N, N), r the touching distance, and the coordinates they come
    from: atoms of p and atoms of the image of q, both (K, N, 3), about the centre of the image."""
    placed = bodies.atoms @ pose.rotation.transpose(1, 2)
    toward = torch.einsum("kij,kj->ki", pose.cell[rows.crystal], rows.offset(pose))
    first = placed[rows.p] + toward[:, None]
    second = placed[rows.q] * rows.sign[:, None]
    one = torch.ones_like(first[..., :1])
    # d² = |x|² + |y|² − 2 x·y as one product, because everything here waits for memory.
    left = torch.cat([2 * first, -first.square().sum(2, keepdim=True), -one], 2)
    right = torch.cat([second, one, second.square().sum(2, keepdim=True)], 2)
    return torch.baddbmm(rows.limit, left, right.transpose(1, 2)), first, second


def find_rows(bodies: RigidCrystals, pose: Pose, distance: Tensor, skin: float) -> Rows:
    """Pairs of which some atoms are nearer than the table `distance` (15, 15) plus `skin`, in Å."""
    p, q = _body_pairs(bodies.crystal)
    crystal = bodies.crystal[p]
    reach = bodies.atoms.norm(dim=2).amax(1)
    reach = reach[p] + reach[q] + distance.max() + skin
    lattice = _lattice(pose.cell[crystal], reach)

    sign, shift = bodies.signs[crystal], bodies.shifts[crystal]  # (pairs, S, 3)
    base = pose.center[p, None] - sign * pose.center[q, None] - shift
    whole = base.round()
    offset = (base - whole)[:, :, None] - lattice  # (pairs, S, L, 3)
    far = torch.einsum("bij,bslj->bsli", pose.cell[crystal], offset).square().sum(3)
    weight = torch.where((p == q)[:, None, None], _multiplicity(offset, sign), 1.0)
    weight = weight * bodies.operation[crystal][:, :, None]
    pair, op, step = torch.nonzero((far < reach[:, None, None] ** 2) & (weight > 0), as_tuple=True)

    rows = Rows(
        p=p[pair],
        q=q[pair],
        crystal=crystal[pair],
        sign=sign[pair, op],
        shift=shift[pair, op] + whole[pair, op] + lattice[step],
        weight=weight[pair, op, step],
        limit=(distance.max() + HYDROGEN_REACH + skin).square()[None, None, None],
    )
    # Most images fall away by their non-H atoms, a quarter of the pairs.
    n_heavy = int((bodies.kind > POLAR_H).sum(1).max())
    coarse = replace(bodies, atoms=bodies.atoms[:, :n_heavy])
    rows = _chosen(rows, overlaps(coarse, pose, rows)[0], distance + skin * (distance > 0), bodies.kind)
    return _chosen(rows, overlaps(bodies, pose, rows)[0], distance, bodies.kind)


def _chosen(rows: Rows, overlap: Tensor, distance: Tensor, kind: Tensor) -> Rows:
    """Rows in which anything overlaps, with the limits of another table of distances."""
    near = torch.nonzero(overlap.amax((1, 2)) > 0)[:, 0]
    p, q = rows.p[near], rows.q[near]
    # Far below zero with padding, which therefore never overlaps.
    squared = torch.where(distance > 0, distance.square(), -1e6)
    return Rows(
        p,
        q,
        rows.crystal[near],
        rows.sign[near],
        rows.shift[near],
        rows.weight[near],
        squared[kind[p, :, None], kind[q, None, :]],
    )


def _body_pairs(crystal: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs p ≤ q of bodies of the same crystal."""
    p, q = torch.nonzero(crystal[:, None] == crystal, as_tuple=True)
    return p[p <= q], q[p <= q]


def _lattice(cell: Tensor, reach: Tensor) -> Tensor:
    """Lattice vectors (L, 3) that bring an image within reach, for the crystal that needs most."""
    spacing = 1 / torch.linalg.inv(cell).norm(dim=2)
    most = (reach[:, None] / spacing + 0.5).amax(0).ceil().long().tolist()
    axes = [torch.arange(-n, n + 1, device=cell.device, dtype=cell.dtype) for n in most]
    return torch.cartesian_prod(*axes)


def _multiplicity(offset: Tensor, sign: Tensor) -> Tensor:
    """1, ½ or 0 for images of a body of its own, (pairs, S, L): of an image and its inverse, whose
    offsets differ in sign along the axes that the operation keeps, one counts."""
    kept = offset.where(sign[:, :, None] > 0, 0.0)
    kept = kept.where(kept.abs() > 1e-4, 0.0).sign()
    lead = (kept * kept.new_tensor([9.0, 3.0, 1.0])).sum(3).sign()
    identity = (sign > 0).all(2)[:, :, None]
    return torch.where(lead > 0, 1.0, torch.where((lead == 0) & ~identity, 0.5, 0.0))
