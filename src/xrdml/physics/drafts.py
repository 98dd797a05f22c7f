"""What a random molecular crystal is to hold, and where its packing starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrdml.crystal.cell import orthogonalization
from xrdml.crystal.molecular_options import MolecularOptions
from xrdml.crystal.molecule_library import Molecule
from xrdml.crystal.symmetry import Symmetry, symmetry
from xrdml.physics.contacts import atom_kinds, atom_volumes
from xrdml.physics.neighbors import RigidCrystals
from xrdml.physics.torsions import find_torsions

AXIS_SPREAD = 0.95
"""Spread of ln(axis) at the start; compression brings it down to that of published crystals."""
BETA, TRICLINIC_SPREAD, TRICLINIC = (90.0, 120.0), 14.0, (62.0, 118.0)
VOLUME_FACTOR, VOLUME_SPREAD = 0.978, 0.038
"""Volume / Σ volumes of the atoms: median, and spread of the logarithm. Published crystals of the train
families have 0.982 and 0.038; loose drafts pack more often than dense ones, so that fewer are drawn."""
SHAKE_ANGLE, SHAKE_AXES, SHAKE_CENTER = 0.15, 0.04, 0.02
"""Radians, ln(length), fractions of the cell."""
P_TWO_MOLECULES, P_SOLVENT = 0.10, 0.10
P_ON_CENTER = 0.9
"""Of molecules with a centre of inversion in groups with one."""
SYMMETRIC_WITHIN = 0.05
"""Å between an atom and the image of another, for a molecule to count as centrosymmetric."""

_FREE = {
    "triclinic": np.triu(np.ones((3, 3))),
    "monoclinic": np.array([[1, 0, 1], [0, 1, 0], [0, 0, 1]]),
    "orthorhombic": np.eye(3),
}


class Molecules(Protocol):
    """Molecules by number, the first `n_solvents` of them solvents."""

    @property
    def n_solvents(self) -> int: ...
    def __len__(self) -> int: ...
    def __getitem__(self, i: int, /) -> Molecule: ...


@dataclass(frozen=True)
class Draft:
    """One crystal to be packed.

    Attributes
    ----------
    group
        Its space group.
    bodies
        The molecules of its asymmetric unit.
    volume
        Of its cell, in Å³.
    on_center
        Whether the only molecule sits on the centre of inversion at the origin, half of it independent.
    """

    group: Symmetry
    bodies: list[Molecule]
    volume: float
    on_center: bool = False

    @property
    def operations(self) -> NDArray[np.intp]:
        """The operations of the group that make different molecules."""
        if not self.on_center:
            return np.arange(self.group.order)
        return np.flatnonzero(np.linalg.det(self.group.rotations) > 0)


def draft(molecules: Molecules, options: MolecularOptions, rng: np.random.Generator) -> Draft:
    """Draw the contents of a crystal."""
    names, weights = zip(*options.space_groups.items(), strict=True)
    group = symmetry(names[rng.choice(len(names), p=np.array(weights) / sum(weights))])
    two, solvate = rng.random(2) < (P_TWO_MOLECULES, P_SOLVENT)
    solvents = molecules.n_solvents
    molecule = molecules[int(rng.integers(solvents, len(molecules)))]
    on_center = group.is_centrosymmetric and rng.random() < P_ON_CENTER and bool(len(half_of(molecule)))
    bodies = [molecule] * (2 if two and not on_center else 1)
    if solvate and solvents and not on_center:
        bodies.append(molecules[int(rng.integers(solvents))])
    numbers = torch.from_numpy(np.concatenate([body[1] for body in bodies]).astype(np.int64))
    factor = VOLUME_FACTOR * np.exp(rng.normal(0, VOLUME_SPREAD))
    images = group.order / (2 if on_center else 1)
    return Draft(group, bodies, float(atom_volumes(numbers).sum()) * factor * images, on_center)


def half_of(molecule: Molecule) -> NDArray[np.intp]:
    """One atom of each pair that inversion at the origin exchanges, hydrogen with its bearer; empty for a
    molecule of another symmetry."""
    _, numbers, x = molecule
    if np.abs(x.sum(0)).max() > len(x) * SYMMETRIC_WITHIN:
        return np.zeros(0, np.intp)
    distance = np.linalg.norm(x[:, None] + x, axis=2)
    twin = distance.argmin(1)
    own = np.arange(len(x))
    same = (numbers[twin] == numbers).all() and (twin[twin] == own).all() and (twin != own).all()
    if not same or distance[own, twin].max() > SYMMETRIC_WITHIN:
        return np.zeros(0, np.intp)
    heavy = np.flatnonzero(numbers > 1)
    kept = {int(i) for i in heavy if i < twin[i]}
    near = np.linalg.norm(x[:, None] - x[heavy], axis=2).argmin(1)
    return np.array([i for i in own if int(heavy[near[i]]) in kept], np.intp)


def rigid_crystals(drafts: Sequence[Draft], device: torch.device | str) -> tuple[RigidCrystals, Tensor]:
    """Drafts as one padded batch, and the volumes of their cells in Å³, (C,)."""
    bodies = [body for d in drafts for body in d.bodies]
    width = max(len(numbers) for _, numbers, _ in bodies)
    padded_numbers = np.zeros((len(bodies), width), np.int64)
    padded_atoms = np.zeros((len(bodies), width, 3), np.float32)
    for k, (_, numbers, positions) in enumerate(bodies):
        padded_numbers[k, : len(numbers)], padded_atoms[k, : len(numbers)] = numbers, positions
    order = max(len(d.operations) for d in drafts)
    signs, shifts = np.ones((2, len(drafts), order, 3), np.float32)
    operation = np.zeros((len(drafts), order), bool)
    for k, d in enumerate(drafts):
        chosen = d.operations
        signs[k, : len(chosen)] = np.diagonal(d.group.rotations[chosen], axis1=1, axis2=2)
        shifts[k, : len(chosen)] = d.group.translations[chosen]
        operation[k, : len(chosen)] = True
    free = np.stack([_FREE[d.group.crystal_system] for d in drafts])
    crystal = np.repeat(np.arange(len(drafts)), [len(d.bodies) for d in drafts])
    mobile = np.array([not d.on_center for d in drafts])[crystal]

    # Torsions of a molecule on a centre of inversion would have to change in pairs: it stays as it is.
    rigid = (np.zeros(0, np.uint8), np.zeros((0, 3)))
    flexible = [rigid if d.on_center else (z, x) for d in drafts for _, z, x in d.bodies]

    def tensor(array: NDArray, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.from_numpy(array).to(device, dtype)

    z, x = tensor(padded_numbers, torch.int64), tensor(padded_atoms)
    batch = RigidCrystals(
        tensor(crystal, torch.int64),
        x,
        atom_kinds(z, x),
        tensor(signs),
        tensor(shifts),
        tensor(operation, torch.bool),
        tensor(free),
        tensor(mobile),
        find_torsions(flexible, width, device),
    )
    return batch, tensor(np.array([d.volume for d in drafts]))


Arrangement = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""One crystal's part of a :class:`Pose`: cell matrix (3, 3), rotations (m, 3, 3), centres (m, 3)."""


def random_arrangement(d: Draft, rng: np.random.Generator) -> Arrangement:
    """A cell of random shape, molecules of random orientation at random places."""
    m = len(d.bodies)
    centers = np.zeros((m, 3)) if d.on_center else rng.random((m, 3))
    return _cell_matrix(d.group, rng), np.stack([_rotation(rng) for _ in range(m)]), centers


def shaken(d: Draft, arrangement: Arrangement, rng: np.random.Generator) -> Arrangement:
    """The same with molecules turned and moved a little, and the axes changed in length."""
    cell, rotations, centers = arrangement
    turns = np.stack([_rotation(rng, SHAKE_ANGLE) for _ in rotations])
    stretch = np.exp(rng.normal(0, SHAKE_AXES, 3))
    moves = rng.normal(0, 0 if d.on_center else SHAKE_CENTER, centers.shape)
    return cell * stretch, turns @ rotations, centers + moves


def _cell_matrix(group: Symmetry, rng: np.random.Generator) -> NDArray[np.float64]:
    a, b, c = np.exp(rng.normal(0, AXIS_SPREAD, 3)).tolist()
    alpha = beta = gamma = 90.0
    if group.crystal_system == "monoclinic":
        beta = rng.uniform(*BETA)
    elif group.crystal_system == "triclinic":
        alpha, beta, gamma = np.clip(rng.normal(90, TRICLINIC_SPREAD, 3), *TRICLINIC).tolist()
    return orthogonalization((10 * a, 10 * b, 10 * c, alpha, beta, gamma))


def _rotation(rng: np.random.Generator, angle: float = np.inf) -> NDArray[np.float64]:
    """Rotation matrix (3, 3) from a random quaternion: uniform, or by about `angle` radians."""
    q = rng.normal(size=4)
    if np.isfinite(angle):
        q = np.array([1.0, *(q[1:] * angle / 2)])
    w, x, y, z = q / np.linalg.norm(q)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + 2 * w * k + 2 * k @ k
