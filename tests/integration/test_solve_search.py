"""`xrdml solve` with the shipped density prior on measured data."""

from __future__ import annotations

import json

import numpy as np
import pytest

from xrdml.cli.main import main
from xrdml.crystal.hklf import read_hklf4, write_hklf4


@pytest.fixture(autouse=True)
def _prior_is_there(root):
    if not (root / "weights/density_prior").is_dir():
        pytest.skip("no trained density prior in weights/")


def solve(folder, hkl, out, *options) -> dict:
    cif = str(folder / "structure.cif")
    assert main(["solve", str(hkl), "--cif", cif, "--reference", cif, "--out", str(out), *options]) == 0
    return json.loads((out / "report.json").read_text())


@pytest.mark.slow
def test_a_measured_crystal_is_solved(shared_data, tmp_path, capsys):
    """P-1, 13 atoms, measured data cut at 1.2 Å: solved, and the published structure agrees.

    Slow, because a search takes hundreds of passes through the network.
    """
    folder = shared_data / "measured/COD_4034456"
    report = solve(folder, folder / "data.hkl", tmp_path, "--cut", "1.2", "--starts", "16")
    assert report["solved"] is True
    assert report["reference"]["map_cc"] > 0.75
    assert report["reference"]["atoms_matched"] >= 0.8
    assert report["reference"]["rmsd"] < 0.2
    assert report["r1"] < 0.25
    assert len(report["history"]) == 200
    assert "solved     13 atoms" in capsys.readouterr().out


def test_shuffled_data_are_not_solved(shared_data, tmp_path, capsys):
    """Intensities that belong to other reflections have no structure, and none is claimed."""
    folder = shared_data / "measured/COD_4034456"
    data = read_hklf4(folder / "data.hkl")
    order = np.random.default_rng(0).permutation(len(data.hkl))
    write_hklf4(tmp_path / "x.hkl", data.hkl, data.intensity[order], data.sigma[order])
    report = solve(
        folder, tmp_path / "x.hkl", tmp_path / "out", "--cut", "1.2", "--starts", "4", "--iterations", "100"
    )
    assert report["solved"] is False
    assert report["reference"]["map_cc"] < 0.75
    assert "NOT SOLVED" in capsys.readouterr().out
