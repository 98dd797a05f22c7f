"""The SHELXT adapter, with a stand-in that speaks SHELXT's file contract."""

from __future__ import annotations

import numpy as np
import pytest

import shelxt_stand_in
from crystals import complaint, direct_sum, random_structure
from xrdml.crystal.reflections import Reflections
from xrdml.crystal.shelx_atoms import write_res
from xrdml.phasing.shelxt import best_row, find_shelxt, run_shelxt

LISTING = """
   R1  Rweak Alpha SysAbs  Orientation      Space group  Flack_x  File  Formula
 0.332 0.071 0.110 0.00      as input       P6/mmm               job_a  C109 N78 O117 I9
 0.314 0.051 0.104 0.00      as input       P6mm          0.47   job_b  C783 O253 I18
"""
OLD_LISTING = """
  R1  Rweak Alpha   Orientation     Space group  Flack_x  File             Formula
 0.069 0.002 0.023  as input         P2(1)/c              job_a            C18 N2 O4
"""


@pytest.fixture(scope="module")
def crystal():
    made = random_structure(n=10)
    hkl = made.symmetry.unique_reflections(made.cell, 1.2)
    intensity = np.abs(direct_sum(made, hkl)) ** 2
    return made, Reflections(hkl, intensity, np.full(len(hkl), 0.1))


def run(crystal, tmp_path, monkeypatch, mode, **options):
    made, reflections = crystal
    write_res(tmp_path / "answer.res", made, title="x", wavelength=0.7)
    monkeypatch.setenv("PATH", shelxt_stand_in.install(tmp_path / "bin", tmp_path / "answer.res", mode))
    return run_shelxt(
        reflections, title="made up", cell=made.cell, symmetry=made.symmetry, wavelength=0.7, **options
    )


def test_the_best_solution_is_read(crystal, tmp_path, monkeypatch):
    found = run(crystal, tmp_path, monkeypatch, "solve")
    assert (found.r1, found.r_weak, found.alpha) == (0.083, 0.005, 0.021)
    assert found.seconds > 0
    np.testing.assert_array_equal(found.structure.numbers, crystal[0].numbers)
    np.testing.assert_allclose(found.structure.frac, crystal[0].frac, atol=1e-6)
    assert found.structure.symmetry == crystal[0].symmetry


def test_no_solution(crystal, tmp_path, monkeypatch):
    assert run(crystal, tmp_path, monkeypatch, "nothing") is None


@pytest.mark.parametrize(
    ("mode", "options", "message"),
    [
        ("crash", {}, "wrote no job.lxt; it said: ** Cannot read the file **"),
        ("hang", {"timeout": 0.5}, "was stopped after 0.5 s"),
    ],
)
def test_failures_are_one_line(crystal, tmp_path, monkeypatch, mode, options, message):
    assert message in complaint(lambda: run(crystal, tmp_path, monkeypatch, mode, **options))


def test_absent(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no program 'shelxt' on PATH" in complaint(find_shelxt)


def test_a_program_that_cannot_be_run(crystal, tmp_path, monkeypatch):
    (tmp_path / "shelxt").write_bytes(b"\x7fELF, but not really")
    (tmp_path / "shelxt").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    made, reflections = crystal
    message = complaint(
        lambda: run_shelxt(reflections, title="x", cell=made.cell, symmetry=made.symmetry, wavelength=0.7)
    )
    assert "cannot be run" in message


def test_listings():
    assert best_row(LISTING) == ((0.332, 0.071, 0.110), "job_a")
    assert best_row(OLD_LISTING) == ((0.069, 0.002, 0.023), "job_a")
    assert best_row(" SHELXT finished\n") is None
