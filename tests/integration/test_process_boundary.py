"""TRAPS 1: torch and cctbx never share a process, and cctbx comes first in its own."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys

import pytest

from xrdml.cli.main import COMMANDS

CCTBX = {"cctbx", "iotbx", "smtbx", "scitbx", "libtbx", "boost_adaptbx"}

# Runs a subcommand, then prints which of the two worlds its process has loaded.
PROBE = """
import sys
from xrdml.cli.main import main
try:
    code = main(sys.argv[1:])
except SystemExit as stop:
    code = stop.code
loaded = {name.partition(".")[0] for name in sys.modules}
print("LOADED", code, *sorted(loaded & {"torch", "cctbx", "iotbx", "smtbx", "scitbx", "boost_adaptbx"}))
"""


def loaded(argv: list[str], cwd) -> tuple[int, set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *argv], capture_output=True, text=True, cwd=cwd, timeout=300
    )
    last = [line for line in done.stdout.splitlines() if line.startswith("LOADED")]
    assert last, done.stderr
    _, code, *names = last[-1].split()
    return int(code), set(names)


@pytest.mark.parametrize(
    "argv",
    [
        ["infer", "{root}/data_samples/paracetamol_1p5.hkl", "--out", "{tmp}/out"],
        [
            "solve",
            "{root}/data_samples/paracetamol_1p5.hkl",
            "--out",
            "{tmp}/out",
            "--starts=1",
            "--iterations=3",
        ],
        ["powder", "{root}/data_samples/sucrose.cif", "--out", "{tmp}/powder"],
        [
            "explain",
            "grad-cam",
            "{root}/data_samples/paracetamol.cif",
            "--model=unet",
            "--out",
            "{tmp}/explain",
        ],
        ["simulate", "{tmp}/x.h5", "--n", "4", "--workers", "1", "--tensors"],
        ["train", "experiment=quick", "model.width=4", "trainer.max_steps=1", "run.dir={tmp}/run"],
        ["test", "data.path={root}/data_samples/simulated_small.h5", "data.limit=3", "out={tmp}/test"],
    ],
    ids=lambda argv: argv[0],
)
def test_every_subcommand_keeps_them_apart(argv, root, tmp_path):
    code, names = loaded([word.format(root=root, tmp=tmp_path) for word in argv], tmp_path)
    assert code == 0
    assert not (names & CCTBX), "cctbx belongs into the workers of the simulator"
    assert ("torch" in names) == (argv[0] != "simulate")


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_is_quick_and_light(command, tmp_path):
    argv = [*([command] if command else []), "--help"]
    code, names = loaded(argv, tmp_path)
    assert code == 0
    assert not names
    command_line = [sys.executable, "-m", "xrdml.cli.main", *argv]
    # Processor time, since the machine may have other things to do.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command_line, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


def test_no_module_imports_both(root):
    """By reading the sources: no file names cctbx and torch, and only the simulator names cctbx."""
    for path in (root / "src").rglob("*.py"):
        names = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
        assert not (names & CCTBX and names & {"torch", "lightning"}), path
        assert not (names & CCTBX) or path.parent.name == "xrd_simulator", path
