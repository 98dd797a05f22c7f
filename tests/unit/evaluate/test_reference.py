"""Solutions that are a known structure moved, inverted and shuffled: the comparison undoes it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crystals import complaint, direct_sum, random_structure
from xrdml.crystal.structure import Structure
from xrdml.evaluate.reference import check_same_cell, compare_with_reference

CELLS = {
    "P 1": (6.0, 7.0, 8.0, 80.0, 95.0, 101.0),
    "P -1": (6.0, 7.0, 8.0, 80.0, 95.0, 101.0),
    "P 1 21 1": (7.7, 8.7, 10.8, 90.0, 103.0, 90.0),
    "P 1 21/c 1": (7.7, 8.7, 10.8, 90.0, 103.0, 90.0),
    "P 21 21 21": (6.0, 9.0, 11.0, 90.0, 90.0, 90.0),
    "P 41": (8.0, 8.0, 12.0, 90.0, 90.0, 90.0),
    "F d d 2": (11.0, 12.0, 9.0, 90.0, 90.0, 90.0),
}
SHIFTS = {
    "P 1": (0.123, 0.456, 0.789),
    "P -1": (0.5, 0, 0.5),
    "P 1 21 1": (0.5, 0.2713, 0.5),
    "P 1 21/c 1": (0, 0.5, 0.5),
    "P 21 21 21": (0.5, 0.5, 0),
    "P 41": (0.5, 0.5, 0.377),
    "F d d 2": (0.5, 0.5, 0.123),
}


def moved(structure: Structure, shift, seed: int = 1) -> Structure:
    """Each atom at a random one of its equivalents, in another order, about another origin."""
    rng = np.random.default_rng(seed)
    group = structure.symmetry
    pick = rng.integers(group.order, size=len(structure))
    x = np.einsum("nij,nj->ni", group.rotations[pick], structure.frac) + group.translations[pick]
    order = rng.permutation(len(structure))
    x = (x + rng.integers(-1, 2, x.shape) + np.array(shift))[order]
    return replace(structure, frac=x, numbers=structure.numbers[order])


@pytest.mark.parametrize("group", CELLS)
@pytest.mark.parametrize("inverted", [False, True])
def test_origin_and_hand_do_not_matter(group, inverted):
    """For P4₁ the inverse is a structure in P4₃, which the data cannot tell apart."""
    reference = random_structure(group, cell=CELLS[group], n=8, seed=5)
    found = moved(reference, SHIFTS[group])
    if inverted:
        # Fdd2 is achiral, but its mirror image sits about another origin: 1/4 1/4 along x and y.
        centre = np.array([0.25, 0.25, 0]) if group == "F d d 2" else np.zeros(3)
        other = "P 43" if group == "P 41" else group
        found = replace(found, frac=centre - found.frac, space_group=other)
    hkl = found.symmetry.unique_reflections(found.cell, 1.0)
    a = compare_with_reference(reference, hkl, 7.5 * direct_sum(found, hkl), found.frac, found.symmetry)
    assert a.map_cc == pytest.approx(1, abs=1e-5)
    assert a.atoms_matched == 1
    assert a.n_atoms == 8
    assert a.rmsd < 1e-4
    assert a.is_solved


@pytest.mark.parametrize("group", CELLS)
def test_another_structure_does_not_agree(group):
    reference, other = (random_structure(group, cell=CELLS[group], n=8, seed=s) for s in (5, 6))
    hkl = reference.symmetry.unique_reflections(reference.cell, 1.0)
    a = compare_with_reference(reference, hkl, direct_sum(other, hkl), other.frac)
    assert a.map_cc < 0.6
    assert not a.is_solved


def test_what_counts_as_an_atom():
    """H atoms and the minor part of a disorder do not; a displaced atom counts to 0.5 Å."""
    reference = random_structure("P 1 21 1", n=10, seed=2)
    hkl = reference.symmetry.unique_reflections(reference.cell, 1.0)
    numbers, occupancy = reference.numbers.copy(), reference.occupancy.copy()
    numbers[:2], occupancy[2] = 1, 0.3
    reference = replace(reference, numbers=numbers, occupancy=occupancy)
    f = direct_sum(reference, hkl)
    frac = reference.frac[3:].copy()
    frac[0, 0] += 0.3 / reference.cell[0]
    frac[1, 0] += 0.6 / reference.cell[0]
    a = compare_with_reference(reference, hkl, f, frac)
    assert a.n_atoms == 7
    assert a.atoms_matched == pytest.approx(6 / 7)
    assert a.rmsd == pytest.approx(0.3 / np.sqrt(6), abs=1e-6)
    nothing = compare_with_reference(reference, hkl, f, np.empty((0, 3)))
    assert nothing.atoms_matched == 0
    assert np.isnan(nothing.rmsd)


def test_errors_of_the_phases_lower_the_correlation():
    """Phases off by normal errors of 30° leave a map correlation near cos-mean exp(−σ²/2) = 0.87."""
    reference = random_structure("P 1 21 1", n=20)
    hkl = reference.symmetry.unique_reflections(reference.cell, 1.0)
    general = ~reference.symmetry.is_centric(hkl)
    error = np.random.default_rng(0).normal(0, np.radians(30), len(hkl)) * general
    f = direct_sum(reference, hkl) * np.exp(1j * error)
    a = compare_with_reference(reference, hkl, f, reference.frac)
    assert a.map_cc == pytest.approx(np.exp(-(np.radians(30) ** 2) / 2), abs=0.03)


def test_another_cell():
    reference = random_structure()
    check_same_cell(reference, reference.cell, "x.cif")
    message = complaint(check_same_cell, reference, (8.7, 7.7, 10.8, 90, 103, 90), "x.cif")
    assert message.startswith("x.cif: has the cell 7.7 8.7 10.8")
