"""cctbx comes first in its process and torch never: told by an error, not by a crash or wrong numbers."""

from __future__ import annotations

import subprocess
import sys

import pytest

FIRST = "import xrdml.xrd_simulator._cctbx_first"


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", ["gemmi", "matplotlib"])
def test_another_library_before(module):
    done = python(f"import {module}; {FIRST}")
    assert done.returncode == 1
    assert f"ImportError: {module} came before cctbx" in done.stderr


def test_torch_before_and_after():
    done = python(f"import sys, types; sys.modules['torch'] = types.ModuleType('torch'); {FIRST}")
    assert done.returncode == 1
    assert "ImportError: torch is loaded" in done.stderr
    done = python(f"{FIRST}; import torch")
    assert done.returncode == 1
    assert "ImportError: torch computes wrong numbers" in done.stderr


def test_workers_import_order():
    done = python(
        "import xrdml.xrd_simulator._worker, sys; print('gemmi' in sys.modules, 'torch' in sys.modules)"
    )
    assert done.stdout == "True False\n", done.stderr


def test_parent_beside_torch(tmp_path):
    """Simulating from a program that has torch works, and brings no cctbx into it."""
    code = f"""
import sys, torch
from xrdml.xrd_simulator.options import RandomAtomsOptions
from xrdml.xrd_simulator.simulate import describe, simulate
options = RandomAtomsOptions.make(["P21"], grid=None)
assert simulate({str(tmp_path / "x.h5")!r}, 3, describe(options, 1, None)) == 3
assert "cctbx" not in sys.modules
"""
    done = python(code)
    assert done.returncode == 0, done.stderr
