"""Space groups against gemmi's scalar functions and against direct sums."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystals import MONOCLINIC, direct_sum, random_structure
from xrdml.crystal.cell import d_spacing
from xrdml.crystal.symmetry import symmetry, symmetry_from_operations
from xrdml.errors import UserError

MONOCLINIC_SETTINGS = [
    "P 1 2 1", "P 1 21 1", "C 1 2 1", "A 1 2 1", "I 1 2 1", "P 1 c 1", "P 1 n 1", "C 1 c 1", "I 1 a 1",
    "P 1 2/m 1", "P 1 21/m 1", "C 1 2/m 1", "P 1 2/c 1", "P 1 21/c 1", "P 1 21/n 1", "P 1 21/a 1",
    "C 1 2/c 1", "I 1 2/a 1", "A 1 2/n 1", "I 1 2/c 1",
]  # fmt: skip
OTHERS = [
    "P 1", "P -1", "P 21 21 21", "P n a 21", "P b c a", "F d d 2", "I 41/a:2", "P 32", "R -3:H", "R 3:R",
    "P 63/m", "P a -3", "F d -3 m:1",
]  # fmt: skip
CELLS = {
    "triclinic": (7.1, 8.3, 9.6, 80.0, 95.0, 102.0),
    "monoclinic": MONOCLINIC,
    "orthorhombic": (7.7, 8.7, 10.8, 90.0, 90.0, 90.0),
    "tetragonal": (8.0, 8.0, 10.8, 90.0, 90.0, 90.0),
    "trigonal": (8.0, 8.0, 9.1, 90.0, 90.0, 120.0),
    "hexagonal": (8.0, 8.0, 9.1, 90.0, 90.0, 120.0),
    "cubic": (9.0, 9.0, 9.0, 90.0, 90.0, 90.0),
}


def cell_for(name: str):
    group = symmetry(name)
    return (8.0, 8.0, 8.0, 85.0, 85.0, 85.0) if name.endswith(":R") else CELLS[group.crystal_system]


@pytest.mark.parametrize("name", MONOCLINIC_SETTINGS + OTHERS)
def test_vanishing_reflections_are_the_absences(name):
    """A random structure has |F| = 0 where, and only where, a reflection is absent."""
    cell = cell_for(name)
    structure = random_structure(name, cell, n=3, seed=1)
    hkl = symmetry(name).unique_reflections(cell, 2.2, absent=True)
    f = np.abs(direct_sum(structure, hkl))
    np.testing.assert_array_equal(f < 1e-9, symmetry(name).is_absent(hkl))


@pytest.mark.parametrize("name", MONOCLINIC_SETTINGS + OTHERS)
def test_centric_reflections_have_two_phases(name):
    """F(h) and its Friedel mate are symmetry equivalents for centric reflections, so 2φ is fixed by
    a translation: it must not depend on the structure."""
    cell = cell_for(name)
    group = symmetry(name)
    hkl = group.unique_reflections(cell, 2.2)
    doubled = [
        np.exp(2j * np.angle(direct_sum(random_structure(name, cell, n=3, seed=s), hkl))) for s in (1, 2)
    ]
    same = np.abs(doubled[0] - doubled[1]) < 1e-6
    np.testing.assert_array_equal(same, group.is_centric(hkl))


@pytest.mark.parametrize("name", MONOCLINIC_SETTINGS + OTHERS)
def test_epsilon_is_the_number_of_operations_that_keep_the_index(name):
    group = symmetry(name)
    hkl = group.unique_reflections(cell_for(name), 2.0)
    kept = (np.einsum("ni,sij->nsj", hkl, group.rotations) == hkl[:, None]).all(-1).sum(1)
    np.testing.assert_array_equal(group.epsilon(hkl), kept)


@pytest.mark.parametrize("name", MONOCLINIC_SETTINGS + OTHERS)
def test_unique_reflections_cover_the_sphere_once(name):
    group, cell = symmetry(name), cell_for(name)
    unique = group.unique_reflections(cell, 1.5)
    assert (d_spacing(cell, unique) >= 1.5).all()
    expected = gemmi.make_miller_array(gemmi.UnitCell(*cell), gemmi.SpaceGroup(name), 1.5)
    assert len(unique) == len(expected)
    assert {tuple(h) for h in group.to_asu(expected).tolist()} == {tuple(h) for h in unique.tolist()}


@pytest.mark.parametrize("name", MONOCLINIC_SETTINGS)
def test_every_monoclinic_setting_shares_the_layout_of_the_thesis(name):
    unique = symmetry(name).unique_reflections(MONOCLINIC, 1.2, absent=True)
    h, k, l = unique.T
    assert ((k >= 0) & ((l > 0) | ((l == 0) & (h >= 0)))).all()


@given(
    st.sampled_from(MONOCLINIC_SETTINGS + OTHERS),
    st.lists(st.tuples(*[st.integers(-20, 20)] * 3), min_size=1, max_size=20),
)
def test_equivalents_have_one_representative(name, indices):
    group = symmetry(name)
    hkl = np.array(indices, dtype=np.int32)
    unique = group.to_asu(hkl)
    np.testing.assert_array_equal(group.to_asu(unique), unique)
    np.testing.assert_array_equal(group.to_asu(-hkl), unique)
    for rotation in group.rotations:
        np.testing.assert_array_equal(group.to_asu((hkl @ rotation).astype(np.int32)), unique)


def test_site_order_on_special_positions():
    group = symmetry("P -1")
    cell = CELLS["triclinic"]
    sites = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.25, 0.1, 0.3], [0.999, 0.001, 0.0]])
    assert group.site_order(sites, cell).tolist() == [2, 2, 1, 2]
    # a site just across the cell edge from its image is as special as one beside it
    assert symmetry("P m -3 m").site_order(np.zeros((1, 3)), CELLS["cubic"]).tolist() == [48]


@pytest.mark.parametrize(
    ("text", "name"),
    [("P21", "P 1 21 1"), ("P2(1)/c", "P 1 21/c 1"), ("P 1 21/n 1", "P 1 21/n 1"), ("14", "P 1 21/c 1"),
     ("I2/a", "I 1 2/a 1"), ("r3:h", "R 3:H"), ("'P -1'", "P -1")],
)  # fmt: skip
def test_names(text, name):
    assert symmetry(text).name == name


@pytest.mark.parametrize("text", ["P21/z", "", "999", "0", "hello world", "P 1 21 1 1"])
def test_unknown_names(text):
    with pytest.raises(UserError, match="unknown space group"):
        symmetry(text)


def test_operations_give_the_setting():
    assert symmetry_from_operations(["-x, y+1/2, -z"]).name == "P 1 21 1"
    assert symmetry_from_operations(["1/2-x, 1/2+y, 1/2-z", "-x,-y,-z"]).name == "P 1 21/n 1"
    with pytest.raises(UserError, match="no known space group"):
        symmetry_from_operations(["x+1/8, y, z"])
    with pytest.raises(UserError, match="x\\+1/5"):
        symmetry_from_operations(["x+1/5, y, z"])


def test_cell_that_contradicts():
    symmetry("P21").check_cell((7.7, 8.7, 10.8, 90, 103, 90))
    with pytest.raises(UserError, match="contradicts space group P 1 21 1"):
        symmetry("P21").check_cell((7.7, 8.7, 10.8, 92, 103, 90))
