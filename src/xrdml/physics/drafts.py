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

AXIS_SPREAD = 0.6
"""Spread of ln(axis) at the start; compression brings it down to that of published crystals."""
BETA, TRICLINIC_SPREAD, TRICLINIC = (90.0, 115.0), 10.0, (65.0, 115.0)
VOLUME_FACTOR, VOLUME_SPREAD = 0.985, 0.045
"""Volume / Σ volumes of the atoms: median, and spread of the logarithm, of 197 published crystals."""
SHAKE_ANGLE, SHAKE_AXES, SHAKE_CENTER = 0.4, 0.1, 0.05
"""Radians, ln(length), fractions of the cell."""
P_TWO_MOLECULES, P_SOLVENT = 0.10, 0.10

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
    """One crystal to be packed: its space group, the molecules of its asymmetric unit, and the volume of
    its cell in Å³."""

    group: Symmetry
    bodies: list[Molecule]
    volume: float


def draft(molecules: Molecules, options: MolecularOptions, rng: np.random.Generator) -> Draft:
    """Draw the contents of a crystal."""
    names, weights = zip(*options.space_groups.items(), strict=True)
    group = symmetry(names[rng.choice(len(names), p=np.array(weights) / sum(weights))])
    two, solvate = rng.random(2) < (P_TWO_MOLECULES, P_SOLVENT)
    solvents = molecules.n_solvents
    bodies = [molecules[int(rng.integers(solvents, len(molecules)))]] * (2 if two else 1)
    if solvate and solvents:
        bodies.append(molecules[int(rng.integers(solvents))])
    numbers = torch.from_numpy(np.concatenate([body[1] for body in bodies]).astype(np.int64))
    factor = VOLUME_FACTOR * np.exp(rng.normal(0, VOLUME_SPREAD))
    return Draft(group, bodies, float(atom_volumes(numbers).sum()) * factor * group.order)


def rigid_crystals(drafts: Sequence[Draft], device: torch.device | str) -> tuple[RigidCrystals, Tensor]:
    """Drafts as one padded batch, and the volumes of their cells in Å³, (C,)."""
    bodies = [body for d in drafts for body in d.bodies]
    width = max(len(numbers) for _, numbers, _ in bodies)
    padded_numbers = np.zeros((len(bodies), width), np.int64)
    padded_atoms = np.zeros((len(bodies), width, 3), np.float32)
    for k, (_, numbers, positions) in enumerate(bodies):
        padded_numbers[k, : len(numbers)], padded_atoms[k, : len(numbers)] = numbers, positions
    order = max(d.group.order for d in drafts)
    signs, shifts = np.ones((2, len(drafts), order, 3), np.float32)
    operation = np.zeros((len(drafts), order), bool)
    for k, d in enumerate(drafts):
        signs[k, : d.group.order] = np.diagonal(d.group.rotations, axis1=1, axis2=2)
        shifts[k, : d.group.order] = d.group.translations
        operation[k, : d.group.order] = True
    free = np.stack([_FREE[d.group.crystal_system] for d in drafts])
    crystal = np.repeat(np.arange(len(drafts)), [len(d.bodies) for d in drafts])

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
    )
    return batch, tensor(np.array([d.volume for d in drafts]))


Arrangement = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""One crystal's part of a :class:`Pose`: cell matrix (3, 3), rotations (m, 3, 3), centres (m, 3)."""


def random_arrangement(d: Draft, rng: np.random.Generator) -> Arrangement:
    """A cell of random shape, molecules of random orientation at random places."""
    m = len(d.bodies)
    return _cell_matrix(d.group, rng), np.stack([_rotation(rng) for _ in range(m)]), rng.random((m, 3))


def shaken(arrangement: Arrangement, rng: np.random.Generator) -> Arrangement:
    """The same with molecules turned and moved a little, and the axes changed in length."""
    cell, rotations, centers = arrangement
    turns = np.stack([_rotation(rng, SHAKE_ANGLE) for _ in rotations])
    stretch = np.exp(rng.normal(0, SHAKE_AXES, 3))
    return cell * stretch, turns @ rotations, centers + rng.normal(0, SHAKE_CENTER, centers.shape)


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
