"""Distances, bonds and molecules in a crystal without end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import gemmi
import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.cell import metric, orthogonalization, reciprocal_metric
from xrdml.crystal.connectivity import BOND_TOLERANCE, MIN_DISTANCE
from xrdml.crystal.structure import Structure

_SAME_SITE = 0.1
"""Å; images of an atom nearer than this are one atom on a special position, as in `Symmetry.site_order`."""

_AT_A_TIME = 2**20
"""Distances held at once: large cells have hundreds of millions."""


@dataclass(frozen=True)
class Pairs:
    """Two atoms of a crystal nearer than some distance; both (i, j) and (j, i) are there.

    Attributes
    ----------
    first, second
        Rows of :class:`CellAtoms`, (p,).
    shift
        Lattice translation of the second, (p, 3) int.
    vector
        From the first to the second in Å, Cartesian, (p, 3).
    distance
        Å, (p,).
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    shift: NDArray[np.int64]
    vector: NDArray[np.float64]
    distance: NDArray[np.float64]

    def where(self, chosen: NDArray[np.bool_]) -> Pairs:
        """Some of them, (p,) → …"""
        return Pairs(
            self.first[chosen],
            self.second[chosen],
            self.shift[chosen],
            self.vector[chosen],
            self.distance[chosen],
        )


class CellAtoms:
    """The atoms of one cell, each once, and the pairs of them that are near each other.

    Parameters
    ----------
    structure
        The crystal.
    chosen
        Which of its atoms to take, (n,) bool; by default all.
    reach
        Largest distance in Å of `pairs`.
    part
        Disorder groups, (n,) int: atoms of two that are neither 0 nor equal are never bonded, and
        those of negative ones not to symmetry images (SHELXL's PART). By default none.

    Attributes
    ----------
    atom
        Row in the structure that each is an image of, (m,).
    frac
        Fractional coordinates in 0…1, (m, 3).
    numbers
        Atomic numbers, (m,).
    """

    def __init__(
        self,
        structure: Structure,
        chosen: NDArray[np.bool_] | None = None,
        reach: float = 4.5,
        part: NDArray[np.integer] | None = None,
    ):
        rows = np.arange(len(structure)) if chosen is None else np.flatnonzero(chosen)
        self._structure, self._reach = structure, reach
        self.atom, self._operation, self.frac = _images(structure, rows)
        self.numbers = structure.numbers[self.atom]
        self._part = np.zeros(len(structure), np.int64) if part is None else part.astype(np.int64)
        self._radius = np.array([gemmi.Element(int(z)).covalent_r for z in self.numbers])

    def __len__(self) -> int:
        return len(self.atom)

    @cached_property
    def pairs(self) -> Pairs:
        """All pairs within reach."""
        cell = self._structure.cell
        # Planes (100), (010), (001) are this far apart; a rounded difference is at most half a cell.
        spacing = np.diag(reciprocal_metric(cell)) ** -0.5
        most = np.floor(self._reach / spacing + 0.5).astype(int)
        axes = [np.arange(-n, n + 1) for n in most]
        lattice = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
        step = max(1, _AT_A_TIME // max(1, len(self) * len(lattice)))
        matrix, g = orthogonalization(cell), metric(cell)
        found: list[tuple[NDArray, ...]] = []
        for start in range(0, len(self), step):
            delta = self.frac[None] - self.frac[start : start + step, None]
            whole = np.round(delta)
            moved = (delta - whole)[:, :, None] + lattice
            squared = np.einsum("...i,...i->...", moved @ g, moved)
            i, j, k = np.nonzero((squared < self._reach**2) & (squared > _SAME_SITE**2))
            shift = lattice[k] - whole[i, j].astype(np.int64)
            found.append((i + start, j, shift, moved[i, j, k] @ matrix.T, np.sqrt(squared[i, j, k])))
        if not found:
            none = np.zeros(0, np.intp)
            return Pairs(none, none, np.zeros((0, 3), np.int64), np.zeros((0, 3)), np.zeros(0))
        return Pairs(*(np.concatenate(column) for column in zip(*found, strict=True)))

    @cached_property
    def bonds(self) -> Pairs:
        """Pairs nearer than the sum of the covalent radii and `BOND_TOLERANCE`."""
        p = self.pairs
        limit = self._radius[p.first] + self._radius[p.second] + BOND_TOLERANCE
        bonded = (p.distance < limit) & (p.distance > MIN_DISTANCE)
        one, other = self._part[self.atom[p.first]], self._part[self.atom[p.second]]
        bonded &= (one == 0) | (other == 0) | (one == other)
        imaged = self._operation[p.first] != self._operation[p.second]
        return p.where(bonded & ~(imaged & ((one < 0) | (other < 0))))

    @cached_property
    def molecules(self) -> Molecules:
        """Which atoms hang together over bonds."""
        bonds = self.bonds
        order = np.argsort(bonds.first, kind="stable")
        second, shift = bonds.second[order].tolist(), bonds.shift[order]
        start = np.searchsorted(bonds.first[order], np.arange(len(self) + 1)).tolist()
        number = np.full(len(self), -1)
        offset = np.zeros((len(self), 3), np.int64)
        n = 0
        for root in range(len(self)):
            if number[root] >= 0:
                continue
            number[root] = n
            queue = [root]
            for i in queue:  # grows while it is walked through
                for k in range(start[i], start[i + 1]):
                    if number[j := second[k]] < 0:
                        number[j], offset[j] = n, offset[i] + shift[k]
                        queue.append(j)
            n += 1
        # A bond that leads back to another image of an atom already reached repeats for ever.
        endless = np.zeros(n, bool)
        open_ends = (offset[bonds.first] + bonds.shift != offset[bonds.second]).any(1)
        endless[number[bonds.first[open_ends]]] = True
        return Molecules(number, offset, endless)

    @cached_property
    def contacts(self) -> Pairs:
        """Pairs of atoms of different molecules; none within chains, layers and networks."""
        p, m = self.pairs, self.molecules
        same = m.number[p.first] == m.number[p.second]
        here = (m.offset[p.first] + p.shift == m.offset[p.second]).all(1)
        return p.where(~(same & (here | m.endless[m.number[p.first]])))


@dataclass(frozen=True)
class Molecules:
    """Atoms that bonds hold together.

    Attributes
    ----------
    number
        Molecule of each atom of the cell, (m,), in the order of their first atoms.
    offset
        Lattice translation that brings each atom to the others of its molecule, (m, 3) int.
    endless
        Whether a molecule is a chain, layer or network, (molecules,) bool.
    """

    number: NDArray[np.intp]
    offset: NDArray[np.int64]
    endless: NDArray[np.bool_]


def _images(
    structure: Structure, rows: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Atom, operation and coordinates of all distinct images in the cell."""
    group, g = structure.symmetry, metric(structure.cell)
    x = np.einsum("sij,nj->nsi", group.rotations, structure.frac[rows]) + group.translations
    x -= np.floor(x)
    special = group.site_order(structure.frac[rows], structure.cell, _SAME_SITE) > 1
    keep = np.ones(x.shape[:2], bool)
    for n in np.flatnonzero(special):
        delta = x[n][:, None] - x[n][None]
        delta -= np.round(delta)
        near = np.einsum("abi,ij,abj->ab", delta, g, delta) < _SAME_SITE**2
        keep[n] = near.argmax(1) == np.arange(group.order)
    atom, operation = np.nonzero(keep)
    return rows[atom], operation, x[keep]
