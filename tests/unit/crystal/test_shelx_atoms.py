"""Atoms in `.res` files: by hand, there and back, and against published refinements."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from gemmi import cif

from crystals import complaint, random_structure
from xrdml.crystal.cif import read_structure
from xrdml.crystal.shelx import read_shelx
from xrdml.crystal.shelx_atoms import atom_labels, read_res, write_res
from xrdml.crystal.structure import Structure

HEAD = """TITL by hand
CELL 0.71073 5 5 5 90 90 90
LATT -1
SFAC C CL
SFAC H
UNIT 4 1 4
"""


def by_hand(tmp_path, atoms: str):
    path = tmp_path / "x.res"
    path.write_text(HEAD + atoms + "HKLF 4\nEND\nQ1 1 0.1 0.1 0.1 11.0 0.05 1.0\n")
    return path


def test_written_lines(tmp_path):
    """A Cl on the inversion centre of P-1 (order 2) and an O and a C on general positions."""
    structure = Structure(
        (5, 6, 7, 80, 85, 95),
        "P -1",
        np.array([17, 6, 8, 6], np.uint8),
        np.array([[0.5, 0, 0.5], [0.1, 0.2, 0.3], [-0.4, 1.25, 0.6], [0.7, 0.1, 0.9]]),
        np.array([0.02, 0.03, 0.04, 0.05]),
        np.array([1, 1, 1, 0.25]),
    )
    path = tmp_path / "x.res"
    write_res(
        path,
        structure,
        title="t",
        wavelength=0.71073,
        contents={"C": 4, "H": 8, "O": 2},
        scale=0.5,
        remarks=["r"],
    )
    lines = path.read_text().splitlines()
    assert lines[:2] == ["TITL t", "REM r"]
    assert lines[-12:] == [
        "SFAC C H O Cl",
        "UNIT 4 8 2 1",
        "L.S. 4",
        "FMAP 2",
        "PLAN 20",
        "FVAR 0.50000",
        "Cl1   4   0.500000   0.000000   0.500000   10.50000   0.02000",
        "C1    1   0.100000   0.200000   0.300000   11.00000   0.03000",
        "O1    3  -0.400000   1.250000   0.600000   11.00000   0.04000",
        "C2    1   0.700000   0.100000   0.900000   10.25000   0.05000",
        "HKLF 4",
        "END",
    ]
    assert read_shelx(path).contents == {"C": 4, "H": 8, "O": 2, "Cl": 1}


@pytest.mark.parametrize("group", ["P 1", "P 1 21/c 1", "C 1 2/c 1", "R -3:H", "I 41/a:2", "P 21 3"])
def test_there_and_back(tmp_path, group):
    cell = {"R -3:H": (9, 9, 12, 90, 90, 120), "P 21 3": (11, 11, 11, 90, 90, 90)}.get(
        group, (9, 9, 12, 90, 90, 90)
    )
    made = random_structure(group, cell=cell, n=12)
    made = replace(made, frac=np.round(made.frac, 6), u_iso=np.linspace(0.01, 0.2, 12))
    write_res(tmp_path / "x.res", made, title="x", wavelength=1.5)
    back = read_res(tmp_path / "x.res")
    assert back.symmetry == made.symmetry
    assert back.cell == made.cell
    np.testing.assert_array_equal(back.numbers, made.numbers)
    np.testing.assert_allclose(back.frac, made.frac, atol=1e-9)
    np.testing.assert_allclose(back.u_iso, made.u_iso, atol=1e-5)
    np.testing.assert_allclose(back.occupancy, made.occupancy, atol=1e-4)


def test_codes(tmp_path):
    """Fixed parameters, free variables and their complements, riding and anisotropic U, fragments."""
    path = by_hand(
        tmp_path,
        """FVAR 0.7 0.6
FRAG 17 1 1 1 90 90 90
C9 1 1.0 2.0 3.0
FEND
CL1  2  10.25  0.5  0.125  21.0  0.04
H1A  3  0.1  0.2  0.3  11.0  -1.5
PART 2
C2   1 -0.1  0.2  0.3  -21.0  0.01 0.02 =
   0.03 0 0 0
H2   3  0.1  0.2  0.9  11.0  -1.2
""",
    )
    found = read_res(path)
    assert found.numbers.tolist() == [17, 1, 6, 1]
    np.testing.assert_allclose(found.frac[0], [0.25, 0.5, 0.125])
    np.testing.assert_allclose(found.occupancy, [0.6, 1, 0.4, 1])
    np.testing.assert_allclose(found.u_iso, [0.04, 0.06, 0.02, 0.024])


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        ("C1 1 0.1 0.2 oops 11.0 0.05\n", ":7: 'C1 1 0.1 0.2 oops 11.0 0.05' is neither"),
        ("C1 9 0.1 0.2 0.3 11.0 0.05\n", "neither an instruction nor an atom"),
        ("C1 1 0.1 0.2 0.3 31.0 0.05\n", "neither an instruction nor an atom"),
        ("C1 1 0.1\n", "neither an instruction nor an atom"),
        ("", "holds no atoms"),
    ],
)
def test_nonsense(tmp_path, atoms, message):
    assert message in complaint(read_res, by_hand(tmp_path, atoms))


def test_too_many_atoms_for_four_characters():
    structure = random_structure(n=1000)
    carbon = replace(structure, numbers=np.full(1000, 6, np.uint8))
    assert "C1000" in complaint(atom_labels, carbon)
    assert atom_labels(structure)[0] in ("C1", "N1", "O1")


def test_published_refinements(shared_data, tmp_path):
    """The `.res` text inside published CIFs holds the atoms that the CIF itself lists."""
    tried = 0
    for path in sorted((shared_data / "structures").glob("*.cif")):
        block = cif.read(str(path)).sole_block()
        text = block.find_value("_shelx_res_file")
        if not text:
            continue
        (tmp_path / "x.res").write_text(cif.as_string(text), encoding="utf-8")
        published, found = read_structure(path), read_res(tmp_path / "x.res")
        assert found.symmetry.number == published.symmetry.number
        n = len(published)
        assert len(found) == n, path.name
        np.testing.assert_array_equal(found.numbers, published.numbers)
        delta = found.frac - published.frac
        assert np.abs(delta).max() < 1e-4 + 0.02 * (published.numbers == 1).any(), path.name
        # A CIF gives U(eq) with 2–5 digits.
        np.testing.assert_allclose(found.u_iso, published.u_iso, atol=3e-3, err_msg=path.name)
        tried += 1
    assert tried > 10
