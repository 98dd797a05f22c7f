"""`xrdml infer` from files to files, on the shipped sample and on measured crystals."""

from __future__ import annotations

import json
import subprocess
import sys

import gemmi
import numpy as np
import pytest

from xrdml.cli.main import main
from xrdml.crystal.cell import d_spacing
from xrdml.crystal.hklf import read_hklf4
from xrdml.crystal.load import load_measurement
from xrdml.crystal.reflections import merge
from xrdml.crystal.shelx import read_shelx
from xrdml.crystal.symmetry import symmetry

MEASURED = ["FinalCif-DK-Zucker2-0m", "COD_2200000"]


def rows(reflections) -> dict[tuple[int, ...], tuple[float, float]]:
    columns = (reflections.hkl.tolist(), reflections.intensity, reflections.sigma)
    return {tuple(h): (i, s) for h, i, s in zip(*columns, strict=True)}


@pytest.fixture(scope="module")
def sample(root, tmp_path_factory):
    """The shipped sucrose sample, filled by the default model."""
    out = tmp_path_factory.mktemp("sucrose")
    argv = ["infer", str(root / "data_samples/sucrose_1p5.hkl"), "--out", str(out)]
    argv += ["--starts", "4", "--iterations", "50"]
    assert main(argv) == 0
    return out


def test_all_files_are_there(sample):
    names = {"sucrose_1p5.hkl", "sucrose_1p5.ins", "report.json", "planes.png", "wilson.png"}
    assert {p.name for p in sample.iterdir()} == names
    for picture in ("planes.png", "wilson.png"):
        assert (sample / picture).read_bytes().startswith(b"\x89PNG")


def test_report(sample):
    report = json.loads((sample / "report.json").read_text())
    counts = report["counts"]
    assert counts["measured"] + counts["predicted"] + counts["absent"] == counts["written"]
    assert len(read_hklf4(sample / "sucrose_1p5.hkl")) == counts["written"]
    assert report["space_group"] == "P 1 21 1"
    assert report["resolution"]["d_min"] == 0.8
    assert report["comparison"] is None
    assert report["model"]["name"]
    assert report["versions"]["xrdml"]


def test_predictions_resemble_the_truth(root, sample):
    """Against the noise-free intensities of the sample: closer than a constant, measured ones kept."""
    truth = rows(read_hklf4(root / "data_samples/sucrose_0p8.hkl"))
    given = rows(read_hklf4(root / "data_samples/sucrose_1p5.hkl"))
    filled = rows(read_hklf4(sample / "sucrose_1p5.hkl"))
    new = [h for h in filled if h not in given and h in truth and filled[h][0] > 0]
    assert len(new) > 1000
    f_true = np.sqrt([max(truth[h][0], 0) for h in new])
    f_new = np.sqrt([filled[h][0] for h in new])
    k = f_true.mean() / f_new.mean()
    assert np.abs(f_true - k * f_new).sum() < 0.95 * np.abs(f_true - np.median(f_true)).sum()
    assert 0.6 < k < 1.7


@pytest.mark.parametrize("name", MEASURED)
@pytest.mark.parametrize("model", ["density_prior", "unet", "radial"])
def test_measured_crystals(shared_data, tmp_path, name, model, capsys):
    folder = shared_data / "measured" / name
    argv = ["infer", str(folder / "data.hkl"), "--cif", str(folder / "structure.cif"), "--cut", "1.5"]
    argv += ["--starts", "4", "--iterations", "50"]  # files are looked at here, not solutions
    assert main([*argv, "--model", model, "--out", str(tmp_path), "--no-figures"]) == 0
    assert len([line for line in capsys.readouterr().out.splitlines() if not line.startswith("warning")]) == 5

    source = load_measurement(folder / "data.hkl", cif=folder / "structure.cif")
    written = read_hklf4(tmp_path / "data.hkl")
    group = source.symmetry

    # every unique reflection to 0.8 Å once, counted by gemmi
    expected = gemmi.make_miller_array(gemmi.UnitCell(*source.cell), gemmi.SpaceGroup(group.name), 0.8)
    present = written.hkl[~group.is_absent(written.hkl)]
    assert len(present) == len(expected)
    assert {tuple(h) for h in present.tolist()} == {tuple(h) for h in group.to_asu(expected).tolist()}

    # the measured part within F8.2 of the merged input; absences zero
    merged = merge(source.reflections, group).reflections
    out = rows(written)
    for h, (i, s) in rows(merged).items():
        if d_spacing(source.cell, np.array(h)) < 1.5:
            continue
        if group.is_absent(np.array([h], dtype=np.int32))[0]:
            assert out[h][0] == 0
        else:
            assert out[h][0] == pytest.approx(i, abs=0.0051)
            assert out[h][1] == pytest.approx(max(s, 0.01), abs=0.0051)
    assert all(s > 0 for _, s in out.values())

    report = json.loads((tmp_path / "report.json").read_text())
    assert report["comparison"]["r_ext"] < 0.6
    about = read_shelx(tmp_path / "data.ins")
    assert about.symmetry == group
    np.testing.assert_allclose(about.cell, source.cell, atol=1e-3)


CCTBX = """
import sys
from iotbx.shelx import hklf
from cctbx import crystal
reader = hklf.reader(file_name=sys.argv[1])
arrays = reader.as_miller_arrays(crystal_symmetry=crystal.symmetry(
    unit_cell=tuple(map(float, sys.argv[2].split(","))), space_group_symbol=sys.argv[3]))
array = arrays[0]
assert (array.sigmas() > 0).count(False) == 0
print(array.size(), round(sum(array.data()), 2), round(sum(array.sigmas()), 2))
"""


def test_cctbx_reads_what_was_written(sample):
    ours = read_hklf4(sample / "sucrose_1p5.hkl")
    cell = ",".join(map(str, read_shelx(sample / "sucrose_1p5.ins").cell))
    command = [sys.executable, "-c", CCTBX, str(sample / "sucrose_1p5.hkl"), cell, "P21"]
    size, intensity, sigma = subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout.split()
    assert int(size) == len(ours)
    assert float(intensity) == pytest.approx(ours.intensity.sum(), abs=0.1)
    assert float(sigma) == pytest.approx(ours.sigma.sum(), abs=0.1)


@pytest.mark.parametrize("name", ["COD_4034456", "COD_2241551", "COD_4037663", "COD_2021921"])
def test_other_laue_classes(shared_data, tmp_path, name):
    """Triclinic, P2₁/n, trigonal and C2/m crystals are filled as well, by whatever model fits them."""
    folder = shared_data / "measured" / name
    argv = ["infer", str(folder / "data.hkl"), "--cif", str(folder / "structure.cif"), "--out", str(tmp_path)]
    assert main([*argv, "--cut", "1.4", "--no-figures", "--starts", "4", "--iterations", "50"]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    group = symmetry(report["space_group"])
    written = read_hklf4(tmp_path / "data.hkl").hkl
    unique = group.unique_reflections(tuple(report["cell"]), 0.8, absent=True)
    assert {tuple(h) for h in unique.tolist()} == {tuple(h) for h in written.tolist()}


def test_a_result_is_never_written_over_a_measurement(root, tmp_path, capsys):
    for suffix in (".hkl", ".ins"):
        (tmp_path / f"a{suffix}").write_bytes((root / f"data_samples/sucrose_1p5{suffix}").read_bytes())
    before = (tmp_path / "a.hkl").read_bytes()
    assert main(["infer", str(tmp_path / "a.hkl"), "--out", str(tmp_path)]) == 2
    assert "choose another --out" in capsys.readouterr().err
    assert (tmp_path / "a.hkl").read_bytes() == before
    assert main(["infer", str(tmp_path / "a.hkl"), "--model", "radial", "--no-figures"]) == 0
    assert main(["infer", str(tmp_path / "a.hkl"), "--model", "ridge", "--no-figures"]) == 0
    assert json.loads((tmp_path / "a_filled/report.json").read_text())["model"]["name"] == "ridge"
