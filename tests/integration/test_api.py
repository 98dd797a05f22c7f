"""The Python calls do what the commands do: the same files and the same numbers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import xrdml
from xrdml.cli.main import main
from xrdml.errors import UserError

# What a run cannot repeat: when, where and how fast it ran.
FLEETING = {"seconds", "seconds_solving", "directory"}


@pytest.fixture
def crystal(root, tmp_path) -> Path:
    for suffix in (".hkl", ".ins"):
        shutil.copy(root / f"data_samples/paracetamol_1p5{suffix}", tmp_path / f"weak{suffix}")
    return tmp_path / "weak.hkl"


def lasting(value):
    if isinstance(value, dict):
        return {k: lasting(v) for k, v in value.items() if k not in FLEETING}
    return [lasting(v) for v in value] if isinstance(value, list) else value


def same_folders(a: Path, b: Path) -> None:
    names = sorted(path.name for path in a.iterdir())
    assert names == sorted(path.name for path in b.iterdir())
    for name in names:
        if name == "report.json":
            ours, theirs = (json.loads((folder / name).read_text()) for folder in (a, b))
            assert lasting(ours) == lasting(theirs)
        else:
            assert (a / name).read_bytes() == (b / name).read_bytes(), name


def test_fill(crystal, tmp_path, capsys):
    words = [
        "--model",
        "radial",
        "--cut",
        "1.8",
        "--cell",
        "7.1,9.3,11.6,90,97.7,90",
        "--space-group",
        "P21/n",
    ]
    assert main(["infer", str(crystal), *words, "--out", str(tmp_path / "command")]) == 0
    printed = capsys.readouterr().out.splitlines()
    loaded = xrdml.load(crystal, cut=1.8, cell=(7.1, 9.3, 11.6, 90, 97.7, 90), space_group="P21/n")
    report = xrdml.fill(loaded, model="radial", out=tmp_path / "call")
    same_folders(tmp_path / "command", tmp_path / "call")
    assert report.summary()[:-1] == printed[:-1]
    assert report.content["comparison"]["r_ext"] > 0
    assert len(loaded.measurement.reflections.hkl) == report.content["counts"]["observations"]
    assert loaded.merged.r_int == report.content["merging"]["r_int"]


def test_solve(crystal, tmp_path, capsys):
    words = ["--starts", "1", "--iterations", "4", "--formula", "C8 H9 N O2", "--phases"]
    assert main(["solve", str(crystal), *words, "--out", str(tmp_path / "command")]) == 0
    capsys.readouterr()
    report = xrdml.solve(
        str(crystal), starts=1, iterations=4, formula="C8 H9 N O2", phases=True,
        out=str(tmp_path / "call"),
    )  # fmt: skip
    same_folders(tmp_path / "command", tmp_path / "call")
    assert report.content["starts"] == 1
    assert not capsys.readouterr().out, "a call prints nothing"


def test_simulate_and_load(tmp_path):
    assert main(["simulate", str(tmp_path / "a.h5"), "--n", "6", "--seed", "3", "--workers", "1", "-q"]) == 0
    made = xrdml.simulate(tmp_path / "b.h5", 6, seed=3, workers=1)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert len(made) == len(xrdml.load(tmp_path / "a.h5")) == 6


def test_report(crystal, tmp_path, capsys):
    xrdml.fill(crystal, model="radial", out=tmp_path / "out", figures=False)
    page = xrdml.report(tmp_path / "out", out=tmp_path / "call.html")
    assert main(["report", str(tmp_path / "out"), "--out", str(tmp_path / "command.html")]) == 0
    assert capsys.readouterr().out == f"written: {tmp_path / 'command.html'}\n"
    assert page.read_bytes() == (tmp_path / "command.html").read_bytes()


def test_default_folders(crystal):
    assert xrdml.fill(crystal, model="radial", figures=False).content["directory"] == str(
        crystal.with_name("weak_filled")
    )


def test_what_is_wrong(crystal, tmp_path):
    with pytest.raises(UserError, match="no such file"):
        xrdml.load(tmp_path / "none.hkl")
    with pytest.raises(UserError, match="unknown engine 'shelxd'"):
        xrdml.solve(crystal, engine="shelxd")
    with pytest.raises(UserError, match="5 numbers"):
        xrdml.fill(crystal, cell="7,8,9,90,90")
    with pytest.raises(TypeError, match="cut"):
        xrdml.fill(xrdml.load(crystal), cut=2.0)
    with pytest.raises(UserError, match="--workers 0"):
        xrdml.simulate(tmp_path / "x.h5", 3, workers=0)
    with pytest.raises(AttributeError, match="no attribute 'guess'"):
        xrdml.guess  # noqa: B018


def test_importing_is_light():
    """TRAPS 1: neither torch nor cctbx nor gemmi until a call needs them."""
    code = (
        "import sys, xrdml; xrdml.fill, xrdml.solve, xrdml.simulate, xrdml.load; dir(xrdml);"
        "print(*sorted({n.partition('.')[0] for n in sys.modules} & "
        "{'torch', 'numpy', 'gemmi', 'cctbx', 'rdkit', 'h5py'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
