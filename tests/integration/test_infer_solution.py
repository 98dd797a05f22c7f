"""`xrdml infer` around the search: atoms and phases of a solved crystal, what fills an unsolved one."""

from __future__ import annotations

import json
from pathlib import Path

import gemmi
import numpy as np
import pytest

import xrdml.infer.phased
from crystals import MONOCLINIC, direct_sum, random_structure
from known_solution import found
from xrdml.cli.main import main
from xrdml.crystal.cif_reflections import read_cif_reflections
from xrdml.crystal.hklf import read_hklf4
from xrdml.crystal.shelx import write_ins
from xrdml.crystal.shelx_atoms import read_res
from xrdml.crystal.structure import Structure
from xrdml.infer.choose import best_measured
from xrdml.phasing.solve import SolveOptions

SCALE = 2.0


@pytest.fixture(scope="module")
def structure() -> Structure:
    return random_structure("P 1 21 1", cell=MONOCLINIC, n=12, seed=5)


def write_crystal(folder: Path, structure: Structure, d_min: float, factor: float = 1.0) -> Path:
    """x.hkl with |F| = SCALE · √factor · |Fc| to d_min, every tenth reflection left out, and x.ins."""
    hkl = structure.symmetry.unique_reflections(structure.cell, d_min)
    if d_min > 0.8:
        hkl = hkl[np.arange(len(hkl)) % 10 > 0]
    intensity = factor * (SCALE * np.abs(direct_sum(structure, hkl))) ** 2
    # Free format, since large numbers do not fit into the columns.
    rows = [f"{h} {k} {l} {i:.4f} {1 + i / 50:.4f}" for (h, k, l), i in zip(hkl, intensity, strict=True)]
    (folder / "x.hkl").write_text("\n".join([*rows, "0 0 0 0 0"]) + "\n")
    write_ins(
        folder / "x.ins", title="made", cell=structure.cell, wavelength=0.7, symmetry=structure.symmetry,
        contents=structure.cell_contents(),
    )  # fmt: skip
    return folder / "x.hkl"


@pytest.fixture
def searched(monkeypatch):
    """Put a solution in the place of the search; what the search was asked is collected."""
    asked = []

    def put(solution) -> list:
        def search(problem, network, options, progress):
            asked.append((problem, options))
            return solution

        monkeypatch.setattr(xrdml.infer.phased, "solve", search)
        return asked

    return put


def infer(hkl, *options, out=None) -> dict:
    out = out or hkl.parent / "out"
    assert main(["infer", str(hkl), "--no-figures", "--out", str(out), *options]) == 0
    return json.loads((out / "report.json").read_text())


def fails(argv, capsys) -> str:
    assert main([str(a) for a in argv]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


@pytest.mark.parametrize("factor", [1.0, 1e6], ids=["in-range", "too-large-for-F8.2"])
def test_atoms_and_phases_of_a_solved_crystal(tmp_path, structure, searched, capsys, factor):
    scale = SCALE * np.sqrt(factor)
    searched(found(structure, True, scale))
    report = infer(write_crystal(tmp_path, structure, 1.5, factor), "--phases")
    out = tmp_path / "out"
    names = {"x.hkl", "x.ins", "x.res", "x.cif", "x.mtz", "report.json"}
    assert {p.name for p in out.iterdir()} == names == set(report["files"].values())
    assert "by atoms of the solved structure (solved: 12 atoms, R1 0.050" in capsys.readouterr().out

    # F² in the .hkl = (FVAR |Fc|)², measured or predicted, also where the file was scaled down.
    assert (report["intensity_scale"] < 1) == (factor > 1)
    written = read_hklf4(out / "x.hkl")
    present = ~structure.symmetry.is_absent(written.hkl)
    f_calc = np.abs(direct_sum(structure, written.hkl[present]))
    f_hkl = np.sqrt(np.maximum(written.intensity[present], 0))
    (line,) = [text for text in (out / "x.res").read_text().split("\n") if text.startswith("FVAR")]
    assert np.abs(f_hkl - float(line.split()[1]) * f_calc).sum() < 0.002 * f_hkl.sum()
    np.testing.assert_allclose(read_res(out / "x.res").frac, structure.frac, atol=1e-6)
    assert "SHEL 999 1.5" in (out / "x.res").read_text()

    # The MTZ: every written reflection that is not absent, on the scale of the input.
    mtz = gemmi.read_mtz_file(str(out / "x.mtz"))
    column = {c.label: c.array for c in mtz.columns}
    counts = report["counts"]
    assert len(column["FWT"]) == counts["measured"] + counts["predicted"] == present.sum()
    assert column["PREDICTED"].sum() == counts["predicted"] == np.isnan(column["FP"]).sum()
    assert np.isnan(column["SIGFP"]).sum() == counts["predicted"]
    expected = scale * direct_sum(structure, mtz.make_miller_array())
    phased = column["FWT"] * np.exp(1j * np.radians(column["PHWT"]))
    np.testing.assert_allclose(phased, expected, atol=2e-4 * np.abs(expected).max())
    np.testing.assert_allclose(column["FC"], np.abs(expected), atol=2e-4 * np.abs(expected).max())
    measured = column["PREDICTED"] == 0
    np.testing.assert_allclose(
        column["FP"][measured], np.abs(expected[measured]), atol=1e-4 * np.abs(expected).max()
    )

    # The CIF: in electrons, what was measured and no more with F_meas.
    listed = read_cif_reflections(out / "x.cif")
    assert len(listed) == counts["measured"]
    np.testing.assert_allclose(
        np.sqrt(listed.intensity), np.abs(direct_sum(structure, listed.hkl)), atol=2e-3
    )
    rows = gemmi.cif.read(str(out / "x.cif")).sole_block().find_values("_refln_F_calc")
    assert len(rows) == present.sum()


def test_no_phases_without_being_asked(tmp_path, structure, searched):
    searched(found(structure, True, SCALE))
    infer(write_crystal(tmp_path, structure, 1.5))
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "x.hkl",
        "x.ins",
        "x.res",
        "x.cif",
        "report.json",
    }
    assert "_refln_" not in (tmp_path / "out/x.cif").read_text()


def test_an_unsolved_crystal_leaves_neither_atoms_nor_phases(tmp_path, structure, searched, capsys):
    searched(found(structure, False, SCALE))
    report = infer(write_crystal(tmp_path, structure, 1.5), "--phases")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"x.hkl", "x.ins", "report.json"}
    assert "no phases were written" in " ".join(report["warnings"])
    model = report["model"]
    assert model["solved"] is False
    best, _ = best_measured()
    assert model["amplitudes"] == model["fallback"]["chosen"] == best
    assert "lowest R_ext" in model["fallback"]["reason"]
    printed = capsys.readouterr().out
    assert f"by {best} (NOT SOLVED by density_prior, 4 starts" in printed
    assert "lowest R_ext" in printed


def test_files_of_an_earlier_run_are_named(tmp_path, structure, searched):
    hkl = write_crystal(tmp_path, structure, 1.5)
    searched(found(structure, True, SCALE))
    assert not any("earlier run" in w for w in infer(hkl, "--phases")["warnings"])
    searched(found(structure, False, SCALE))
    (warning,) = [w for w in infer(hkl)["warnings"] if "earlier run" in w]
    assert "x.res, x.cif, x.mtz" in warning


@pytest.mark.parametrize(
    ("options", "did", "refused"),
    [
        (["--fallback", "radial"], "radial", None),
        (["--fallback", "unet"], "unet", None),
        (["--fallback", "unet", "--space-group", "P1"], "ridge", "Laue class"),
        (["--fallback", "unet", "--grid=-3:3,0:3,0:3"], "ridge", "too long for the grid"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else None,
)
def test_fallback(tmp_path, structure, searched, capsys, options, did, refused):
    searched(found(structure, False, SCALE))
    hkl = write_crystal(tmp_path, structure, 1.5)
    report = infer(hkl, *options)
    fallback = report["model"]["fallback"]
    assert report["model"]["amplitudes"] == did
    assert fallback["reason"] == f"--fallback {options[1]}"
    printed, warned = capsys.readouterr()
    assert f"by {did} (NOT SOLVED by density_prior" in printed
    if refused is None:
        assert fallback["refused"] == {}
    else:
        assert refused in fallback["refused"]["unet"]
        (warning,) = [line for line in warned.splitlines() if "cannot fill this crystal" in line]
        assert warning.endswith("ridge did")

    # What filled is what the model fills alone.
    alone = tmp_path / "alone"
    infer(hkl, "--model", did, *(o for o in options[2:] if did != "ridge" or "grid" not in o), out=alone)
    assert (alone / "x.hkl").read_bytes() == (tmp_path / "out/x.hkl").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fallback", "density_prior"], "is a density prior"),
        (["--fallback", "resnet"], "unknown model 'resnet'"),
        (["--model", "ridge", "--phases"], "--phases needs a model that solves"),
        (["--model", "unet", "--fallback", "ridge"], "--fallback needs a model that solves"),
        (["--starts", "0"], "--starts 0"),
        (["--seconds", "-1"], "--seconds -1"),
        (["--z", "2"], "--formula"),
        (["--formula", "Xx2"], "'Xx' is no element"),
    ],
)
def test_bad_options(tmp_path, structure, searched, capsys, options, message):
    """Said before the search begins."""
    asked = searched(found(structure, True, SCALE))
    hkl = write_crystal(tmp_path, structure, 1.5)
    assert message in fails(["infer", hkl, "--out", tmp_path / "out", *options], capsys)
    assert not asked


def test_search_and_formula(tmp_path, structure, searched):
    asked = searched(found(structure, True, SCALE))
    hkl = write_crystal(tmp_path, structure, 1.5)
    options = ["--starts", "3", "--iterations", "11", "--seed", "5", "--seconds", "7.5"]
    report = infer(hkl, *options, "--formula", "C5 H9 N O2", "--z", "4")
    (problem, search) = asked[0]
    assert search == SolveOptions(starts=3, iterations=11, seed=5, seconds=7.5)
    assert problem.contents == report["contents"] == {"C": 20, "H": 36, "N": 4, "O": 8}
    assert report["model"]["options"]["seconds"] == 7.5


def test_nothing_is_missing(tmp_path, structure, searched, capsys):
    """Complete data: said so, no model is asked, and the data come out as they went in."""
    asked = searched(found(structure, True, SCALE))
    hkl = write_crystal(tmp_path, structure, 0.8)
    report = infer(hkl)
    assert not asked
    assert report["counts"]["predicted"] == 0
    assert report["model"] == {"name": None}
    assert "nothing to 0.8 Å: no reflection is missing" in capsys.readouterr().out
    given, written = read_hklf4(hkl), read_hklf4(tmp_path / "out/x.hkl")
    here = {tuple(h): i for h, i in zip(written.hkl.tolist(), written.intensity, strict=True)}
    for h, i in zip(given.hkl.tolist(), given.intensity, strict=True):
        assert here[tuple(h)] == pytest.approx(i, abs=0.0051)


def test_phases_are_found_where_nothing_is_missing(tmp_path, structure, searched, capsys):
    asked = searched(found(structure, True, SCALE))
    report = infer(write_crystal(tmp_path, structure, 0.8), "--phases")
    assert len(asked) == 1
    absent = report["counts"]["absent"]
    assert f"no reflection is missing, {absent} absent (solved: 12 atoms" in capsys.readouterr().out
    mtz = gemmi.read_mtz_file(str(tmp_path / "out/x.mtz"))
    assert mtz.column_with_label("PREDICTED").array.sum() == 0
    assert len(mtz.column_with_label("FWT").array) == report["counts"]["measured"]


def test_pictures_where_nothing_is_missing(tmp_path, structure):
    hkl = write_crystal(tmp_path, structure, 0.8)
    assert main(["infer", str(hkl), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/wilson.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["infer", "solve"])
def test_data_to_atomic_resolution_are_solved_as_they_are(shared_data, tmp_path, command):
    """Measured data of a P-1 crystal to 0.84 Å, nothing cut: the published atoms come out.

    Slow, because a search takes hundreds of passes through the network.
    """
    folder = shared_data / "measured/COD_4034456"
    cif = str(folder / "structure.cif")
    argv = [command, str(folder / "data.hkl"), "--cif", cif, "--starts", "8", "--out", str(tmp_path)]
    assert main(argv) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["resolution"]["d_measured"] < 0.85
    assert (report["model"] if command == "infer" else report)["solved"] is True
    ours, theirs = read_res(tmp_path / "data.res"), gemmi.read_small_structure(cif)
    heavy = [site for site in theirs.sites if site.element.atomic_number > 1]
    assert len(ours) == len(heavy) == 13
    made = gemmi.read_small_structure(str(tmp_path / "data.cif"))
    # P-1 has inversion centres, and so origins, at all halves of the axes.
    shifts = [gemmi.Fractional(*(0.5 * np.array(s))) for s in np.ndindex(2, 2, 2)]
    assert min(max(nearest(made, site.fract + shift) for site in heavy) for shift in shifts) < 0.2


def nearest(made: gemmi.SmallStructure, x: gemmi.Fractional) -> float:
    """Å from x to an atom or one of its images."""
    here = made.cell.orthogonalize(x)
    return min(
        made.cell.find_nearest_image(here, made.cell.orthogonalize(site.fract)).dist() for site in made.sites
    )
