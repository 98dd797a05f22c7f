"""`xrdml solve` with the shipped density prior on measured data."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from xrdml.cli.main import main
from xrdml.crystal.cell import d_spacing
from xrdml.crystal.cif import read_structure
from xrdml.crystal.hklf import read_hklf4, write_hklf4
from xrdml.physics.structure_factors import collate, structure_factors


@pytest.fixture(autouse=True)
def _prior_is_there(root):
    if not (root / "weights/density_prior").is_dir():
        pytest.skip("no trained density prior in weights/")


def solve(folder, hkl, out, *options) -> dict:
    cif = str(folder / "structure.cif")
    assert main(["solve", str(hkl), "--cif", cif, "--reference", cif, "--out", str(out), *options]) == 0
    return json.loads((out / "report.json").read_text())


def test_the_crystal_of_make_run_is_solved(root, tmp_path, capsys):
    """Noisy data to 1.5 Å; every reflection to 0.8 Å is compared with the structure behind them."""
    sample = root / "data_samples"
    hkl = shutil.copy(sample / "paracetamol_1p5.hkl", tmp_path)
    shutil.copy(sample / "paracetamol_1p5.ins", tmp_path)
    assert main(["infer", str(hkl), "--out", str(tmp_path / "out"), "--no-figures"]) == 0
    assert "atoms of the solved structure" in capsys.readouterr().out
    filled = read_hklf4(tmp_path / "out" / "paracetamol_1p5.hkl")
    true = read_structure(sample / "paracetamol.cif")
    with torch.no_grad():
        f = structure_factors(collate([true]), torch.from_numpy(filled.hkl.astype(np.int32)))[0].abs().numpy()
    missing = d_spacing(true.cell, filled.hkl) < 1.5
    ours, theirs = np.sqrt(filled.intensity[missing].clip(0)), f[missing]
    scale = (ours * theirs).sum() / (ours**2).sum()
    assert np.abs(scale * ours - theirs).sum() / theirs.sum() < 0.25
    assert np.corrcoef(ours, theirs)[0, 1] > 0.9


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
    assert 10 <= len(report["history"]) <= 200
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
