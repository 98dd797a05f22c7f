"""`xrdml solve` from files to files: known solutions in the place of the search, bad input, SHELXT."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import gemmi
import numpy as np
import pytest

import shelxt_stand_in
import xrdml.infer.solve
from crystals import direct_sum
from known_solution import found, published_sucrose
from xrdml.cli.main import main
from xrdml.crystal.cif import read_structure
from xrdml.crystal.cif_reflections import read_cif_reflections
from xrdml.crystal.shelx import read_shelx
from xrdml.crystal.shelx_atoms import read_res, write_res
from xrdml.crystal.structure import Structure
from xrdml.phasing.solve import Solution, SolveOptions

FILES = {"sucrose_1p5.res", "sucrose_1p5.cif", "sucrose_1p5.ccp4", "molecule.png", "report.json"}


@pytest.fixture
def hkl(root, tmp_path):
    for suffix in (".hkl", ".ins"):
        shutil.copy(root / f"data_samples/sucrose_1p5{suffix}", tmp_path)
    return tmp_path / "sucrose_1p5.hkl"


@pytest.fixture
def sucrose(shared_data) -> Structure:
    return published_sucrose(shared_data)


@pytest.fixture
def reference(shared_data):
    return shared_data / "measured/FinalCif-DK-Zucker2-0m/structure.cif"


@pytest.fixture
def searched(monkeypatch):
    """Put a solution in the place of the search; what the search was asked is collected."""
    asked = []

    def put(solution: Solution) -> list:
        def search(problem, network, options, progress):
            asked.append((problem, options))
            progress("starts 1–4 of 4, iteration 10/10", 0.1)
            return solution

        monkeypatch.setattr(xrdml.infer.solve, "solve", search)
        monkeypatch.setattr(xrdml.infer.solve, "load_prior", lambda name: (None, {"commit": "abc"}))
        return asked

    return put


def lines(capsys) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if not line.startswith("warning")]


def test_solved(hkl, tmp_path, sucrose, reference, searched, capsys):
    asked = searched(found(sucrose, True))
    out = tmp_path / "out"
    argv = ["solve", str(hkl), "--out", str(out), "--reference", str(reference), "--phases", "--cut", "1.6"]
    assert main([*argv, "--starts", "7", "--iterations", "9", "--seed", "3", "--seconds", "60"]) == 0
    printed = lines(capsys)
    assert len(printed) == 6
    assert printed[3].startswith("solved     23 atoms, R1 0.050")
    assert "23 of 23 atoms" in printed[4]
    (problem, options), *_ = asked
    assert problem.d_limit >= 1.6
    assert options == SolveOptions(starts=7, iterations=9, seed=3, seconds=60)

    assert {p.name for p in out.iterdir()} == FILES | {"sucrose_1p5.mtz"}
    report = json.loads((out / "report.json").read_text())
    assert report["solved"] is True
    assert report["starts"] == 4
    assert report["reference"]["map_cc"] > 0.95  # the reference has H atoms, the solution has none
    assert report["reference"]["atoms_matched"] == 1
    # The sample's cell is that of another measurement, by less than 1 %.
    assert report["reference"]["rmsd"] < 0.05
    assert report["weights"]["commit"] == "abc"
    assert set(report["files"].values()) == {p.name for p in out.iterdir()}

    res, cif = read_res(out / "sucrose_1p5.res"), read_structure(out / "sucrose_1p5.cif")
    for written in (res, cif):
        np.testing.assert_array_equal(written.numbers, sucrose.numbers)
        np.testing.assert_allclose(written.frac, sucrose.frac, atol=1e-6)
    text = (out / "sucrose_1p5.res").read_text()
    assert "REM solved by xrdml" in text
    assert "FVAR 2.00000" in text
    assert read_shelx(out / "sucrose_1p5.res").contents == {"C": 24, "H": 44, "O": 22}
    assert gemmi.read_small_structure(str(out / "sucrose_1p5.cif")).spacegroup.short_name() == "P21"
    # --phases: the CIF lists what was measured, in electrons, and |F| of the atoms beside it.
    listed = read_cif_reflections(out / "sucrose_1p5.cif")
    assert len(listed) == report["counts"]["measured"]
    block = gemmi.cif.read(str(out / "sucrose_1p5.cif")).sole_block()
    f_calc = [float(f) for f in block.find_values("_refln_F_calc")]
    np.testing.assert_allclose(f_calc, np.abs(direct_sum(sucrose, listed.hkl)), atol=0.06)
    assert gemmi.read_mtz_file(str(out / "sucrose_1p5.mtz")).title.startswith("solved: ")
    assert (out / "molecule.png").read_bytes().startswith(b"\x89PNG")
    grid = gemmi.read_ccp4_map(str(out / "sucrose_1p5.ccp4"), setup=True).grid
    heights = [grid.interpolate_value(gemmi.Fractional(*x)) for x in sucrose.frac]
    assert min(heights) > 4 * np.array(grid).std()
    assert max(heights) < 20  # e/Å3: the scale of the file is gone


def test_not_solved(hkl, tmp_path, sucrose, searched, capsys):
    """Status 0, because the command ran; everything it leaves says that the crystal is not solved."""
    searched(found(sucrose, False))
    assert main(["solve", str(hkl), "--phases"]) == 0
    assert lines(capsys)[3].startswith("NOT SOLVED")
    out = tmp_path / "sucrose_1p5_solved"
    assert json.loads((out / "report.json").read_text())["solved"] is False
    for name in ("sucrose_1p5.res", "sucrose_1p5.cif"):
        assert "NOT SOLVED" in (out / name).read_text()
    assert "NOT SOLVED" in gemmi.read_mtz_file(str(out / "sucrose_1p5.mtz")).title


def test_no_atoms(hkl, tmp_path, sucrose, searched, capsys):
    nan = float("nan")
    searched(replace(found(sucrose, False), structure=None, scale=nan, r1=nan))
    assert main(["solve", str(hkl), "--out", str(tmp_path / "out")]) == 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"sucrose_1p5.ccp4", "report.json"}
    assert json.loads((tmp_path / "out/report.json").read_text())["r1"] is None


@pytest.mark.parametrize(
    ("options", "contents"),
    [
        (["--formula", "C12 H22 O11"], {"C": 24, "H": 44, "O": 22}),
        (["--formula", "C6H11O5.5", "--z", "4"], {"C": 24, "H": 44, "O": 22}),
        ([], {"C": 24, "H": 44, "O": 22}),
    ],
)
def test_contents(hkl, tmp_path, sucrose, searched, options, contents):
    asked = searched(found(sucrose, True))
    assert main(["solve", str(hkl), "--out", str(tmp_path / "out"), *options]) == 0
    assert asked[0][0].contents == contents


def fails(argv, capsys) -> str:
    assert main([str(a) for a in argv]) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    (line,) = captured.err.strip().splitlines()
    return line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--formula", "C12 (H2O)11"], "formula 'C12 (H2O)11'"),
        (["--formula", "H2"], "no atom but hydrogen"),
        (["--z", "2"], "--formula"),
        (["--formula", "C", "--z", "0"], "--z 0"),
        (["--starts", "0"], "--starts 0"),
        (["--iterations", "-1"], "--iterations -1"),
        (["--seconds", "0"], "--seconds 0"),
        (["--seconds", "nan"], "--seconds nan"),
        (["--model", "unet"], "not a density_prior"),
        (["--model", "nowhere"], "unknown model 'nowhere'"),
        (["--cut", "0"], "--cut 0"),
        (["--cut", "9"], "only"),
        (["--space-group", "P99"], "P99"),
        (["--reference", "absent.cif"], "absent.cif"),
    ],
)
def test_bad_input(hkl, tmp_path, capsys, options, message):
    assert message in fails(["solve", hkl, *options, "--out", tmp_path / "out"], capsys)
    assert not (tmp_path / "out").exists()


def test_reference_of_another_crystal(hkl, shared_data, capsys):
    other = shared_data / "measured/COD_2200000/structure.cif"
    line = fails(["solve", hkl, "--reference", other], capsys)
    assert str(other) in line
    assert "cell" in line


def test_nothing_of_the_user_is_written_over(hkl, tmp_path, sucrose, searched, capsys):
    """Neither a .res of theirs, nor one that the header was read from beside a result of ours."""
    searched(found(sucrose, True))
    theirs = tmp_path / "sucrose_1p5.res"
    theirs.write_text("TITL mine\nCELL 0.7 7.783 8.736 10.900 90 102.98 90\nEND\n")
    assert "choose another --out" in fails(["solve", hkl, "--out", tmp_path], capsys)
    (tmp_path / "report.json").write_text("{}")
    assert "choose another --out" in fails(["solve", hkl, "--out", tmp_path], capsys)
    assert theirs.read_text().startswith("TITL mine")
    assert main(["solve", str(hkl)]) == 0
    assert main(["solve", str(hkl)]) == 0  # our own results may be replaced


def test_shelxt_leaves_no_phases(hkl, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", shelxt_stand_in.install(tmp_path / "bin", tmp_path / "answer.res"))
    line = fails(["solve", hkl, "--engine", "shelxt", "--phases"], capsys)
    assert "--engine prior" in line


def test_shelxt_is_absent(hkl, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no program 'shelxt' on PATH" in fails(["solve", hkl, "--engine", "shelxt"], capsys)


@pytest.fixture
def filled_by_ridge(monkeypatch):
    """The quickest model fills the data: what SHELXT is given is not what is tested."""
    from xrdml.infer.baselines import RidgeBaseline

    monkeypatch.setattr("xrdml.infer.solve_by_shelxt.load_predictor", lambda name, **_: RidgeBaseline())


@pytest.mark.parametrize("mode", ["solve", "nothing"])
def test_shelxt(hkl, tmp_path, sucrose, reference, monkeypatch, filled_by_ridge, capsys, mode):
    write_res(tmp_path / "answer.res", sucrose, title="x", wavelength=0.7)
    monkeypatch.setenv("PATH", shelxt_stand_in.install(tmp_path / "bin", tmp_path / "answer.res", mode))
    out = tmp_path / "out"
    argv = ["solve", str(hkl), "--engine", "shelxt", "--out", str(out), "--reference", str(reference)]
    assert main(argv) == 0
    printed = lines(capsys)
    report = json.loads((out / "report.json").read_text())
    if mode == "nothing":
        assert report["solved"] is False
        assert report["shelxt"] == {"original": None, "filled": None}
        assert printed[3] == "NOT SOLVED by SHELXT; original data: no solution; filled data: no solution"
        assert {p.name for p in out.iterdir()} == {"report.json"}
        return
    assert report["solved"] is True
    for result in report["shelxt"].values():
        assert result["r1"] == 0.083
        assert result["r1_measured"] < 0.2
        assert result["atoms"] == 23
    assert report["reference"]["atoms_matched"] == 1
    assert {p.name for p in out.iterdir()} == FILES - {"sucrose_1p5.ccp4"}
    assert "R1 0.083, Rweak 0.005, alpha 0.021" in (out / "sucrose_1p5.res").read_text()
    assert "23 atoms in P 1 21 1, R1 0.083" in printed[3]


def test_shelxt_that_found_another_structure(hkl, tmp_path, sucrose, monkeypatch, filled_by_ridge, capsys):
    """Its own R1 may be as low as it likes: the verdict is R1 against what was measured."""
    wrong = replace(sucrose, frac=np.random.default_rng(0).random((23, 3)))
    write_res(tmp_path / "answer.res", wrong, title="x", wavelength=0.7)
    monkeypatch.setenv("PATH", shelxt_stand_in.install(tmp_path / "bin", tmp_path / "answer.res"))
    assert main(["solve", str(hkl), "--engine", "shelxt", "--out", str(tmp_path / "out")]) == 0
    assert lines(capsys)[3].startswith("NOT SOLVED by SHELXT")
    assert "NOT SOLVED" in (tmp_path / "out/sucrose_1p5.res").read_text()
