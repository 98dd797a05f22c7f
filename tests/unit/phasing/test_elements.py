"""Elements from the measured amplitudes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crystals import direct_sum, spread_structure
from xrdml.crystal.structure import Structure
from xrdml.phasing.elements import exchanged, refine_with_elements


@pytest.fixture(scope="module")
def crystal():
    made = spread_structure("P 1 21 1", n=10, seed=1)
    return replace(made, numbers=np.array([8, 8, 7, 6, 6, 6, 6, 6, 6, 6], np.uint8))


def assigned(true: Structure, numbers) -> tuple[Structure, float]:
    """From atoms with these elements, displaced by some 0.05 Å; data to 1.3 Å, map to 1 Å."""
    rng = np.random.default_rng(0)
    measured = true.symmetry.unique_reflections(true.cell, 1.3)
    drawn = true.symmetry.unique_reflections(true.cell, 1.0)
    given = replace(
        true,
        numbers=np.array(numbers, np.uint8),
        frac=true.frac + rng.normal(0, 0.03, true.frac.shape) / true.cell[:3],
    )
    f_obs = np.abs(direct_sum(true, measured))
    found, _, r1 = refine_with_elements(given, measured, f_obs, drawn, direct_sum(true, drawn))
    return found, r1


def test_elements_given_to_the_wrong_atoms_are_found(crystal):
    found, r1 = assigned(crystal, [6, 6, 6, 6, 6, 6, 6, 7, 8, 8])
    np.testing.assert_array_equal(found.numbers, crystal.numbers)
    assert r1 < 0.02


def test_right_elements_stay(crystal):
    found, r1 = assigned(crystal, crystal.numbers)
    np.testing.assert_array_equal(found.numbers, crystal.numbers)
    assert r1 < 0.02


def test_a_heavy_atom_stays(crystal):
    """Beside bromine, refined as carbon, the others' U mean little: the peak's height is right."""
    true = replace(crystal, numbers=np.array([35, 8, 7, 6, 6, 6, 6, 6, 6, 6], np.uint8))
    found, _ = assigned(true, true.numbers)
    np.testing.assert_array_equal(found.numbers, true.numbers)


def test_one_element_needs_no_choice(crystal):
    found, r1 = assigned(replace(crystal, numbers=np.full(10, 6, np.uint8)), [6] * 10)
    assert (found.numbers == 6).all()
    assert r1 < 0.02


def test_exchanges_find_elements_that_neither_heights_nor_u_show(crystal):
    """Positions and amplitudes are enough: the elements start in any order."""
    measured = crystal.symmetry.unique_reflections(crystal.cell, 1.3)
    f_obs = np.abs(direct_sum(crystal, measured))
    for seed in range(5):
        shuffled = np.random.default_rng(seed).permutation(crystal.numbers)
        found = exchanged(replace(crystal, numbers=shuffled), measured, f_obs)
        np.testing.assert_array_equal(found, crystal.numbers)


def test_exchanges_respect_sites_on_symmetry_elements():
    """An atom on the centre of P-1 counts half of what it would count elsewhere."""
    made = spread_structure("P -1", n=6, seed=2)
    frac = made.frac.copy()
    frac[0] = 0.0
    true = replace(made, frac=frac, numbers=np.array([17, 8, 7, 6, 6, 6], np.uint8))
    measured = true.symmetry.unique_reflections(true.cell, 1.2)
    f_obs = np.abs(direct_sum(true, measured))
    given = replace(true, numbers=np.array([6, 17, 6, 6, 8, 7], np.uint8))
    np.testing.assert_array_equal(exchanged(given, measured, f_obs), true.numbers)
