"""`xrdml explain` from crystals and weights to pictures and numbers."""

from __future__ import annotations

import csv
import json

import pytest
import torch

from crystals import spread_structure
from xrdml.cli.main import main
from xrdml.crystal.store import write_store
from xrdml.models import build_model
from xrdml.models.weights import read_config, save_weights

torch.set_num_threads(1)
GRID = "-7:7,0:8,0:9"
CELL = (5.2, 6.1, 6.9, 90, 101, 90)
MODELS = {
    "unet": {"name": "unet", "width": 2, "channels": ["f", "measured", "s"]},
    "fft_unet": {"name": "fft_unet", "width": 2, "channels": ["f", "measured"]},
    "xrd_transformer": {
        **{"name": "xrd_transformer", "width": 4, "heads": 2, "blocks": 2, "grid": GRID},
        **{"channels": ["f", "absent"], "tokens": "sphere"},
    },
    "a_prior": {"name": "density_prior", "width": 4, "channels": ["density"]},
}
SHOWN = ("xrd_transformer", "a_prior")
FIGURES = {
    "3.1": ["xrd_transformer/attention_links.png"],
    "3.2": ["xrd_transformer/attention_absences.png"],
    "3.4": [f"{name}/sensitivity.png" for name in SHOWN],
    "3.5": [f"{name}/planes.png" for name in SHOWN],
    "3.6": [f"{name}/patterson.png" for name in SHOWN],
}
BRIEFLY = ["--starts", "1", "--iterations", "3"]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Two small crystals of P2₁ and one of another Laue class between them, and networks as they are born."""
    folder = tmp_path_factory.mktemp("explain")
    groups = ("P 1 21 1", "P 21 21 21", "P 1 21 1")
    cells = (CELL, (*CELL[:3], 90, 90, 90), CELL)
    crystals = [
        spread_structure(g, 4, cell=c, seed=i) for i, (g, c) in enumerate(zip(groups, cells, strict=True))
    ]
    write_store(folder / "set.h5", crystals, {})
    data = read_config("unet")["data"] | {"grid": GRID}
    torch.manual_seed(0)
    for name, model in MODELS.items():
        config = {"model": model, "data": data, "error_model": read_config("unet")["error_model"]}
        save_weights(folder / name, config, build_model(model).state_dict())
    return folder


def models(work, *names):
    return [word for name in names for word in ("--model", str(work / name))]


def is_png(path) -> bool:
    data = path.read_bytes()
    return data.startswith(b"\x89PNG") and len(data) > 5_000


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_everything_of_all_models(work, capsys):
    out = work / "all"
    command = ["explain", "all", str(work / "set.h5"), *models(work, *SHOWN), "--crystals", "2", *BRIEFLY]
    assert main([*command, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "attention of set[0]" in said
    assert json.loads((out / "explain.json").read_text())["thesis_figures"] == FIGURES
    assert all(is_png(out / name) for names in FIGURES.values() for name in names)
    assert all(is_png(out / "a_prior" / f"{name}.png") for name in ("contraction", "path"))

    # The crystal of another Laue class is left out of the means.
    attention = json.loads((out / "xrd_transformer" / "attention.json").read_text())
    assert attention["made_from"]["crystals"] == ["set[0]", "set[2]"]
    assert set(attention["effects"]) == {"trained", "untrained", "no absences in group"}
    assert attention["effects"]["trained"][1]["delta"]["n"] == 2
    rows = table(out / "xrd_transformer" / "attention_absences.csv")
    assert len(rows) == 2 * 3 * 2
    assert all(-1 <= float(r["delta_head_2"]) <= 1 for r in rows)
    links = table(out / "xrd_transformer" / "attention_links.csv")
    assert len(links) == 2 * 2 * 40
    assert {r["from_kind"] for r in links} <= {"measured", "predicted"}

    prior = json.loads((out / "a_prior" / "contraction.json").read_text())
    assert [p["level"] for p in prior["curve"] if p["told"] == 0.15] == [i / 10 for i in range(11)]
    scores = json.loads((out / "xrd_transformer" / "sections.json").read_text())
    assert scores["scores"]["radial"]["r_ext"] > 0
    assert -1 <= scores["patterson"]["correlation"]["measured"] <= 1
    way = table(out / "a_prior" / "path.csv")
    assert [r["iteration"] for r in way] == ["2", "3"]

    # Nothing is made twice.
    assert main([*command, "--out", str(out)]) == 0
    assert capsys.readouterr().out.count("was made before") == said.count(" of set[0]: ")


def test_grad_cam_of_both_u_nets(work, capsys):
    out = work / "cam"
    command = [
        "explain",
        "grad-cam",
        str(work / "set.h5"),
        *models(work, "unet", "fft_unet"),
        "--out",
        str(out),
    ]
    assert main([*command, "--crystals", "1"]) == 0
    index = json.loads((out / "explain.json").read_text())
    assert index["thesis_figures"] == {"3.3": ["unet/grad_cam.png", "fft_unet/grad_cam.png"]}
    assert is_png(out / "fft_unet" / "grad_cam.png")
    cam = json.loads((out / "unet" / "grad-cam.json").read_text())["shares"]
    shares = [cam["positions"][k]["mean"] for k in ("measured", "predicted", "beyond")]
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    # Another crystal is another result.
    assert main([*command, "--crystals", "1", "--entry", "2"]) == 0
    assert "grad-cam of set[2]" in capsys.readouterr().out


def test_a_measured_crystal(root, tmp_path, capsys):
    """Without atoms there is nothing to compare with, and what needs phases is left out of `all`."""
    hkl = root / "data_samples" / "paracetamol_1p5.hkl"
    command = ["explain", "sections", str(hkl), "--model", "ridge", "--out", str(tmp_path / "x")]
    assert main(command) == 0
    assert is_png(tmp_path / "x/ridge/planes.png")
    assert json.loads((tmp_path / "x/ridge/sections.json").read_text())["scores"] is None
    assert main(["explain", "contraction", str(hkl), "--out", str(tmp_path / "x")]) == 2
    assert "give --cif with the structure" in capsys.readouterr().err


def test_bad_input_is_one_line(work, root, tmp_path, capsys):
    dataset, unet = str(work / "set.h5"), models(work, "unet")
    (tmp_path / "file").write_text("")
    cases = {
        "--crystals 0": ["all", dataset, "--crystals", "0"],
        "--entry 7: there are 3 crystals": ["grad-cam", dataset, *unet, "--entry", "7"],
        "not on P m m m": ["grad-cam", dataset, *unet, "--entry", "1"],
        "none of them: give --model": ["attention", dataset, *unet],
        "does not apply to xrd_transformer": ["grad-cam", dataset, *unet, *models(work, "xrd_transformer")],
        "given twice": ["all", dataset, *unet, *unet],
        "unknown model": ["all", dataset, "--model", "nothing"],
        "need 0.4 ≤ d-min < cut": ["grad-cam", dataset, *unet, "--cut", "0.7"],
        "no such file": ["all", str(tmp_path / "missing.cif")],
        "cannot write": ["grad-cam", dataset, *unet, "--out", str(tmp_path / "file" / "x")],
    }
    for text, arguments in cases.items():
        extra = [] if "--out" in arguments else ["--out", str(tmp_path / "x")]
        assert main(["explain", *arguments, *extra]) == 2, text
        error = capsys.readouterr().err.strip()
        assert text in error
        assert "\n" not in error
