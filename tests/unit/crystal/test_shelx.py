"""SHELX instruction files: read, and written for all space groups."""

from __future__ import annotations

import gemmi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystals import complaint
from xrdml.crystal.shelx import LATTICES, find_hklf, latt_and_symm, parse_shelx, read_shelx, write_ins
from xrdml.crystal.symmetry import symmetry
from xrdml.errors import UserError

INS = """TITL sucrose, as = measured! P2(1)
 CELL 1 1 1 1 1 1 1
cell 0.71073 7.716 8.664 10.812 90 102.982 =
    90          ! Mo
ZERR 2 0.001 0.001 0.001 0 0.01 0
REM LATT 7
latt -1
SYMM -x, 0.5+Y, -z
SFAC C H
SFAC CL 11.46 0.0104 7.1964 1.1662 6.2556 18.5194 1.6455 47.7784 =
  -9.5574 0.1484 0.1585 585.0 0.99 35.453
SFAC D O
UNIT 24 42 =
  1.5
UNIT 2 22
L.S. 4
C1 1 0.1 0.2 0.3 11.0 0.04
HKLF 4
UNIT 1 2 3
END
"""


def test_header():
    about = parse_shelx(INS, "x.ins")
    assert about.title == "sucrose, as = measured! P2(1)"
    assert about.cell == (7.716, 8.664, 10.812, 90, 102.982, 90)
    assert about.wavelength == 0.71073
    assert about.symmetry is not None
    assert about.symmetry.name == "P 1 21 1"
    assert about.contents == {"C": 24, "H": 44, "Cl": 1.5, "O": 22}
    assert about.hklf is not None
    assert about.hklf.code == 4


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CELL 1 9 9 20 90 90 120\nLATT -1\nSYMM -Y,+X-Y,0.667+Z\nSYMM +Y-X,-X,0.333+Z\n", "P 32"),
        ("CELL 1 9 9 20 90 90 120\nLATT 3\nSYMM -Y,X-Y,Z\nSYMM Y-X,-X,Z", "R -3:H"),
        ("CELL 1 5 6 7 90 95 90\nLATT 1\nSYMM 1/2 - X, 1/2 + Y, 1/2 - Z", "P 1 21/n 1"),
        ("CELL 1 5 6 7 80 95 91", "P -1"),  # SHELXL's default where LATT is missing
    ],
)
def test_settings_and_fractions(text, name):
    found = parse_shelx(text, "x.ins").symmetry
    assert found is not None
    assert found.name == name


def test_hklf_instruction():
    hklf = find_hklf("HKLF -3 2.5 0 0 1 0 -1 =\n 0 1 0 0 1.5 7\n")
    assert hklf is not None
    assert (hklf.code, hklf.scale, hklf.sigma_scale) == (3, 2.5, 1.5)
    assert hklf.matrix == (0, 0, 1, 0, -1, 0, 1, 0, 0)
    assert find_hklf("TITL x\nEND\nHKLF 4") is None


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("7.716", "7.7l6", 3, "CELL"),
        ("7.716", "-7.716", 3, "lengths"),
        (" 10.812", "", 3, "6 numbers"),
        ("latt -1", "latt 9", 7, "LATT 9"),
        ("0.5+Y", "0.4+Y", 8, "unexpected number"),
        ("-x, 0.5+Y", "x, x+Y", 8, "symmetry operations"),
        ("-x, 0.5+Y, -z", "-x, 0.5+Y", 8, "two commas"),
        ("SFAC D O", "SFAC D Oo", 12, "'Oo' is no element"),
        ("UNIT 2 22", "UNIT 2 22 5", 15, "6 numbers and SFAC 5"),
        ("UNIT 2 22", "UNIT 2 nan", 15, "numbers"),
        ("HKLF 4", "HKLF 4 -1", 18, "positive"),
        ("HKLF 4", "HKLF 4 1 0 0 0 0 0 0 0 0 0", 18, "positive"),
        ("cell", "call", None, "no CELL"),
    ],
)
def test_bad_instructions(tmp_path, old, new, line, words):
    path = tmp_path / "x.ins"
    assert old in INS
    path.write_text(INS.replace(old, new))
    with pytest.raises(UserError, match=words) as caught:
        read_shelx(path)
    assert caught.value.line == line
    assert str(caught.value).startswith(str(path))


def expand(lattice: int, operations: list[str]) -> set[str]:
    """What SHELX makes of LATT and SYMM: centring and inversion applied to each, nothing multiplied out."""
    every = [gemmi.Op(t) for t in ("x,y,z", *operations)]
    if lattice > 0:
        every += [gemmi.Op("-x,-y,-z") * op for op in every]
    shifts = [gemmi.Op(t) for t in ("x,y,z", *LATTICES[abs(lattice)])]
    found = [(shift * op).wrap().triplet() for shift in shifts for op in every]
    assert len(found) == len(set(found)), "an operation is listed twice"
    return set(found)


def test_every_setting_comes_back(tmp_path):
    path = tmp_path / "x.ins"
    tested = 0
    for group in gemmi.spacegroup_table():
        name = group.xhm()
        wanted = symmetry(name)
        lattice, operations = latt_and_symm(wanted)
        assert expand(lattice, operations) == {op.wrap().triplet() for op in group.operations()}, name
        write_ins(path, title=name, cell=(9, 9, 9, 90, 90, 90), wavelength=1.5, symmetry=wanted)
        found = read_shelx(path).symmetry
        assert found is not None
        assert found.hall == wanted.hall
        tested += 1
    assert tested > 500


@pytest.mark.parametrize(
    ("name", "lattice", "operations"),
    [
        ("P1", -1, []),
        ("P-1", 1, []),
        ("P21", -1, ["-x,y+1/2,-z"]),
        ("C2", -7, ["-x,y,-z"]),
        ("I2/a", 2, ["-x+1/2,y,-z"]),
        ("P21/c", 1, ["-x,y+1/2,-z+1/2"]),
        ("R-3c:H", 3, ["-y,x-y,z", "-x+y,-x,z", "y,x,-z+1/2", "x-y,-y,-z+1/2", "-x,-x+y,-z+1/2"]),
    ],
)
def test_latt_and_symm_by_hand(name, lattice, operations):
    found = latt_and_symm(symmetry(name))
    assert found[0] == lattice
    # Which of two operations that inversion or centring connects is listed does not matter.
    assert expand(*found) == expand(lattice, operations)


def test_written_file(tmp_path):
    path = tmp_path / "x.ins"
    write_ins(
        path,
        title="two\nlines " + "x" * 100,
        cell=(7.716, 8.664, 10.812, 90, 102.982, 90),
        wavelength=0.71073,
        symmetry=symmetry("P21"),
        contents={"C": 24, "H": 44.2, "O": 22, "Br": 0.3},
    )
    title, *rest = path.read_text().splitlines()
    assert title == ("TITL two lines " + "x" * 100)[:80]
    assert rest == [
        "CELL 0.71073 7.7160 8.6640 10.8120 90.000 102.982 90.000",
        "ZERR 2 0.0000 0.0000 0.0000 0.000 0.000 0.000",
        "LATT -1",
        "SYMM -X, Y+1/2, -Z",
        "SFAC C H O Br",
        "UNIT 24 44 22 1",
        "HKLF 4",
        "END",
    ]


def test_long_contents_and_unknown_ones(tmp_path):
    path = tmp_path / "x.ins"
    elements = [gemmi.Element(z).name for z in range(1, 90)]
    common = {"title": "x", "cell": (10, 10, 18, 90, 90, 90), "wavelength": 1.0, "symmetry": symmetry("P1")}
    write_ins(path, **common, contents={e: 1000.0 + i for i, e in enumerate(elements)})
    assert max(map(len, path.read_text().splitlines())) <= 80
    assert read_shelx(path).contents == {e: 1000.0 + i for i, e in enumerate(elements)}
    write_ins(path, **common)
    # 1800 Å³ / 18 Å³ = 100 atoms.
    assert read_shelx(path).contents == {"C": 78, "H": 100, "N": 9, "O": 13}


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(INS)),
            st.integers(0, 9),
            st.text("CELATSYMHKFU0123-+.,/= \n!xyzé\u0663", max_size=6),
        ),
        max_size=6,
    )
)
def test_any_damage(edits):
    text = INS
    for at, removed, added in edits:
        text = text[:at] + added + text[at + removed :]
    told = complaint(parse_shelx, text, "x.ins")
    assert not told or told.startswith("x.ins:")
