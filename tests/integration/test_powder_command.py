"""`xrdml powder` from files to files: one pattern, and sets that can be killed, resumed and extended."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from crystals import random_structure
from xrdml.cli.main import main
from xrdml.crystal.radiation import Scan
from xrdml.crystal.store import write_store
from xrdml.data import powder_set
from xrdml.data._powder_worker import make_shard
from xrdml.data.powder_options import PowderOptions
from xrdml.data.powder_set import make_set
from xrdml.data.powder_store import PowderStore

RANGES = {
    "u": (0, 0.01), "v": (0, 0), "w": (0.002, 0.01), "x": (0.01, 0.1), "y": (0, 0.1),
    "s_l": (0, 0.03), "zero": (-0.05, 0.05), "peak_counts": (300, 1e4), "background": (0.01, 0.1),
}  # fmt: skip
# Every process that starts takes seconds to import torch: most tests make their shards in this one.
IN_PROCESS = pytest.mark.usefixtures("in_this_process")
OPTIONS = PowderOptions(Scan.make("CuKa", "5:35:0.02"), RANGES, ((-0.5, 0.5),))


@pytest.fixture(scope="module")
def crystals(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("powder") / "crystals.h5"
    write_store(path, [random_structure(n=5, seed=i) for i in range(90)], {"made": "for a test"})
    return path


def make_here(shards, attributes, module, workers, made) -> None:
    for shard in shards:
        make_shard(shard.path, shard.start, shard.stop, json.loads(json.dumps(attributes)), made)


@pytest.fixture
def in_this_process(monkeypatch) -> None:
    monkeypatch.setattr(powder_set, "run_shards", make_here)


@pytest.fixture
def sucrose(root, tmp_path) -> Path:
    path = tmp_path / "sucrose.cif"
    path.write_bytes((root / "data_samples/sucrose.cif").read_bytes())
    return path


def test_one_pattern(sucrose, capsys):
    assert main(["powder", str(sucrose), "--range", "5:40:0.02", "--monochromator", "26.6"]) == 0
    out = sucrose.parent / "sucrose_powder"
    assert {p.name for p in out.iterdir()} == {
        "sucrose.xy", "sucrose_reflections.csv", "sucrose.png", "report.json",
    }  # fmt: skip
    assert "1751 points" in capsys.readouterr().out
    assert (out / "sucrose.xy").read_text().startswith("# 2theta (degrees), counts")
    angle, counts = np.loadtxt(out / "sucrose.xy").T
    np.testing.assert_allclose(angle, 5 + 0.02 * np.arange(1751))
    assert (counts == counts.round()).all()
    report = json.loads((out / "report.json").read_text())
    assert report["total_counts"] == counts.sum()
    assert abs(counts.sum() - report["expected_total"]) < 5 * np.sqrt(counts.sum())
    with open(out / "sucrose_reflections.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["line"] for row in rows} == {"1", "2"}
    assert max(float(row["intensity"]) for row in rows) == 100
    strongest = max(rows, key=lambda row: float(row["intensity"]))
    assert abs(angle[counts.argmax()] - float(strongest["two_theta"])) < 0.1
    assert report["reflections"] == len(rows) / 2


@IN_PROCESS
def test_expected_counts_of_one_crystal(crystals, tmp_path):
    """Crystal 3 alone is pattern 3 of a set."""
    out = tmp_path / "one"
    argv = [
        "powder",
        str(crystals),
        "--crystal",
        "3",
        "--range",
        "5:35:0.02",
        "--out",
        str(out),
        "--no-noise",
    ]
    assert main(argv) == 0
    _, expected = np.loadtxt(out / "crystals_3.xy").T
    set_path = tmp_path / "set.h5"
    argv = [
        "powder",
        str(crystals),
        "--n",
        "5",
        "--range",
        "5:35:0.02",
        "--out",
        str(set_path),
        "--workers",
        "1",
    ]
    assert main(argv) == 0
    store = PowderStore(set_path)
    counts, parameters = store.read(3, 4)
    report = json.loads((out / "report.json").read_text())
    assert report["parameters"] == dict(zip(store.columns, parameters[0].tolist(), strict=True))
    z = (counts[0] - expected) / np.sqrt(expected)
    assert abs(z.var() - 1) < 5 * np.sqrt(4 / len(z))
    np.testing.assert_allclose(store.two_theta, np.loadtxt(out / "crystals_3.xy")[:, 0], atol=1e-6)


def content(path: Path) -> bytes:
    return path.read_bytes()


@IN_PROCESS
def test_same_bytes_whatever_the_extensions(crystals, tmp_path):
    once, more = tmp_path / "once.h5", tmp_path / "more.h5"
    told: list[int] = []
    assert make_set(once, crystals, 90, OPTIONS, 5, made=told.append, shard_size=40) == 90
    assert sum(told) == 90
    # 30 and 70 end inside a shard.
    for n, added in ((30, 30), (70, 40), (90, 20), (50, 0)):
        told.clear()
        assert make_set(more, crystals, n, OPTIONS, 5, made=told.append, shard_size=40) == added
        assert sum(told) == added
    assert content(once) == content(more)
    store = PowderStore(once)
    assert len(store) == 90
    counts, parameters = store.read(0, 90)
    assert len(np.unique(parameters[:, 0])) == 90
    assert (counts.max(1) > 200).all()
    assert not list(tmp_path.glob("*.parts"))


def test_killed_and_resumed(crystals, tmp_path, monkeypatch):
    """Killed without warning: no file or a whole one; the next run finishes it by two processes, with the
    bytes that one process, which is this one, makes."""
    path, whole = tmp_path / "killed.h5", tmp_path / "whole.h5"
    script = (
        "import json, sys; from pathlib import Path; from xrdml.data.powder_set import *;"
        "make_set(Path(sys.argv[1]), Path(sys.argv[2]), 90, "
        "PowderOptions.from_json(json.loads(sys.argv[3])), 5, shard_size=40)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, path, crystals, json.dumps(OPTIONS.to_json())])
    first = tmp_path / "killed.h5.parts" / "shard-000000000-000000040.h5"
    deadline = time.monotonic() + 120
    while not first.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert first.exists()
    assert not path.exists()
    made: list[int] = []
    assert make_set(path, crystals, 90, OPTIONS, 5, workers=2, made=made.append, shard_size=40) == 90
    assert made[0] >= 40
    monkeypatch.setattr(powder_set, "run_shards", make_here)
    make_set(whole, crystals, 90, OPTIONS, 5, shard_size=40)
    assert content(path) == content(whole)


def test_finished_parts_are_used_again(crystals, tmp_path, monkeypatch):
    path, whole = tmp_path / "set.h5", tmp_path / "whole.h5"
    asked: list[int] = []

    def stop_after_one(shards, *rest):
        asked.append(len(shards))
        make_here(shards[:1], *rest)
        raise KeyboardInterrupt

    monkeypatch.setattr(powder_set, "run_shards", stop_after_one)
    with pytest.raises(KeyboardInterrupt):
        make_set(path, crystals, 90, OPTIONS, 5, shard_size=40)
    damaged = tmp_path / "set.h5.parts" / "shard-000000040-000000080.h5"
    damaged.write_bytes(b"\x89HDF\r\n\x1a\n half of it")

    def count(shards, *rest):
        asked.append(len(shards))
        make_here(shards, *rest)

    monkeypatch.setattr(powder_set, "run_shards", count)
    make_set(path, crystals, 90, OPTIONS, 5, shard_size=40)
    assert asked == [3, 2]
    make_set(whole, crystals, 90, OPTIONS, 5, shard_size=40)
    assert content(path) == content(whole)


def fails(argv: list, capsys) -> str:
    capsys.readouterr()
    assert main([str(a) for a in argv]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@IN_PROCESS
def test_other_crystals_or_options_are_not_mixed(crystals, tmp_path, capsys):
    path, other = tmp_path / "set.h5", tmp_path / "other.h5"
    argv = ["powder", crystals, "--n", 3, "--range", "5:35:0.02", "--out", path, "--workers", 1]
    assert main([str(a) for a in argv]) == 0
    before = content(path)
    write_store(other, [random_structure(n=5, seed=i) for i in (0, 1, 9, 3)], {})
    assert "seed 1 (now 2)" in fails([*argv, "--seed", 2], capsys)
    assert "options.radiation CuKa (now MoKa)" in fails([*argv, "--radiation", "MoKa"], capsys)
    assert "other crystals" in fails(["powder", other, *argv[2:]], capsys)
    assert content(path) == before


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["absent.cif"], "no such file"),
        (["absent.h5"], "absent.h5"),
        (["{cif}", "--crystal", "1"], "--crystal"),
        (["{cif}", "--n", "1"], "--n"),
        (["{cif}", "--radiation", "UKa"], "radiation 'UKa'"),
        (["{cif}", "--range", "5:60"], "range '5:60'"),
        (["{cif}", "--axial", "0.01,0.02,0.03"], "--axial: 3 values"),
        (["{cif}", "--x", "wide"], "--x 'wide'"),
        (["{cif}", "--x", "0.1,0.2"], "--x: 2 values"),
        (["{cif}", "--peak-counts", "0"], "peak_counts 0"),
        (["{cif}", "--seed=-1"], "--seed -1"),
        (["{h5}", "--n", "91"], "holds 90 crystals, not 91"),
        (["{h5}", "--crystal", "90"], "holds 90 crystals"),
        (["{h5}", "--no-noise"], "--no-noise"),
        (["{h5}", "--out", "{h5}"], "overwrite the input"),
        (["{h5}", "--range", "0.2:2:0.02", "--n", "1", "--workers", "1"], "no reflection between"),
    ],
)
def test_bad_input(argv, message, crystals, sucrose, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argv = [word.format(cif=sucrose, h5=crystals) for word in argv]
    if "--out" not in argv:
        argv += ["--out", "out.h5"]
    assert message in fails(["powder", *argv], capsys)


@IN_PROCESS
def test_foreign_and_damaged_sets(crystals, tmp_path, capsys):
    path = tmp_path / "set.h5"
    argv = ["powder", crystals, "--n", 2, "--range", "5:35:0.02", "--out", path, "--workers", 1]
    path.write_bytes(b"no HDF5")
    assert "no HDF5 file" in fails(argv, capsys)
    path.write_bytes(content(crystals))
    assert "holds no powder patterns" in fails(argv, capsys)
    path.unlink()
    assert main([str(a) for a in argv]) == 0
    whole = content(path)
    path.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in fails(argv, capsys)
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 99
    assert "newer" in fails(argv, capsys)
