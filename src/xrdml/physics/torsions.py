"""Torsions: how molecules give way when they are packed, bonds and angles kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FURTHEST = 0.35
"""Radians by which a torsion may leave the angle it had, 20°: packing deforms molecules by no more."""
BOND_TOLERANCE = 0.3
"""Å over the sum of the covalent radii."""
DOUBLE = 0.06
"""Å under the sum of the covalent radii; shorter bonds are taken for double or conjugated ones."""


@dataclass(frozen=True)
class Torsions:
    """Torsions of P bodies, padded to T each.

    Attributes
    ----------
    axis
        Atoms that each turns about, from one that stays to one that moves, (P, T, 2).
    moves
        1 for the atoms that move, 0 for the others; all 0 for padding, (P, T, N).
    apart
        1 for pairs of atoms four or more bonds apart, which may come to clash, (P, N, N).
    """

    axis: Tensor
    moves: Tensor
    apart: Tensor

    def slopes(self, atoms: Tensor, by_atom: Tensor) -> Tensor:
        """Derivatives by the torsion angles, (P, T), from those by the atoms, both (P, N, 3)."""
        start, unit = self._lines(atoms)
        # Σ unit × (x − start) · g over the atoms that move, from two sums over atoms.
        moment = torch.linalg.cross(atoms, by_atom)
        total = self.moves @ moment - torch.linalg.cross(start, self.moves @ by_atom)
        return (unit * total).sum(2)

    def turned(self, atoms: Tensor, angles: Tensor) -> Tensor:
        """Coordinates (P, N, 3) after turning about each axis in turn by `angles` in radians, (P, T)."""
        body = torch.arange(len(atoms), device=atoms.device)
        for t in range(self.axis.shape[1]):
            start, end = (atoms[body, self.axis[:, t, k], None] for k in range(2))
            unit = torch.nn.functional.normalize(end - start, dim=2)
            x = atoms - start
            cosine, sine = torch.cos(angles[:, t, None, None]), torch.sin(angles[:, t, None, None])
            along = (x * unit).sum(2, keepdim=True) * unit
            turned = along + (x - along) * cosine + torch.linalg.cross(unit.expand_as(x), x) * sine
            atoms = torch.where(self.moves[:, t, :, None] > 0, turned + start, atoms)
        return atoms

    def _lines(self, atoms: Tensor) -> tuple[Tensor, Tensor]:
        """A point on each axis and its direction, both (P, T, 3)."""
        index = self.axis.flatten(1)[:, :, None].expand(-1, -1, 3)
        start, end = atoms.gather(1, index).unflatten(1, (-1, 2)).unbind(2)
        return start, torch.nn.functional.normalize(end - start, dim=2)


def find_torsions(
    molecules: Sequence[tuple[NDArray[np.uint8], NDArray[np.float64]]], width: int, device: torch.device | str
) -> Torsions:
    """Torsions about the single bonds of molecules that are in no ring and end in no lone atom.

    Parameters
    ----------
    molecules
        Atomic numbers (n,) and coordinates in Å (n, 3).
    width
        Atoms to pad to.
    """
    found = [_of_molecule(*molecule) for molecule in molecules]
    n_torsions = max((len(axes) for axes, _, _ in found), default=0)
    axis = np.zeros((len(found), n_torsions, 2), np.int64)
    moves = np.zeros((len(found), n_torsions, width), np.float32)
    apart = np.zeros((len(found), width, width), np.float32)
    for k, (axes, sides, far) in enumerate(found):
        axis[k, : len(axes)] = np.reshape(axes, (-1, 2))
        for t, side in enumerate(sides):
            moves[k, t, side] = 1
        apart[k, : len(far), : len(far)] = far
    return Torsions(*(torch.from_numpy(array).to(device) for array in (axis, moves, apart)))


def _of_molecule(
    numbers: NDArray[np.uint8], positions: NDArray[np.float64]
) -> tuple[list[tuple[int, int]], list[list[int]], NDArray[np.bool_]]:
    """Axes, the atoms that move with each, and the pairs four or more bonds apart, (n, n)."""
    n = len(numbers)
    radius = np.array([gemmi.Element(int(z)).covalent_r for z in numbers])
    distance = np.linalg.norm(positions[:, None] - positions, axis=2)
    longer = distance - radius[:, None] - radius
    bonded = (longer < BOND_TOLERANCE) & ~np.eye(n, dtype=bool)
    near = np.linalg.matrix_power((bonded | np.eye(n, dtype=bool)).astype(np.int64), 3) > 0
    neighbors = [np.flatnonzero(row).tolist() for row in bonded]
    axes, sides = [], []
    for a, b in np.argwhere(np.triu(bonded & (longer > -DOUBLE))):
        if min(len(neighbors[a]), len(neighbors[b])) < 2:
            continue
        side = _beyond(neighbors, int(a), int(b))
        if side is None:
            continue
        if len(side) > n / 2:
            a, b = b, a
            side = sorted(set(range(n)) - set(side))
        axes.append((int(a), int(b)))
        sides.append(side)
    return axes, sides, ~near


def _beyond(neighbors: list[list[int]], a: int, b: int) -> list[int] | None:
    """Atoms that a bond a–b joins to the rest, b among them; None where it is part of a ring."""
    part, seen = [b], {a, b}
    for i in part:  # grows while it is walked through
        for j in neighbors[i]:
            if j == a and i != b:
                return None
            if j not in seen:
                seen.add(j)
                part.append(j)
    return part
