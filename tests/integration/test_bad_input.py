"""Bad input: one clear line, exit status 2, no traceback, and nothing half-written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from xrdml.cli.main import main
from xrdml.crystal.hklf import write_hklf4

CELL = "7.716,8.664,10.812,90,102.982,90"
CRYSTAL = ["--cell", CELL, "--space-group", "P21"]


@pytest.fixture
def good(root, tmp_path) -> Path:
    """A reflection file without a cell beside it."""
    return Path(shutil.copy(root / "data_samples/sucrose_1p5.hkl", tmp_path / "good.hkl"))


def fails(argv: list[str], capsys) -> str:
    """The one line that `argv` ends with."""
    assert main([str(a) for a in argv]) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    return lines[0]


def test_no_file(tmp_path, capsys):
    assert "no such file" in fails(["infer", tmp_path / "absent.hkl", *CRYSTAL], capsys)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\x00\x01\x02\xff" * 400, "binary"),
        (b"Dear editor,\nplease find enclosed our structure.\n", "1"),
        (b"   1   0   0     nan    1.00\n" * 40, "nan"),
        (b"   0   0   0    0.00    0.00\n", "no reflection"),
    ],
    ids=["empty", "binary", "prose", "nan", "only-the-end"],
)
def test_files_that_are_no_reflections(tmp_path, capsys, content, message):
    path = tmp_path / "x.hkl"
    path.write_bytes(content)
    line = fails(["infer", path, *CRYSTAL, "--out", tmp_path / "out"], capsys)
    assert str(path) in line
    assert message in line.lower()


def test_negative_everywhere(tmp_path, capsys):
    hkl = np.array([[h, k, l] for h in range(4) for k in range(4) for l in range(1, 5)], dtype=np.int32)
    write_hklf4(tmp_path / "x.hkl", hkl, np.full(len(hkl), -3.0), np.ones(len(hkl)))
    assert "positive" in fails(["infer", tmp_path / "x.hkl", *CRYSTAL], capsys)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--cell"),
        (["--cell", CELL], "--space-group"),
        (["--cell", "7,8,9,90,90", "--space-group", "P21"], "5 numbers"),
        (["--cell", CELL, "--space-group", "P99"], "unknown space group 'P99'"),
        (["--cell", "7.7,8.7,10.8,91,103,90", "--space-group", "P21"], "contradicts"),
        ([*CRYSTAL, "--cut", "20"], "--cut"),
        ([*CRYSTAL, "--cut", "0.7"], "--cut"),
        ([*CRYSTAL, "--d-min", "0"], "--d-min"),
        ([*CRYSTAL, "--model", "resnet"], "unknown model 'resnet'"),
        ([*CRYSTAL, "--grid=-3:3,0:3,0:3", "--model", "unet"], "too long for the grid"),
        ([*CRYSTAL, "--grid", "large"], "grid bounds 'large'"),
        ([*CRYSTAL, "--ins", "absent.ins"], "absent.ins"),
        ([*CRYSTAL, "--out", "/proc/xrdml"], "choose another"),
    ],
    ids=lambda v: " ".join(v) or "nothing" if isinstance(v, list) else None,
)
def test_options(good, tmp_path, capsys, options, message):
    out = [] if "--out" in options else ["--out", tmp_path / "out"]
    assert message in fails(["infer", good, *options, *out], capsys)
    written = list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else []
    assert not written


@pytest.mark.parametrize("damage", ["truncated", "foreign", "pickle", "not-json", "other-shapes"])
def test_damaged_weights(root, good, tmp_path, capsys, damage):
    folder = Path(shutil.copytree(root / "weights/unet", tmp_path / "w"))
    tensors, config = folder / "model.safetensors", folder / "config.json"
    target = folder
    if damage == "truncated":
        tensors.write_bytes(tensors.read_bytes()[:-100])
    elif damage == "foreign":
        config.write_text(json.dumps({"architectures": ["BertModel"]}))
    elif damage == "pickle":
        target = tmp_path / "model.pt"
        target.write_bytes(b"\x80\x04.")
    elif damage == "not-json":
        config.write_text("{")
    else:
        content = json.loads(config.read_text())
        content["model"]["width"] += 8
        config.write_text(json.dumps(content))
    line = fails(["infer", good, *CRYSTAL, "--model", target, "--out", tmp_path / "out"], capsys)
    assert str(target) in line


@pytest.mark.parametrize("command", [["train", "run.dir=run"], ["test", "models=[radial]", "out=out"]])
def test_damaged_data(root, tmp_path, capsys, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "d.h5"
    path.write_bytes((root / "data_samples/simulated_small.h5").read_bytes()[:200_000])
    assert str(path) in fails([*command, f"data.path={path}"], capsys)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["train", "modle=unet"], "modle"),
        (["train", "model=resnet"], "unet"),
        (["train", "trainer.max_epochs=many"], "max_epochs"),
        (["train", "optimizer.lrate=1"], "optimizer.lr"),
        (["test", "dta.path=x"], "dta.path"),
        (["test", "models=[resnet]"], "resnet"),
        (["test", "data.path=nowhere.h5"], "nowhere.h5"),
    ],
)
def test_misspelt_overrides(argv, message, capsys):
    assert message in fails(argv, capsys)


def test_the_real_process_exits_with_2(tmp_path):
    """What the functions above promise also holds for the installed command."""
    command = [sys.executable, "-m", "xrdml.cli.main", "infer", str(tmp_path / "absent.hkl")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "absent.hkl" in done.stderr
