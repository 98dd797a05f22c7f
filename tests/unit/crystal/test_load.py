"""Finding cell, space group and the rest in whatever files there are."""

from __future__ import annotations

import pytest

from xrdml.crystal.load import is_cif, load_measurement
from xrdml.errors import UserError

CELL = (7.716, 8.664, 10.812, 90.0, 102.982, 90.0)
OTHER = (8.0, 8.0, 11.0, 90.0, 100.0, 90.0)
REFLECTIONS = "   1   0   0   10.00    1.00\n   1   2  -3   -2.50    0.50\n"
END = "   0   0   0    0.00    0.00   0\n"


def ins(cell=CELL, symm="-X,Y+1/2,-Z", hklf="HKLF 4", title="from ins") -> str:
    numbers = " ".join(map(str, cell))
    return f"TITL {title}\nCELL 0.71073 {numbers}\nLATT -1\nSYMM {symm}\nSFAC C H\nUNIT 24 44\n{hklf}\nEND\n"


def cif(cell=CELL, group="P 1 21 1", extra="") -> str:
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    items = "".join(f"_cell_{name} {value}\n" for name, value in zip(names, cell, strict=True))
    return (
        f"data_fromcif\n{items}_space_group_name_H-M_alt '{group}'\n_diffrn_radiation_wavelength 1.54178\n"
        f"_chemical_formula_sum 'C10 H20'\n_cell_formula_units_Z 4\n{extra}"
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "x.hkl").write_text(REFLECTIONS + END)
    return tmp_path


def write(path, text):
    path.write_text(text)
    return path


def test_options_alone(folder):
    found = load_measurement(folder / "x.hkl", cell=CELL, space_group="P21")
    assert len(found.reflections) == 2
    assert (found.cell, found.symmetry.name) == (CELL, "P 1 21 1")
    assert (found.wavelength, found.contents, found.title) == (None, None, "")


def test_options_override_files_and_files_fill_the_rest(folder):
    named = write(folder / "other.ins", ins())
    found = load_measurement(folder / "x.hkl", ins=named, cell=OTHER)
    assert (found.cell, found.symmetry.name) == (OTHER, "P 1 21 1")
    assert (found.wavelength, found.contents, found.title) == (0.71073, {"C": 24, "H": 44}, "from ins")
    found = load_measurement(folder / "x.hkl", ins=named, space_group="P2")
    assert (found.cell, found.symmetry.name) == (CELL, "P 1 2 1")


def test_files_beside_in_order(folder):
    write(folder / "x.cif", cif())
    assert load_measurement(folder / "x.hkl").title == "fromcif"
    write(folder / "x.res", ins(title="from res"))
    assert load_measurement(folder / "x.hkl").title == "from res"
    write(folder / "x.ins", ins(title="from ins"))
    found = load_measurement(str(folder / "x.hkl"))
    assert (found.title, found.wavelength) == ("from ins", 0.71073)
    found = load_measurement(folder / "x.hkl", cif=folder / "x.cif")
    assert (found.title, found.wavelength, found.contents) == ("fromcif", 1.54178, {"C": 40, "H": 80})
    # Options that say all leave the neighbours alone, even damaged ones.
    write(folder / "x.ins", "CELL nonsense\n")
    assert load_measurement(folder / "x.hkl", cell=OTHER, space_group="P21").title == ""
    with pytest.raises(UserError, match=r"x\.ins:1: CELL"):
        load_measurement(folder / "x.hkl")


def test_what_follows_the_reflections(folder):
    path = write(folder / "x.hkl", REFLECTIONS + END + "REM from SHELXL\n" + ins())
    found = load_measurement(path)
    assert (found.cell, found.title) == (CELL, "from ins")
    found = load_measurement(write(path, REFLECTIONS + END + "\n_exptl_x 1\n" + cif().split("\n", 1)[1]))
    assert (found.cell, found.wavelength) == (CELL, 1.54178)
    write(path, REFLECTIONS + END + "REM\n" + ins(cell=(7, 8, "x", 90, 90, 90)))
    with pytest.raises(UserError, match=r"x\.hkl:6: CELL"):
        load_measurement(path)
    with pytest.raises(UserError, match=r"x\.hkl:5: is no valid CIF"):
        load_measurement(write(path, REFLECTIONS + END + "note\n_cell_length_a 1 2\n"))
    # Free text is nothing to complain about.
    write(path, REFLECTIONS + END + "_exptl_absorpt_process_details 'SADABS'\nsome words\n")
    assert load_measurement(path, cell=CELL, space_group="P21").cell == CELL


def test_hklf_instruction_decides(folder):
    path = folder / "x.hkl"
    write(folder / "x.ins", ins(hklf="HKLF 3 2 0 0 1 0 -1 0 1 0 0"))
    found = load_measurement(path).reflections
    assert found.hkl.tolist() == [[0, 0, 1], [-3, -2, 1]]
    assert found.intensity.tolist() == [200, -12.5]
    assert found.sigma.tolist() == [40, 5]
    write(folder / "x.ins", ins(hklf="HKLF 5"))
    with pytest.raises(UserError, match=r"x\.ins: HKLF 5"):
        load_measurement(path)
    write(folder / "x.ins", ins(hklf="HKLF 4 1 0.5 0 0 0 1 0 0 0 1"))
    with pytest.raises(UserError, match=r"x\.ins: the matrix"):
        load_measurement(path)


def test_cif_with_reflections(folder):
    path = write(folder / "y.cif", "# comment\n\n" + cif(extra=f"_shelx_hkl_file\n;\n{REFLECTIONS}{END};\n"))
    found = load_measurement(path)
    assert (len(found.reflections), found.cell, found.symmetry.name) == (2, CELL, "P 1 21 1")
    # COD calls such files .hkl, and they may lack the cell.
    loop = "loop_\n" + "\n".join(f"_refln_{x}" for x in ("index_h", "index_k", "index_l"))
    loop += "\n_refln_F_squared_meas\n_refln_F_squared_sigma\n1 0 0 10 1\n1 2 -3 -2.5 0.5\n"
    path = write(folder / "x.hkl", "data_x\n" + loop)
    found = load_measurement(path, cell=CELL, space_group="P21")
    assert found.reflections.intensity.tolist() == [10, -2.5]
    with pytest.raises(UserError, match="cell is not known"):
        load_measurement(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data_x", True),
        ("\n# a\n  #b\n\n DATA_y\n", True),
        ("1 2 3", False),
        ("# data_\n1", False),
        ("\n" * 9, False),
    ],
)
def test_is_cif(text, expected):
    assert is_cif(text) is expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "cell is not known; give --cell"),
        ({"space_group": "P21"}, "cell is not known; give --cell"),
        ({"cell": CELL}, "space group is not known; give --space-group"),
        ({"cell": CELL, "space_group": "P22"}, "unknown space group 'P22'"),
        ({"cell": CELL, "space_group": "P212121"}, r"x\.hkl: cell .* contradicts space group P 21 21 21"),
        ({"cell": (1.0, 1.0, 1.0, 90.0, 90.0, 90.0), "space_group": "P1"}, "6 0 0 would lie at 0.167"),
        ({"ins": "no.ins"}, r"no\.ins: no such file"),
        ({"cif": "no.cif"}, r"no\.cif: no such file"),
    ],
)
def test_what_is_missing_or_wrong(folder, options, words):
    write(folder / "x.hkl", "   6   0   0   10.00    1.00\n" + REFLECTIONS)
    with pytest.raises(UserError, match=words):
        load_measurement(folder / "x.hkl", **options)


def test_file_that_contradicts_itself(folder):
    write(folder / "x.ins", ins(cell=(7.716, 8.664, 10.812, 90.0, 102.982, 95.0)))
    with pytest.raises(UserError, match=r"x\.ins: cell .* contradicts"):
        load_measurement(folder / "x.hkl")
