"""The table of results: what is measured, and what stands beside it."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch

from crystals import MONOCLINIC, complaint, direct_sum, random_structure
from xrdml.crystal.cell import d_spacing
from xrdml.crystal.grid import HklGrid
from xrdml.crystal.problem import FillProblem
from xrdml.crystal.reflections import Reflections
from xrdml.crystal.store import write_store
from xrdml.crystal.symmetry import symmetry
from xrdml.evaluate.table import CrystalSet, TableConfig, chosen_structures, make_table
from xrdml.evaluate.tensor_scores import tensor_scores
from xrdml.evaluate.thesis import published_r
from xrdml.infer.network import NetworkPredictor
from xrdml.models.weights import save_weights
from xrdml.training.config import load_config
from xrdml.training.network import Network

GROUPS = {"P 1 21 1": 1}


def weights(folder, d_min_low=1.5, **model):
    """An untrained network on disk."""
    torch.manual_seed(0)
    config = {"name": "unet", "channels": ["f", "measured"], "width": 4, **model}
    table = {"s_edges": [0.3, 0.5, 0.7], "acentric": [0.5, 0.6], "centric": [0.9, 1.0]}
    data = {"grid": "-13:12,0:17,0:22", "d_min_low": d_min_low, "d_min_high": 0.8, "n_train": 1}
    described = {"model": config, "data": data | {"space_groups": GROUPS}, "error_model": table}
    described["training"] = {"steps": 7}
    save_weights(folder, described, Network(config).model.state_dict())
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    write_store(folder / "set.h5", [random_structure(seed=i) for i in range(3)], {"recipe": "test"})
    before, after = (weights(folder / name) for name in ("before", "after"))
    far = weights(folder / "far", d_min_low=1.2)
    words = [
        f"sets=[{{name:mine,path:{folder / 'set.h5'},kind:simulated}}]",
        f"rows=[{{name:unet,before:{before},after:{after}}},{{name:longer,before:{far}}}]",
        f"out={folder / 'out'}",
        f"work={folder}",
        "baselines=[radial]",
    ]
    make_table(load_config(words, "table", TableConfig))
    (folder / "out" / "words.json").write_text(json.dumps(words))
    return folder / "out"


def test_rows_and_files(made):
    text = (made / "results.md").read_text()
    assert text.count("| unet | before | 7 | 3 | 0.477 |") == 1
    assert text.count("| unet | after | 7 | 3 | 0.632 |") == 1
    assert text.count("| longer | before | 7 | 3 |  |") == 1
    assert text.count("| radial |") == 2
    assert "mine: 1.5 → 0.8 Å" in text
    assert "mine: 1.2 → 0.8 Å" in text
    assert {p.name for p in made.iterdir()} - {"scores", "words.json"} == {
        *("results.md", "results.json", "per_crystal_mine_1.5.csv", "per_crystal_mine_1.2.csv"),
        *("shells_mine_1.5.png", "shells_mine_1.2.png"),
    }


def test_numbers_agree_with_the_crystals(made):
    content = json.loads((made / "results.json").read_text())
    section = next(s for s in content["sections"] if s["d_min_low"] == 1.5)
    with (made / "per_crystal_mine_1.5.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == "radial"]
    for metric in ("r_all", "r_ext", "cc_e", "skill", "ssim", "mse_tensor"):
        mean = np.mean([float(row[metric]) for row in rows])
        assert section["models"]["radial"][metric]["mean"] == pytest.approx(mean)
        assert metric in content["metrics"]
    assert section["thesis_r_all"] == {"unet before": 0.477, "unet after": 0.632}


def test_scores_are_kept(made, monkeypatch):
    """The same table again asks no network, and says the same."""
    words = json.loads((made / "words.json").read_text())
    monkeypatch.setattr(NetworkPredictor, "predict", lambda *_: pytest.fail("asked again"))
    before = (made / "results.json").read_text()
    make_table(load_config(words, "table", TableConfig))
    assert (made / "results.json").read_text() == before


def test_a_set_of_some_space_groups(tmp_path):
    names = ["P 1 21 1", "C 1 2 1", "P 1 21 1", "P 1 21/c 1"]
    write_store(tmp_path / "set.h5", [random_structure(n) for n in names], {"recipe": "test"})

    def found(*groups, limit=None):
        chosen = CrystalSet("mine", str(tmp_path / "set.h5"), "all", "none", list(groups) or None)
        return [s.symmetry.short_name for _, s in chosen_structures(chosen, limit)]

    assert found("P21", "C2") == ["P21", "C2", "P21"]
    assert found("P21", limit=1) == ["P21"]
    assert found("P21/c", limit=1) == ["P21/c"]
    assert len(found()) == 4
    assert "give other space_groups" in complaint(found, "P-1")


def test_nothing_to_measure(tmp_path):
    words = ["rows=[]", "sets=[]", f"out={tmp_path}"]
    assert "rows name no weights" in complaint(make_table, load_config(words, "table", TableConfig))


def test_published_numbers():
    assert published_r("fft_unet", "real", "after") == 0.336
    assert published_r("xrd_transformer", "simulated", "before") == 0.346
    assert published_r("patterson_unet", "real", "after") is None
    assert published_r("unet", "none", "after") is None


def test_scores_of_the_whole_tensor():
    """By hand: one reflection of the tensor is wrong."""
    group = symmetry("P21")
    hkl = group.unique_reflections(MONOCLINIC, 0.8)
    f = np.abs(direct_sum(random_structure(n=3), hkl))
    low = d_spacing(MONOCLINIC, hkl) >= 1.5
    measured = Reflections(hkl[low], f[low] ** 2, np.ones(int(low.sum())))
    problem = FillProblem(MONOCLINIC, group, measured, hkl[~low], 1.5, 0.8)
    perfect = tensor_scores(problem, f[~low], f[~low])
    assert perfect == {"ssim": pytest.approx(1), "mse_tensor": 0}
    wrong = f[~low].copy()
    wrong[5] += f[low].max()
    scores = tensor_scores(problem, f[~low], wrong)
    assert scores["mse_tensor"] == pytest.approx(1 / np.prod(HklGrid.thesis().shape))
    assert 0.9 < scores["ssim"] < 1
    unknown = f[~low].copy()
    unknown[5] = np.nan
    assert tensor_scores(problem, unknown, wrong)["mse_tensor"] == 0
