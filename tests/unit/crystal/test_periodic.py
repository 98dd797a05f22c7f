"""Distances and molecules in endless crystals: hand-made cases, and every image one by one."""

from __future__ import annotations

from itertools import product

import gemmi
import numpy as np
import pytest

from xrdml.crystal.periodic import CellAtoms
from xrdml.crystal.structure import Structure

CUBE = (10.0, 10.0, 10.0, 90.0, 90.0, 90.0)


def carbons(group, cell, frac) -> Structure:
    n = len(frac)
    return Structure(
        cell, group, np.full(n, 6, np.uint8), np.array(frac, float), np.full(n, 0.04), np.ones(n)
    )


@pytest.mark.parametrize(
    ("group", "cell"),
    [
        ("P 1", (3.9, 12.0, 5.0, 70.0, 65.0, 80.0)),  # thin and oblique: several cells along an axis
        ("P 1 21/n 1", (7.7, 8.7, 10.8, 90.0, 103.0, 90.0)),
        ("C 1 2/c 1", (14.0, 8.0, 9.0, 90.0, 121.0, 90.0)),
        ("R -3 :H", (9.0, 9.0, 12.0, 90.0, 90.0, 120.0)),
    ],
)
def test_distances_against_one_atom_at_a_time(group, cell):
    """Every image of every atom in 343 cells, by gemmi's operations and matrices."""
    rng = np.random.default_rng(3)
    structure = carbons(group, cell, rng.random((4, 3)))
    unit_cell = gemmi.UnitCell(*cell)
    images = [
        np.array(op.apply_to_xyz(x.tolist())) + shift
        for x in structure.frac
        for op in gemmi.SpaceGroup(structure.space_group).operations()
        for shift in product(range(-3, 4), repeat=3)
    ]
    place = np.array([unit_cell.orthogonalize(gemmi.Fractional(*x.tolist())).tolist() for x in images])
    atoms = CellAtoms(structure, reach=4.0)
    for i, x in enumerate(structure.frac):
        here = np.array(unit_cell.orthogonalize(gemmi.Fractional(*x.tolist())).tolist())
        expected = np.linalg.norm(place - here, axis=1)
        expected = np.sort(expected[(expected > 0.1) & (expected < 4)])
        row = int(np.flatnonzero(atoms.atom == i)[0])
        mine = np.sort(atoms.pairs.distance[atoms.pairs.first == row])
        assert len(mine) > 0
        np.testing.assert_allclose(mine, expected, atol=1e-9)


def test_special_positions_are_counted_once():
    atoms = CellAtoms(carbons("P -1", CUBE, [[0, 0, 0], [0.5, 0.001, 0.5], [0.2, 0.3, 0.4]]))
    assert atoms.atom.tolist() == [0, 1, 2, 2]


def test_two_molecules_and_the_contact_between_them():
    """A chain of three across the cell edge; the fourth atom stands 3 Å from its end."""
    structure = carbons("P 1", CUBE, [[0.95, 0, 0], [0.1, 0, 0], [0.25, 0, 0], [0.55, 0, 0]])
    atoms = CellAtoms(structure)
    assert atoms.molecules.number.tolist() == [0, 0, 0, 1]
    assert atoms.molecules.offset[:3, 0].tolist() == [0, 1, 1]
    assert not atoms.molecules.endless.any()
    assert sorted(atoms.bonds.distance.round(6)) == [1.5, 1.5, 1.5, 1.5]
    assert sorted(atoms.contacts.distance.round(6)) == [3.0, 3.0, 4.0, 4.0]
    np.testing.assert_allclose(np.linalg.norm(atoms.pairs.vector, axis=1), atoms.pairs.distance)


def test_a_chain_without_end():
    atoms = CellAtoms(carbons("P 1", (3.0, 10.0, 10.0, 90.0, 90.0, 90.0), [[0, 0, 0], [0.5, 0, 0]]))
    assert atoms.molecules.endless.tolist() == [True]
    assert len(atoms.contacts.first) == 0


def test_a_molecule_in_its_neighbour_cell_is_another_molecule():
    """One molecule a cell: its contacts are images of itself."""
    atoms = CellAtoms(carbons("P 1", (3.5, 10.0, 10.0, 90.0, 90.0, 90.0), [[0, 0, 0], [0, 0.15, 0]]))
    assert atoms.molecules.number.tolist() == [0, 0]
    assert atoms.contacts.distance.min() == pytest.approx(3.5)


def test_disorder_groups_are_not_bonded():
    structure = carbons("P 1", CUBE, [[0, 0, 0], [0.15, 0, 0], [0.1, 0.1, 0]])
    together = CellAtoms(structure).molecules.number
    apart = CellAtoms(structure, part=np.array([0, 1, 2]))
    assert together.tolist() == [0, 0, 0]
    pairs = {
        tuple(sorted(p)) for p in zip(apart.bonds.first.tolist(), apart.bonds.second.tolist(), strict=True)
    }
    assert pairs == {(0, 1), (0, 2)}


def test_disorder_about_an_inversion_centre_is_not_bonded_to_its_image():
    """PART −1: the two atoms 1.4 Å apart are never there at once."""
    structure = carbons("P -1", CUBE, [[0.07, 0, 0]])
    assert len(CellAtoms(structure).bonds.first) == 2
    assert len(CellAtoms(structure, part=np.array([-1])).bonds.first) == 0


def test_no_atoms():
    atoms = CellAtoms(carbons("P 1", CUBE, np.empty((0, 3))))
    assert len(atoms.pairs.first) == len(atoms.molecules.number) == len(atoms.contacts.first) == 0
