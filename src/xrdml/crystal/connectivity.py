"""Molecules from the atoms of an asymmetric unit."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.cell import orthogonalization
from xrdml.crystal.structure import Structure

BOND_TOLERANCE = 0.4
"""Å; two atoms are bonded if they are nearer than the sum of their covalent radii and this."""

MIN_DISTANCE = 0.4
"""Å; what is nearer is the same atom, or a disordered one."""


@dataclass(frozen=True)
class Assembled:
    """Atoms brought together, with as many symmetry images as complete their molecules.

    Attributes
    ----------
    xyz
        Cartesian coordinates in Å, (m, 3); a along x.
    atom
        Row in the structure that each is an image of, (m,).
    is_image
        Whether a symmetry operation was applied to complete a molecule, (m,).
    molecule
        Number of the molecule, (m,), in the order of their first atoms.
    bonds
        Pairs of rows, (b, 2).
    """

    xyz: NDArray[np.float64]
    atom: NDArray[np.intp]
    is_image: NDArray[np.bool_]
    molecule: NDArray[np.intp]
    bonds: NDArray[np.intp]


def assemble(structure: Structure) -> Assembled:
    """Move each atom to the symmetry image that is bonded to atoms already there.

    Molecules on symmetry elements are completed by images of their own atoms; where these have no
    end (chains, layers, networks) only the asymmetric unit is shown. Each molecule is placed near
    the first one.
    """
    images = _Images(structure)
    left = list(range(len(structure)))
    parts: list[list[_Placed]] = []
    while left:
        part = images.grow(left)
        left = [i for i in left if i not in {p.atom for p in part}]
        parts.append(images.completed(part))
    placed = images.brought_together(parts)
    atoms = [p for part in placed for p in part]
    xyz = np.array([p.xyz for p in atoms]).reshape(-1, 3)
    index = np.array([p.atom for p in atoms], dtype=np.intp)
    molecule = np.repeat(np.arange(len(placed)), [len(part) for part in placed])
    return Assembled(
        xyz,
        index,
        np.array([p.is_image for p in atoms], dtype=bool),
        molecule,
        _bonds(xyz, images.radius[index]),
    )


@dataclass(frozen=True)
class _Placed:
    atom: int
    xyz: NDArray[np.float64]
    is_image: bool = False


class _Images:
    """All atoms of the cell, to be taken in any lattice translation."""

    def __init__(self, structure: Structure):
        group = structure.symmetry
        x = np.einsum("sij,nj->nsi", group.rotations, structure.frac) + group.translations
        self.n_images = group.order
        self.frac = x.reshape(-1, 3)
        self.atom = np.repeat(np.arange(len(structure)), group.order)
        self.matrix = orthogonalization(structure.cell)
        self.inverse = np.linalg.inv(self.matrix)
        self.shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), -1).reshape(-1, 3)
        radii = [gemmi.Element(int(z)).covalent_r for z in structure.numbers]
        self.radius = np.array(radii)
        self.start = structure.frac @ self.matrix.T

    def _bonded(self, to: _Placed) -> list[_Placed]:
        """All images within a bond of an atom, nearest first."""
        near = self._around(to.xyz)
        distance = np.linalg.norm(near - to.xyz, axis=-1)
        limit = self.radius[self.atom] + self.radius[to.atom] + BOND_TOLERANCE
        rows, shifts = np.nonzero((distance < limit[:, None]) & (distance > MIN_DISTANCE))
        order = np.argsort(distance[rows, shifts], kind="stable")
        return [
            _Placed(int(self.atom[r]), near[r, s], True)
            for r, s in zip(rows[order], shifts[order], strict=True)
        ]

    def _around(self, xyz: NDArray[np.float64]) -> NDArray[np.float64]:
        """Every atom of the cell in the 27 cells about a point, (atoms, 27, 3) Å."""
        delta = self.frac - self.inverse @ xyz
        delta -= np.round(delta)
        return xyz + (delta[:, None] + self.shifts) @ self.matrix.T

    def grow(self, left: list[int]) -> list[_Placed]:
        """From the first atom left over bonds to others that are left, each once."""
        part = [_Placed(left[0], self.start[left[0]])]
        waiting = set(left[1:])
        for placed in part:  # grows while it is walked through
            for found in self._bonded(placed):
                if found.atom in waiting:
                    waiting.discard(found.atom)
                    part.append(_Placed(found.atom, found.xyz))
        return part

    def completed(self, part: list[_Placed]) -> list[_Placed]:
        """With all images that are bonded to it; as it was where these have no end."""
        whole = list(part)
        own = {p.atom for p in part}
        for placed in whole:
            for found in self._bonded(placed):
                if found.atom in own and all(np.linalg.norm(found.xyz - p.xyz) > MIN_DISTANCE for p in whole):
                    whole.append(found)
            if len(whole) > self.n_images * len(part):
                return part
        return whole

    def brought_together(self, parts: list[list[_Placed]]) -> list[list[_Placed]]:
        """Each part moved by lattice translations to where it is nearest to the first."""
        if not parts:
            return []
        centre = np.mean([p.xyz for p in parts[0]], axis=0)
        moved = [parts[0]]
        for part in parts[1:]:
            offset = self.inverse @ (np.mean([p.xyz for p in part], axis=0) - centre)
            candidates = (offset - np.round(offset) + self.shifts - offset) @ self.matrix.T
            away = candidates + self.matrix @ offset
            shift = candidates[np.linalg.norm(away, axis=1).argmin()]
            moved.append([_Placed(p.atom, p.xyz + shift, p.is_image) for p in part])
        return moved


def _bonds(xyz: NDArray[np.float64], radius: NDArray[np.float64]) -> NDArray[np.intp]:
    if len(xyz) == 0:
        return np.empty((0, 2), dtype=np.intp)
    distance = np.linalg.norm(xyz[:, None] - xyz[None], axis=-1)
    limit = radius[:, None] + radius[None] + BOND_TOLERANCE
    return np.argwhere(np.triu((distance < limit) & (distance > MIN_DISTANCE), 1))
