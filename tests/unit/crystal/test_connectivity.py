"""Molecules put together from scattered atoms: by hand, and on published crystals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xrdml.crystal.cif import read_structure
from xrdml.crystal.connectivity import assemble
from xrdml.crystal.structure import Structure


def carbons(group, cell, frac) -> Structure:
    n = len(frac)
    return Structure(
        cell, group, np.full(n, 6, np.uint8), np.array(frac, float), np.full(n, 0.04), np.ones(n)
    )


CUBE = (10.0, 10.0, 10.0, 90.0, 90.0, 90.0)


def test_atoms_on_two_sides_of_the_cell():
    found = assemble(carbons("P 1", CUBE, [[0.05, 0.5, 0.5], [0.91, 0.5, 0.5], [0.5, 0.5, 0.5]]))
    assert found.bonds.tolist() == [[0, 1]]
    assert found.molecule.tolist() == [0, 0, 1]
    assert not found.is_image.any()
    np.testing.assert_allclose(found.xyz[1], [-0.9, 5, 5])


def test_a_molecule_on_an_inversion_centre():
    """Two atoms 0.7 and 2.1 Å from the centre: with their images a chain of four."""
    found = assemble(carbons("P -1", CUBE, [[0.07, 0, 0], [0.79, 0, 0]]))
    assert sorted(np.round(found.xyz[:, 0], 3).tolist()) == [-2.1, -0.7, 0.7, 2.1]
    assert found.is_image.tolist() == [False, False, True, True]
    assert len(found.bonds) == 3


def test_a_chain_without_end_is_cut():
    found = assemble(carbons("P 1", (3.0, 10.0, 10.0, 90.0, 90.0, 90.0), [[0, 0, 0], [0.5, 0, 0]]))
    assert found.atom.tolist() == [0, 1]


def test_no_atoms():
    assert len(assemble(carbons("P 1", CUBE, np.empty((0, 3)))).xyz) == 0


@pytest.mark.parametrize("name", ["COD_1518526", "COD_2200000", "FinalCif-DK-Zucker2-0m"])
def test_published_molecules_are_found_again(shared_data, name):
    """Scattering the atoms over their equivalents changes no bond."""
    structure = read_structure(shared_data / "measured" / name / "structure.cif")
    group = structure.symmetry
    rng = np.random.default_rng(0)
    pick = rng.integers(group.order, size=len(structure))
    x = np.einsum("nij,nj->ni", group.rotations[pick], structure.frac) + group.translations[pick]
    scattered = replace(structure, frac=x - np.floor(x))

    def bonds(s):
        made = assemble(s)
        pairs = {tuple(sorted(made.atom[pair].tolist())) for pair in made.bonds}
        return pairs, made.molecule.max() + 1, len(made.xyz)

    assert bonds(scattered) == bonds(structure)


def test_sucrose_is_one_molecule(shared_data):
    """45 atoms, 46 bonds: two rings."""
    made = assemble(read_structure(shared_data / "measured/FinalCif-DK-Zucker2-0m/structure.cif"))
    assert len(made.xyz) == 45
    assert made.molecule.max() == 0
    assert len(made.bonds) == 46
