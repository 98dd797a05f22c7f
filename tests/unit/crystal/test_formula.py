"""Formulas and the number of their units in a cell."""

from __future__ import annotations

import pytest

from crystals import complaint
from xrdml.crystal.formula import contents_of_cell, parse_formula, site_orders
from xrdml.crystal.symmetry import symmetry
from xrdml.data.structures import read_structures

CELL = (10.0, 10.0, 10.0, 90.0, 90.0, 90.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C12 H22 O11", {"C": 12, "H": 22, "O": 11}),
        ("C12H22O11", {"C": 12, "H": 22, "O": 11}),
        ("C2 H5.5 D0.5 Cl, O", {"C": 2, "H": 6, "Cl": 1, "O": 1}),
        ("CoCO", {"Co": 1, "C": 1, "O": 1}),
    ],
)
def test_parse(text, expected):
    assert parse_formula(text) == expected


@pytest.mark.parametrize("text", ["", "C12 (H2O)2", "c6 h6", "C6 H6+", "12", "C1.2.3", "Xx2", "H2", "C0"])
def test_parse_refuses(text):
    assert "formula" in complaint(parse_formula, text) or "element" in complaint(parse_formula, text)


@pytest.mark.parametrize(
    ("group", "orders"),
    [
        ("P 1", [1]),
        ("P 1 21 1", [1]),
        ("P 21 21 21", [1]),
        ("P -1", [1, 2]),
        ("P 1 21/c 1", [1, 2]),
        ("C 1 2/m 1", [1, 2, 4]),
        ("P n m a", [1, 2]),
        ("R -3:H", [1, 2, 3, 6]),
        ("P 21 3", [1, 3]),
        ("F m -3 m", [1, 2, 4, 6, 8, 24, 48]),
    ],
)
def test_site_orders_are_those_of_the_tables(group, orders):
    """International Tables A: order of the point group over multiplicity, for all Wyckoff positions.

    In Fm-3m: 192 over 4, 4, 8, 24, 24, 32, 48, 48, 48, 96, 96 and 192.
    """
    assert site_orders(symmetry(group), CELL) == orders


@pytest.mark.parametrize(
    ("group", "non_h", "z"),
    [
        ("P 1 21 1", 23, 2),  # 1000 Å3 / 18 = 55.6 atoms: two molecules and a bit
        ("P 1 21 1", 60, 2),  # never one, the group has no special position
        ("P 1 21/c 1", 28, 2),  # on an inversion centre
        ("P 1 21/c 1", 14, 4),
        ("P 1", 9, 6),
        ("P 1 21 1", 9, 6),
    ],
)
def test_z_from_the_volume(group, non_h, z):
    found = contents_of_cell({"C": float(non_h), "H": 10.0}, CELL, symmetry(group))
    assert found == {"C": non_h * z, "H": 10 * z}
    assert contents_of_cell({"C": 2.0}, CELL, symmetry(group), z=3) == {"C": 6}


def test_z_of_published_crystals(shared_data):
    """The formula of one asymmetric unit of a general position gives back the contents of the cell."""
    named = read_structures(shared_data / "structures", limit=60)
    right = 0
    for _, structure in named:
        group = structure.symmetry
        contents = structure.cell_contents()
        formula = {element: n / group.order for element, n in contents.items()}
        found = contents_of_cell(formula, structure.cell, group)
        right += found == pytest.approx(contents)
    assert right >= 0.9 * len(named)
