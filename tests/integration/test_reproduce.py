"""The reproduction at its smallest size, from molecules to the table."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest


@pytest.mark.slow
def test_smoke(root, tmp_path):
    """Slow: twelve commands, each of which starts Python, and three networks are trained."""
    command = [sys.executable, str(root / "scripts" / "reproduce.py"), "smoke", "--no-real"]
    command += ["--work", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, timeout=1800)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    sections = json.loads((tmp_path / "table" / "results.json").read_text())["sections"]
    assert {s["set"] for s in sections} == {"thesis", "molecular"}
    for section in sections:
        assert set(section["models"]) == {
            *("unet before", "fft_unet before", "xrd_transformer before", "radial", "ridge")
        }
        assert section["n"] > 0
    assert (tmp_path / "table" / "shells_molecular_1.5.png").stat().st_size > 10_000
    # Again: nothing is left to do.
    start = time.monotonic()
    again = subprocess.run(command, capture_output=True, text=True, cwd=root, timeout=60)
    assert again.returncode == 0
    assert again.stdout.count("done before") == len(json.loads((tmp_path / "times.json").read_text()))
    assert time.monotonic() - start < 30
