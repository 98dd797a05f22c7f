"""Cells and the tensor layout."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystals import MONOCLINIC
from xrdml.crystal.cell import d_spacing, index_limits, orthogonalization, parse_cell, volume
from xrdml.crystal.grid import GridTooSmall, HklGrid
from xrdml.crystal.symmetry import symmetry
from xrdml.errors import UserError

lengths = st.floats(3, 60)
angles = st.floats(65, 115)


def test_hand_computed_monoclinic_cell():
    """V = abc sinβ; 1/d(100) = 1/(a sinβ); 1/d(010) = 1/b."""
    a, b, c, _, beta, _ = MONOCLINIC
    sine = np.sin(np.radians(beta))
    assert volume(MONOCLINIC) == pytest.approx(a * b * c * sine)
    d = d_spacing(MONOCLINIC, np.array([[1, 0, 0], [0, 1, 0], [0, 0, 2], [0, 0, 0]]))
    assert d == pytest.approx([a * sine, b, c * sine / 2, np.inf])


@given(lengths, lengths, lengths, angles, angles, angles)
def test_d_spacing_agrees_with_gemmi(a, b, c, alpha, beta, gamma):
    cell = (a, b, c, alpha, beta, gamma)
    hkl = np.array([[1, 2, 3], [-4, 0, 1], [0, 0, 7]])
    expected = [gemmi.UnitCell(*cell).calculate_d(h) for h in hkl.tolist()]
    assert d_spacing(cell, hkl) == pytest.approx(expected)
    reciprocal = np.linalg.inv(orthogonalization(cell))
    assert 1 / np.linalg.norm(hkl @ reciprocal, axis=1) == pytest.approx(expected)


@given(st.floats(3, 15), st.floats(3, 15), st.floats(3, 15), angles)
def test_index_limits_hold_the_whole_sphere(a, b, c, beta):
    cell = (a, b, c, 90.0, beta, 90.0)
    limits = np.array(index_limits(cell, 1.5))
    axes = [np.arange(-n - 2, n + 3) for n in limits]
    box = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    inside = box[d_spacing(cell, box) >= 1.5]
    assert (np.abs(inside) <= limits).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("7 8 9 90 90", "has 5 numbers"),
        ("7 8 x 90 90 90", "not a number"),
        ("7 8 nan 90 90 90", "between 1 and 1000"),
        ("0 8 9 90 90 90", "between 1 and 1000"),
        ("7 8 9 1.57 1.57 1.57", "no lattice"),
        ("7 8 9 60 60 150", "no lattice"),
    ],
)
def test_bad_cells(values, message):
    with pytest.raises(UserError, match=message):
        parse_cell(values.split())


def test_thesis_layout():
    grid = HklGrid.thesis()
    assert grid.shape == (26, 18, 23)
    assert grid.index(np.array([[-13, 0, 0], [12, 17, 22], [0, 0, 0]]))[0].tolist() == [0, 25, 13]
    np.testing.assert_array_equal(grid.hkl[grid.contains(grid.hkl)], grid.hkl)
    assert len(grid.hkl) == 10764


@given(
    st.lists(st.tuples(st.integers(-13, 12), st.integers(0, 17), st.integers(0, 22)), unique=True, min_size=1)
)
def test_scatter_and_gather_are_inverse(indices):
    grid, hkl = HklGrid.thesis(), np.array(indices)
    values = np.arange(1, len(hkl) + 1, dtype=np.float64)
    tensor = grid.scatter(hkl, values)
    np.testing.assert_array_equal(grid.gather(tensor, hkl), values)
    assert tensor.sum() == values.sum()
    np.testing.assert_array_equal(grid.hkl[np.flatnonzero(tensor)], hkl[np.lexsort(hkl.T[::-1])])


@pytest.mark.parametrize(
    "name",
    [
        "P 1 21 1",
        "I 1 2/a 1",
        "P 1 1 21",
        "P -1",
        "P b c a",
        "P 41",
        "P 3",
        "R 3:R",
        "P 6",
        "P 2 3",
        "F m -3 m",
    ],
)
def test_layout_for_a_crystal_holds_its_unique_reflections(name):
    group = symmetry(name)
    cell = {"R": (9.0, 9.0, 9.0, 80.0, 80.0, 80.0)}.get(name[-1], (9.0, 9.0, 9.0, 90.0, 90.0, 90.0))
    if group.crystal_system in ("trigonal", "hexagonal") and not name.endswith("R"):
        cell = (9.0, 9.0, 9.0, 90.0, 90.0, 120.0)
    grid = HklGrid.for_crystal(cell, group, 1.0)
    assert grid.contains(group.unique_reflections(cell, 1.0, absent=True)).all()
    grid.check_fits(cell, group, 1.0)


def test_a_long_axis_is_named():
    with pytest.raises(GridTooSmall, match=r"axis c = 22 Å .* l from 0 to 27; .*--grid=-8:8,0:10,0:27"):
        HklGrid.thesis().check_fits((7.0, 8.0, 22.0, 90.0, 100.0, 90.0), symmetry("P21"), 0.8)
    with pytest.raises(GridTooSmall, match="axis a = 11"):
        HklGrid.thesis().check_fits((11.0, 8.0, 9.0, 90.0, 100.0, 90.0), symmetry("P21"), 0.8)


def test_bounds_as_text():
    assert HklGrid.parse(str(HklGrid.thesis())) == HklGrid.thesis()
    for text in ("1:2,3:4", "a:b,c:d,e:f", "5:1,0:1,0:1", "1,2,3"):
        with pytest.raises(UserError, match="write them like"):
            HklGrid.parse(text)
