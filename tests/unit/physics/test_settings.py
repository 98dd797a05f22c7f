"""Settings: the same |F| on other axes, by a sum that knows nothing of settings."""

from __future__ import annotations

import numpy as np
import pytest

from crystals import direct_sum, random_structure
from xrdml.crystal.cell import volume
from xrdml.physics.settings import conventional

CASES = [
    ("P 1 21/c 1", (8, 9, 10, 90, 118, 90), "P 1 21/n 1"),
    ("P 1 21/c 1", (14, 9, 6, 90, 95, 90), "P 1 21/c 1"),
    ("P 1 21/c 1", (6, 9, 14, 90, 100, 90), "P 1 21/c 1"),
    ("P 1 21 1", (6, 9, 14, 90, 119, 90), "P 1 21 1"),
    ("P -1", (7, 8, 9, 65, 70, 115), "P -1"),
    ("P 1", (7, 13, 9, 115, 112, 70), "P 1"),
    ("C 1 2 1", (14, 9, 6, 90, 95, 90), "C 1 2 1"),
    ("P 21 21 21", (14, 9, 6, 90, 90, 90), "P 21 21 21"),
]


@pytest.mark.parametrize(("group", "cell", "expected"), CASES)
def test_same_crystal_on_its_shortest_axes(group, cell, expected):
    before = random_structure(group, cell, n=4)
    after = conventional(before)
    assert after.space_group == expected
    assert volume(after.cell) == pytest.approx(volume(cell), rel=1e-9)
    assert sum(after.cell[:3]) <= sum(cell[:3]) + 1e-9
    f = [np.sort(np.abs(direct_sum(s, s.symmetry.unique_reflections(s.cell, 2.0)))) for s in (before, after)]
    np.testing.assert_allclose(*f, atol=1e-3)


@pytest.mark.parametrize("cell", [(7, 8, 9, 65, 70, 115), (7, 13, 9, 115, 112, 70), (5, 9, 6, 80, 75, 62)])
def test_triclinic_cells_are_of_one_type(cell):
    angles = np.array(conventional(random_structure("P 1", cell, n=2)).cell[3:])
    assert (angles < 90).all() or (angles >= 90 - 1e-9).all()
