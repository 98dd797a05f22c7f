"""The reproduction: the commands it consists of, and its smallest size from molecules to the table."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from xrdml.cli.main import build_parser
from xrdml.evaluate.table import TableConfig
from xrdml.training.config import load_config

NETWORKS = {"unet", "patterson_unet", "fft_unet", "xrd_transformer"}
EXPERIMENTS = {
    "unet, for comparison",
    "unet, thesis' input",
    "unet, normalised E",
    "unet with SSIM",
    "unet from 1.2 Å",
}


@pytest.fixture
def script(root):
    spec = importlib.util.spec_from_file_location("reproduce", root / "scripts" / "reproduce.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["reproduce"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["reproduce"]


@pytest.mark.parametrize("scale", ["smoke", "cpu", "full"])
def test_commands_are_valid_and_files_made_before_they_are_read(script, scale):
    work = Path("work")
    stages = dict(script.stages(script.SCALES[scale], work, Path("cifs")))
    made = set()
    for name, command in stages.items():
        if command[0] != "train":
            continue
        config = load_config(command[1:])
        assert config.data.path in {"work/train.h5", "work/real.h5"}
        assert config.init is None or config.init in made, name
        made.add(config.export)
    table = load_config(stages["table"][2:], "table", TableConfig)
    rows = {row.name: row for row in table.rows}
    assert set(rows) == NETWORKS | EXPERIMENTS
    assert {path for row in table.rows for path in (row.before, row.after) if path} == made
    assert all((rows[name].after is not None) == (name in NETWORKS) for name in rows)
    assert [s.name for s in table.sets] == ["thesis", "molecular", "real", "real_acentric"]
    assert list(stages)[-2:] == ["table", "figures"]
    shown = build_parser(["explain"]).parse_args(stages["figures"])
    assert {w.removeprefix("work/weights/finetune_") for w in shown.model} == NETWORKS | {"density_prior"}
    assert set(shown.model) - {"density_prior"} <= made


def test_crystals_of_ones_own(script):
    names = [name for name, _ in script.stages(script.SCALES["cpu"], Path("w"), None, Path("mine.h5"))]
    assert "train set" not in names
    assert not any(name.startswith(("finetune", "real")) for name in names)


@pytest.mark.slow
def test_smoke(root, tmp_path):
    """Slow: a dozen commands, each of which starts Python, and eight networks are trained."""
    command = [sys.executable, str(root / "scripts" / "reproduce.py"), "smoke", "--no-real"]
    command += ["--work", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, timeout=1800)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    sections = json.loads((tmp_path / "table" / "results.json").read_text())["sections"]
    assert {(s["set"], s["d_min_low"]) for s in sections} == {
        (name, limit) for name in ("thesis", "molecular") for limit in (1.5, 1.2)
    }
    for section in sections:
        rows = (
            NETWORKS | EXPERIMENTS - {"unet from 1.2 Å"}
            if section["d_min_low"] == 1.5
            else {"unet from 1.2 Å"}
        )
        assert set(section["models"]) == {f"{row} before" for row in rows} | {"radial", "ridge"}
        assert section["n"] > 0
    assert (tmp_path / "table" / "shells_molecular_1.5.png").stat().st_size > 10_000
    # Again: nothing is left to do.
    start = time.monotonic()
    again = subprocess.run(command, capture_output=True, text=True, cwd=root, timeout=60)
    assert again.returncode == 0
    assert again.stdout.count("done before") == len(json.loads((tmp_path / "times.json").read_text()))
    assert time.monotonic() - start < 30
