"""Packing molecules into crystals: many at once, on any device.

A crystal starts large and is compressed to its final volume while orientations, positions, torsions and
the shape of the cell give way to the overlaps of neighbouring molecules.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xrdml.physics.contacts import closest_distance, touching_distance
from xrdml.physics.neighbors import Pose, RigidCrystals, Rows, find_rows, overlaps
from xrdml.physics.torsions import FURTHEST


@dataclass(frozen=True)
class Schedule:
    """How many steps, the first volume / the final one, and the share of the steps that compress; the
    others settle at the final volume."""

    steps: int
    expansion: float
    compression: float = 0.6


FROM_RANDOM = Schedule(220, 1.8)
SHAKEN = Schedule(110, 1.08)
REBUILD = 18
"""Steps between two searches for neighbours."""
SKIN = 1.2
"""Å that a pair may come nearer between two searches."""
FIRST_STEPS = (0.40, 0.20, 0.08, 0.08)
"""First step sizes of centres (Å), orientations (radians), cells (Å) and torsions (radians)."""
LAST_STEP = 0.03
"""Last step size / first step size."""
OWN_MARGIN = 0.1
"""Å by which atoms of one molecule may come nearer than the closest distance, or than they were."""
STEEPEST = 0.5
"""Largest cosine of a cell angle: 60–120°."""


def energy(bodies: RigidCrystals, pose: Pose, rows: Rows) -> Tensor:
    """Σ (r² − d²)² in Å⁴ over the pairs of atoms nearer than their touching distance r, (C,)."""
    of_rows = torch.relu(overlaps(bodies, pose, rows)[0]).square().sum((1, 2)) * rows.weight
    return pose.cell.new_zeros(len(pose.cell)).index_add_(0, rows.crystal, of_rows)


def gradient(bodies: RigidCrystals, pose: Pose, rows: Rows) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Derivatives of :func:`energy` by the Cartesian centres of the bodies (P, 3), by rotation vectors
    (P, 3), by the orthogonalisation matrices at fixed fractional coordinates (C, 3, 3), and by torsions
    (P, T)."""
    u, first, second = overlaps(bodies, pose, rows)
    u.relu_()
    one = torch.ones_like(first[..., :1])
    on_first = u @ torch.cat([second, one], 2)
    on_second = u.transpose(1, 2) @ torch.cat([first, one], 2)
    scale = -4 * rows.weight[:, None, None]
    force = scale * (on_first[..., 3:] * first - on_first[..., :3])
    back = scale * (on_second[..., :3] - on_second[..., 3:] * second) * rows.sign[:, None]

    whole = force.sum(1)
    by_fraction = torch.einsum("kij,ki->kj", pose.cell[rows.crystal], whole)
    center = torch.zeros_like(pose.center)
    center.index_add_(0, rows.p, by_fraction).index_add_(0, rows.q, -rows.sign * by_fraction)
    inverse = torch.linalg.inv(pose.cell)[bodies.crystal]
    center = torch.einsum("pji,pj->pi", inverse, center) * bodies.mobile[:, None]

    by_atom = torch.zeros_like(bodies.atoms)
    by_atom.index_add_(0, rows.p, force).index_add_(0, rows.q, back, alpha=-1)
    # Torques are the antisymmetric part of Σ x ⊗ force.
    moment = (bodies.atoms @ pose.rotation.transpose(1, 2)).transpose(1, 2) @ by_atom
    rotation = (moment - moment.transpose(1, 2))[:, (1, 2, 0), (2, 0, 1)]

    cell = torch.zeros_like(pose.cell)
    cell.index_add_(0, rows.crystal, whole[:, :, None] * rows.offset(pose)[:, None])
    torsion = bodies.torsions.slopes(bodies.atoms, by_atom @ pose.rotation)
    return center, rotation, cell * bodies.free, torsion


def own_limit(bodies: RigidCrystals, table: Tensor) -> Tensor:
    """Squared distances in Å² under which atoms of one body push each other apart, (P, N, N): those of
    the table, but none nearer than the body has them, and 0 for pairs less than four bonds apart."""
    allowed = table[bodies.kind[:, :, None], bodies.kind[:, None, :]]
    own = torch.cdist(bodies.atoms, bodies.atoms)
    return torch.minimum(allowed, own).square() * bodies.torsions.apart


def _own_slopes(bodies: RigidCrystals, limit: Tensor) -> Tensor:
    """Derivatives by the torsions of ½ Σ (limit − d²)² over the pairs of atoms of each body, (P, T)."""
    x = bodies.atoms
    u = torch.relu(limit - torch.cdist(x, x).square())
    return bodies.torsions.slopes(x, -4 * (u.sum(2, keepdim=True) * x - u @ x))


class _Adam:
    """D. P. Kingma and J. Ba, arXiv:1412.6980, each crystal for itself: one scale for all of a tensor's
    components keeps the direction."""

    def __init__(self, beta1: float = 0.85, beta2: float = 0.95):
        self.betas = (beta1, beta2)
        self.mean: Tensor | float = 0.0
        self.square: Tensor | float = 0.0
        self.step = 0

    def __call__(self, gradient: Tensor) -> Tensor:
        b1, b2 = self.betas
        self.step += 1
        size = gradient.flatten(1).square().sum(1).view(-1, *[1] * (gradient.dim() - 1))
        self.mean = b1 * self.mean + (1 - b1) * gradient
        self.square = b2 * self.square + (1 - b2) * size
        mean = self.mean / (1 - b1**self.step)
        return mean / (self.square / (1 - b2**self.step) + 1e-8).sqrt()


def pack(
    bodies: RigidCrystals, start: Pose, volume: Tensor, schedule: Schedule
) -> tuple[RigidCrystals, Pose]:
    """Compress crystals to `volume` (C,) in Å³; the shape of `start.cell` counts, not its size.

    Returns
    -------
    The bodies with their torsions as they became, and where they are.
    """
    touching = touching_distance().to(start.cell.device)
    limit = own_limit(bodies, touching)
    turned = start.cell.new_zeros(bodies.torsions.axis.shape[:2])
    pose = replace(start, cell=_scaled(start.cell, volume * schedule.expansion))
    rows = find_rows(bodies, pose, touching, SKIN)
    optimisers = [_Adam() for _ in FIRST_STEPS]
    for step in range(schedule.steps):
        if step and step % REBUILD == 0:
            pose = replace(pose, rotation=_orthonormal(pose.rotation))
            rows = find_rows(bodies, pose, touching, SKIN)
        *slopes, by_torsion = gradient(bodies, pose, rows)
        slopes.append(by_torsion + _own_slopes(bodies, limit))
        done = step / (schedule.steps - 1)
        size = LAST_STEP ** (max(0.0, done - schedule.compression / 2) / (1 - schedule.compression / 2))
        move, turn, strain, twist = (
            optimiser(slope) * -scale * size
            for optimiser, slope, scale in zip(optimisers, slopes, FIRST_STEPS, strict=True)
        )
        share = max(0.0, 1 - (done / schedule.compression))
        cell = _scaled(_upright(pose.cell + strain), volume * schedule.expansion**share)
        move = torch.einsum("pij,pj->pi", torch.linalg.inv(pose.cell)[bodies.crystal], move)
        pose = Pose(cell, _small_rotation(turn) @ pose.rotation, pose.center + move)
        twist = (turned + twist).clamp(-FURTHEST, FURTHEST) - turned
        turned = turned + twist
        bodies = replace(bodies, atoms=bodies.torsions.turned(bodies.atoms, twist))
    return bodies, replace(pose, rotation=_orthonormal(pose.rotation))


def bad_contacts(bodies: RigidCrystals, pose: Pose) -> Tensor:
    """Pairs of atoms of each crystal that are too close, (C,)."""
    rows = find_rows(bodies, pose, closest_distance().to(pose.cell.device), 0.0)
    bad = (overlaps(bodies, pose, rows)[0] > 0).sum((1, 2))
    return torch.zeros(len(pose.cell), dtype=bad.dtype, device=bad.device).index_add_(0, rows.crystal, bad)


def bent_too_far(bodies: RigidCrystals, limit: Tensor) -> Tensor:
    """Pairs of atoms within bodies that torsions brought nearer than `limit` (P, N, N) in Å², (C,)."""
    close = torch.cdist(bodies.atoms, bodies.atoms) < limit.sqrt() - OWN_MARGIN
    per_body = close.triu(1).sum((1, 2))
    out = torch.zeros(len(bodies.free), dtype=per_body.dtype, device=per_body.device)
    return out.index_add_(0, bodies.crystal, per_body)


def _scaled(cell: Tensor, volume: Tensor) -> Tensor:
    return cell * (volume / torch.linalg.det(cell)).abs().pow(1 / 3)[:, None, None]


def _upright(cell: Tensor) -> Tensor:
    """Hold the angles of cells between 60 and 120°, roughly where triclinic."""
    b, c = cell[:, 1, 1], cell[:, 2, 2]
    slope = STEEPEST / math.sqrt(1 - STEEPEST**2)
    out = cell.clone()
    out[:, 0, 1] = cell[:, 0, 1].clamp(-slope * b, slope * b)
    out[:, 0, 2] = cell[:, 0, 2].clamp(-slope * c, slope * c)
    out[:, 1, 2] = cell[:, 1, 2].clamp(-slope * c, slope * c)
    return out


def _small_rotation(vector: Tensor) -> Tensor:
    """Rotation matrices (P, 3, 3) of small rotation vectors in radians (P, 3), by Cayley's map."""
    half = vector / 2
    x, y, z = half.unbind(1)
    zero = torch.zeros_like(x)
    k = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).view(-1, 3, 3)
    scale = 2 / (1 + half.square().sum(1))
    return torch.eye(3, dtype=k.dtype, device=k.device) + scale[:, None, None] * (k + k @ k)


def _orthonormal(rotation: Tensor) -> Tensor:
    """Remove what rounding added to rotation matrices."""
    x = torch.nn.functional.normalize(rotation[:, 0], dim=1)
    y = rotation[:, 1] - (rotation[:, 1] * x).sum(1, keepdim=True) * x
    y = torch.nn.functional.normalize(y, dim=1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], 1)
