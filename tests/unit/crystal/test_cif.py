"""CIF: headers, atoms and embedded reflections."""

from __future__ import annotations

import random

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystals import complaint
from xrdml.crystal.cif import read_cif, read_structure
from xrdml.crystal.cif_reflections import read_cif_reflections
from xrdml.errors import UserError

HKL = "   1   0   0   10.00    1.00\n   1   2  -3   -2.50    0.50\n   0   0   0    0.00    0.00\n"
CELL = """_cell_length_a 7.716(2)
_cell_length_b 8.664
_cell_length_c 10.812
_cell_angle_alpha 90
_cell_angle_beta 102.982(5)
_cell_angle_gamma 90
"""
GROUP = """_space_group_name_H-M_alt 'P 1 21 1'
_space_group_name_Hall 'P 2yb'
loop_
_space_group_symop_operation_xyz
'x, y, z'
'-x, y+1/2, -z'
"""
ATOMS = """loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_U_iso_or_equiv
_atom_site_occupancy
_atom_site_calc_flag
C1 C 0.1234(5) -0.25 1.5 0.0312(7) 1 d
O2 O 0.2 0.3 0.4 . 0.65(2) d
D3 D 0.3 0.3 0.4 0.05 ? calc
N4 N1+ 0.5 0.5 0.5 ? . d
Q5 C 0.6 0.6 0.6 0.05 1 dum
C6 C ? ? ? 0.05 1 d
X7 X 0.7 0.7 0.7 0.05 1 d
loop_
_atom_site_aniso_label
_atom_site_aniso_U_11
_atom_site_aniso_U_22
_atom_site_aniso_U_33
_atom_site_aniso_U_23
_atom_site_aniso_U_13
_atom_site_aniso_U_12
O2 0.02 0.03 0.06 0 0.02 0
"""
GOOD = f"""# a comment
data_global
_journal_name 'Acta'
data_x
{CELL}{GROUP}
_diffrn_radiation_wavelength 0.71073
_chemical_formula_sum 'C12 H20 D2 O11'
_cell_formula_units_Z 2
{ATOMS}_shelx_res_file
;
TITL x
HKLF 4
;
_shelx_hkl_file
;
{HKL};
"""


@pytest.fixture
def write(tmp_path):
    def writer(text: str):
        path = tmp_path / "x.cif"
        path.write_text(text, encoding="utf-8")
        return path

    return writer


def test_header(write):
    about = read_cif(write(GOOD))
    assert about.title == "x"
    assert about.cell == (7.716, 8.664, 10.812, 90, 102.982, 90)
    assert about.symmetry is not None
    assert about.symmetry.name == "P 1 21 1"
    assert about.wavelength == 0.71073
    assert about.contents == {"C": 24, "H": 44, "O": 22}
    assert about.hklf is not None
    assert about.hklf.code == 4


def test_atoms(write):
    structure = read_structure(write(GOOD))
    assert structure.space_group == "P 1 21 1"
    assert structure.numbers.tolist() == [6, 8, 1, 7]
    assert structure.frac[0].tolist() == [0.1234, -0.25, 1.5]
    assert structure.occupancy.tolist() == [1, 0.65, 1, 1]
    # Oblique axes with b unique: U(eq) = (U11 + U33 + 2 U13 cosβ)/(3 sin²β) + U22/3.
    beta = np.radians(102.982)
    u_eq = ((0.02 + 0.06 + 2 * 0.02 * np.cos(beta)) / np.sin(beta) ** 2 + 0.03) / 3
    assert structure.u_iso == pytest.approx([0.0312, u_eq, 0.05, 0.05])


def test_b_iso_and_labels_without_types(write):
    atoms = """loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_B_iso_or_equiv
C1 0.1 0.2 0.3 3.2
CA2 0.1 0.2 0.4 3.2
CL3 0.1 0.2 0.5 3.2
OW 0.1 0.2 0.6 3.2
Cg1 0.1 0.2 0.7 3.2
"""
    text = f"data_x\n{CELL}{GROUP}_chemical_formula_sum 'C2 Cl O'\n{atoms}"
    structure = read_structure(write(text))
    assert structure.numbers.tolist() == [6, 6, 17, 8]
    assert structure.u_iso == pytest.approx(np.full(4, 3.2 / (8 * np.pi**2)))


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("_symmetry_space_group_name_H-M 'P 21/n'", "P 1 21/n 1"),
        ("_symmetry_space_group_name_Hall '-P 2yn'", "P 1 21/n 1"),
        ("_SPACE_GROUP_NAME_H-M_ALT 'P 1 21/c 1'\n_space_group_name_Hall '-P 2yn'", "P 1 21/n 1"),
        (
            "_symmetry_space_group_name_H-M 'P 21/c'\nloop_\n_symmetry_equiv_pos_as_xyz\n'-X,-Y,-Z'\n"
            "'1/2-x, 1/2+y, 1/2-z'\n'x-1/2,-y-1/2,z-1/2'",
            "P 1 21/n 1",
        ),
        ("_symmetry_space_group_name_H-M '?'\n_space_group_name_Hall 'P 2yb'", "P 1 21 1"),
    ],
)
def test_space_group_from_any_source(write, group, name):
    found = read_cif(write(f"data_x\n{CELL}{group}\n")).symmetry
    assert found is not None
    assert found.name == name


def test_no_space_group_in_header(write):
    path = write(f"data_x\n{CELL}{ATOMS}")
    assert read_cif(path).symmetry is None
    assert read_cif(path).contents is None
    with pytest.raises(UserError, match="no space group"):
        read_structure(path)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("data_global", "", 3, "expected block header"),
        ("'x, y, z'", "'x, y, z", 15, "CIF"),
        ("N4 N1+ 0.5", "N4 N1+", 21, "loop"),
        ("102.982(5)", "?", None, "_cell_angle_beta is ''"),
        ("102.982(5)", "1.8", None, "angles"),
        ("8.664", "8.664\n_cell_length_b 8.7", 7, "duplicate"),
        ("'P 1 21 1'", "'P 21 21 21'", None, "contradict the symbol 'P 21 21 21'"),
        ("'-x, y+1/2, -z'", "'-x, y+1/2, z+0.4'", None, "symmetry operations"),
        ("_cell_length_a", "_space_group_IT_number 4i\n_cell_length_a", None, "not an integer: 4i"),
        ("_cell_length", "_zell_length", None, "no block of this CIF has a cell"),
        ("_cell_angle_alpha 90", "_cell_angle_alpha 95", None, "contradicts space group"),
        ("_atom_site_fract", "_atom_site_frakt", None, "no atoms"),
    ],
)
def test_bad_cif(write, old, new, line, words):
    assert old in GOOD
    path = write(GOOD.replace(old, new))
    with pytest.raises(UserError, match=words.replace("(", r"\(")) as caught:
        read_structure(path)
    assert str(caught.value).startswith(str(path))
    assert caught.value.line == line


def test_embedded_hkl_and_its_code(write):
    data = read_cif_reflections(write(GOOD))
    assert data.hkl.tolist() == [[1, 0, 0], [1, 2, -3]]
    assert data.intensity.tolist() == [10, -2.5]
    data = read_cif_reflections(write(GOOD.replace("HKLF 4", "HKLF 3 1 0 0 1 0 -1 0 1 0 0")))
    assert data.hkl.tolist() == [[0, 0, 1], [-3, -2, 1]]
    assert data.intensity.tolist() == [100, -6.25]
    with pytest.raises(UserError, match="HKLF 5"):
        read_cif_reflections(write(GOOD.replace("HKLF 4", "HKLF 5")))
    with pytest.raises(UserError, match="not a reflection") as caught:
        read_cif_reflections(write(GOOD.replace("   1   2  -3", "   1   2   x")))
    text = GOOD.split("\n")
    assert caught.value.line == text.index("   1   2  -3   -2.50    0.50") + 1


LOOP = """loop_
_refln_index_h
_refln_index_k
_refln_index_l
_refln_{0}_calc
_refln_{0}_meas
_refln_{0}_sigma
_refln_observed_status
1 0 0 9.5 10.0 1.0 o
1 2 -3 1.0 -2.5(1) 0.50 o
1 2 -4 1.0 ? ? x
"""


def test_refln_loops(write):
    for item in ("F_squared", "intensity"):
        data = read_cif_reflections(write(f"data_x\n{CELL}{LOOP.format(item)}"))
        assert data.hkl.tolist() == [[1, 0, 0], [1, 2, -3]]
        assert data.intensity.tolist() == [10, -2.5]
        assert data.sigma.tolist() == [1, 0.5]
    data = read_cif_reflections(write(f"data_x\n{CELL}{LOOP.format('F')}"))
    assert data.intensity.tolist() == [100, -6.25]
    embedded = f"data_y\n_iucr_refine_fcf_details\n;\ndata_x\n{LOOP.format('F_squared')};\n"
    assert read_cif_reflections(write(embedded)).intensity.tolist() == [10, -2.5]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"data_x\n{CELL}", "holds no reflections"),
        (f"data_x\n{LOOP.format('F_squared').replace('meas', 'gone')}", "lacks _refln_F_squared_meas"),
        (f"data_x\n{LOOP.format('F_squared').replace('1 2', '1.5 2')}", "whole-number"),
        (f"data_x\n{LOOP.format('F_squared').replace('1 0 0 9.5 10.0', '1 0 0 9.5 -1')}", "positive"),
        ("data_x\n_shelx_fcf_file 'removed: see elsewhere'\n", "block header"),
        ("# nothing\n", "no data_ block"),
    ],
)
def test_cif_without_usable_reflections(write, text, words):
    with pytest.raises(UserError, match=words):
        read_cif_reflections(write(text))


def test_u_eq_is_gemmis_definition(write):
    # gemmi's and ours agree on a triclinic cell: the trace of the Cartesian tensor.
    cell = gemmi.UnitCell(5, 6, 7, 80, 95, 110)
    u = np.array([[0.02, 0.004, 0.003], [0.004, 0.03, -0.002], [0.003, -0.002, 0.05]])
    reciprocal = cell.reciprocal()
    n = np.diag([reciprocal.a, reciprocal.b, reciprocal.c])
    orth = np.array(cell.orth.mat.tolist())
    trace = np.trace(orth @ n @ u @ n @ orth.T) / 3
    text = GOOD.replace(GROUP, "_symmetry_space_group_name_H-M 'P 1'\n").replace(
        "O2 0.02 0.03 0.06 0 0.02 0", "O2 0.02 0.03 0.05 -0.002 0.003 0.004"
    )
    for old, new in zip(("7.716(2)", "8.664", "10.812"), "567", strict=True):
        text = text.replace(old, new)
    text = text.replace("alpha 90", "alpha 80").replace("102.982(5)", "95").replace("gamma 90", "gamma 110")
    assert read_structure(write(text)).u_iso[1] == pytest.approx(trace)


@settings(deadline=None, max_examples=300)
@given(st.randoms(use_true_random=False), st.integers(1, 8))
def test_any_damage(tmp_path_factory, rng: random.Random, n):
    data = bytearray(GOOD.encode())
    for _ in range(n):
        i = rng.randrange(len(data))
        pieces = [b"'", b"\n;", b"?", b"loop_", b"data_", b"_x", b"-", b"\xff", b"1e999", b" ", b"\n", b"9"]
        data[i : i + rng.randrange(6)] = rng.choice(pieces)
    path = tmp_path_factory.getbasetemp() / "mutated.cif"
    path.write_bytes(bytes(data))
    for reader in (read_cif, read_structure, read_cif_reflections):
        told = complaint(reader, path)
        assert not told or told.startswith(str(path))
