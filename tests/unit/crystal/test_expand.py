"""From unique reflections to the whole sphere."""

from __future__ import annotations

import numpy as np
import pytest

from crystals import direct_sum, random_structure
from xrdml.crystal.expand import expand_to_p1, fft_shape, to_fft_grid

ORTHORHOMBIC = (6.1, 7.3, 8.7, 90.0, 90.0, 90.0)
CELLS = {
    "P 1": (5.1, 6.3, 7.2, 81.0, 95.0, 102.0),
    "P -1": (5.1, 6.3, 7.2, 81.0, 95.0, 102.0),
    "P 1 21 1": (5.7, 6.7, 8.8, 90.0, 103.0, 90.0),
    "C 1 2 1": (9.7, 6.7, 7.8, 90.0, 103.0, 90.0),
    "P 1 21/c 1": (5.7, 6.7, 8.8, 90.0, 103.0, 90.0),
    "P 1 21/n 1": (5.7, 6.7, 8.8, 90.0, 103.0, 90.0),
    "C 1 2/c 1": (9.7, 6.7, 7.8, 90.0, 103.0, 90.0),
    "P 21 21 21": ORTHORHOMBIC,
    "P n a 21": ORTHORHOMBIC,
    "P b c a": ORTHORHOMBIC,
    "F d d 2": (11.1, 12.3, 6.7, 90.0, 90.0, 90.0),
    "P 41": (6.1, 6.1, 9.3, 90.0, 90.0, 90.0),
    "I -4 c 2": (8.1, 8.1, 9.3, 90.0, 90.0, 90.0),
    "P 32": (7.0, 7.0, 6.4, 90.0, 90.0, 120.0),
    "R -3:H": (11.0, 11.0, 7.4, 90.0, 90.0, 120.0),
    "P 63/m": (7.5, 7.5, 6.4, 90.0, 90.0, 120.0),
    "P a -3": (7.7, 7.7, 7.7, 90.0, 90.0, 90.0),
}
D_MIN = 1.6


@pytest.mark.parametrize("name", CELLS)
def test_every_reflection_of_the_sphere_has_its_structure_factor(name):
    structure = random_structure(name, CELLS[name], n=3)
    group = structure.symmetry
    unique = group.unique_reflections(structure.cell, D_MIN)
    sphere = expand_to_p1(unique, group)
    expected = direct_sum(structure, sphere.hkl)
    found = sphere.structure_factors(direct_sum(structure, unique))
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())

    p1 = random_structure("P 1", CELLS[name]).symmetry.unique_reflections(structure.cell, D_MIN)
    whole = np.concatenate([p1, -p1])
    allowed = whole[~group.is_absent(whole)]
    assert {tuple(h) for h in sphere.hkl} == {tuple(h) for h in allowed}
    assert len(sphere.hkl) == len(allowed)


def test_friedel_mates_are_conjugates_on_the_grid():
    structure = random_structure(n=4)
    unique = structure.symmetry.unique_reflections(structure.cell, 1.2)
    sphere = expand_to_p1(unique, structure.symmetry)
    shape = fft_shape(structure.cell)
    grid = to_fft_grid(shape, sphere.hkl, sphere.structure_factors(direct_sum(structure, unique)))
    density = np.fft.fftn(grid)
    assert np.abs(density.imag).max() < 1e-9 * np.abs(density.real).max()


def test_the_grid_holds_values_at_their_indices_and_nothing_beyond_half_of_it():
    hkl = np.array([[1, 0, 0], [-1, 2, -3], [4, 0, 0], [0, -3, 0]], dtype=np.int32)
    grid = to_fft_grid((8, 8, 8), hkl, np.array([1.0, 2.0, 3.0, 4.0]))
    assert [grid[1, 0, 0], grid[7, 2, 5], grid[0, 5, 0]] == [1, 2, 4]
    assert grid.sum() == 7  # h = 4 is its own mate on 8 points: it has no phase there


def test_grids_are_multiples_near_the_spacing_and_never_tiny():
    assert fft_shape((7.7, 8.7, 10.8, 90, 103, 90)) == (16, 16, 20)
    assert fft_shape((7.7, 8.7, 10.8, 90, 103, 90), spacing=0.25) == (32, 36, 44)
    assert fft_shape((2.0, 30.0, 4.1, 90, 90, 90)) == (8, 60, 8)
