"""`xrdml import-cif` from files to files: what is left out, resumed, and kept apart."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

import xrdml.data.import_cifs as importer
from cif_text import cif_text
from xrdml.cli.main import main
from xrdml.crystal.store import StructureStore, write_store
from xrdml.crystal.structure import Structure
from xrdml.data.structures import read_structures

LENGTHS = range(6, 11)


def chain(n: int, group="P 1 21 1", shift=0.0) -> Structure:
    """A zigzag of n carbon atoms that ends in O, in a cell that it fills."""
    cell = (1.25 * n + 3.5, 8.0, 4.5, 90.0, 100.0, 90.0)
    i = np.arange(n)
    xyz = np.stack([1 + 1.25 * i + shift, 1 + 0.7 * (i % 2), np.ones(n)], 1)
    numbers = np.full(n, 6, np.uint8)
    numbers[-1] = 8
    return Structure(cell, group, numbers, xyz / cell[:3], np.full(n, 0.04), np.ones(n))


@pytest.fixture
def folder(tmp_path):
    """Five chains, each measured twice and once in another group, and files that are left out."""
    folder = tmp_path / "cifs"
    (folder / "deep").mkdir(parents=True)
    for n in LENGTHS:
        crystal = chain(n)
        a, b, c, *_ = crystal.cell
        warm = replace(crystal, cell=(a + 0.1, b + 0.1, c + 0.1, 90.0, 100.3, 90.0))
        (folder / f"{n}_a.cif").write_text(cif_text("cold", crystal) + cif_text("warm", warm))
        (folder / "deep" / f"{n}_b.CIF").write_text(cif_text("x", chain(n, "P -1", shift=1.5)))
    (folder / "broken.cif").write_text("data_x\nloop_\n_a\n_b\n1\n")
    iron = chain(6)
    (folder / "iron.cif").write_text(cif_text("x", replace(iron, numbers=iron.numbers + np.uint8(20))))
    (folder / "notes.txt").write_text("no CIF")
    return folder


def table(path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_what_is_kept_and_what_is_not(folder, tmp_path, capsys):
    out = tmp_path / "real.h5"
    assert main(["import-cif", str(folder), str(out), "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert "10 crystals of 5 families" in said
    assert "left out: 7 of 17 (5 duplicate, 1 unreadable, 1 element)" in said
    store = StructureStore(out)
    assert store.labels.names == sorted(
        [f"{n}_a#cold" for n in LENGTHS] + [f"deep/{n}_b" for n in LENGTHS],
        key=lambda name: str(folder / name),
    )
    for name, structure in zip(store.labels.names, store, strict=True):
        expected = chain(int(name.split("/")[-1].split("_")[0])).numbers
        assert structure.numbers.tolist() == expected.tolist()
    rows = table(tmp_path / "real_import.csv")
    assert len(rows) == 17
    reasons = {(row["file"], row["block"]): (row["reason"], row["detail"]) for row in rows}
    assert reasons["7_a.cif", "warm"] == ("duplicate", "of 7_a#cold")
    assert reasons["iron.cif", "x"] == ("element", "Fe Ni")
    assert reasons["broken.cif", ""][0] == "unreadable"
    families = {row["name"]: row["family"] for row in rows}
    assert families["8_a#cold"] == families["8_a#warm"] == families["deep/8_b"] != families["9_a#cold"]
    summary = json.loads((tmp_path / "real_import.json").read_text())
    assert summary["left_out"] == {"duplicate": 5, "unreadable": 1, "element": 1}
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "cifs",
        "real.h5",
        "real_import.csv",
        "real_import.json",
    ]


def test_held_out_molecules_are_never_trained_on(folder, tmp_path):
    held = tmp_path / "benchmark"
    held.mkdir()
    (held / "x.cif").write_text(cif_text("x", chain(7, shift=0.5)))
    out = tmp_path / "real.h5"
    assert main(["import-cif", str(folder), str(out), "--workers", "1", "--hold-out", str(held)]) == 0
    parts = {
        subset: {name for name, _ in read_structures(out, subset)} for subset in ("train", "test", "all")
    }
    assert {"7_a#cold", "deep/7_b"} <= parts["test"]
    assert parts["train"] | parts["test"] == parts["all"]
    for n in LENGTHS:
        assert (f"{n}_a#cold" in parts["train"]) == (f"deep/{n}_b" in parts["train"])


def test_the_number_of_workers_does_not_matter(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(importer, "PART_SIZE", 4)
    for name, workers in (("one", "1"), ("two", "2")):
        assert main(["import-cif", str(folder), str(tmp_path / f"{name}.h5"), "--workers", workers]) == 0
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
    assert (tmp_path / "one_import.csv").read_bytes() == (tmp_path / "two_import.csv").read_bytes()


def test_interrupted_and_resumed(folder, tmp_path, monkeypatch, capsys):
    """Stopped after two of four parts: only the others, and those whose files changed, are read again."""
    monkeypatch.setattr(importer, "PART_SIZE", 3)
    out, read = tmp_path / "real.h5", []
    examine = importer.examine_file

    def counting(path, elements):
        read.append(path.name)
        if len(read) == 7 and not resumed:
            raise KeyboardInterrupt
        yield from examine(path, elements)

    resumed = False
    monkeypatch.setattr(importer, "examine_file", counting)
    assert main(["import-cif", str(folder), str(out), "--workers", "1"]) == 130
    assert "again to go on" in capsys.readouterr().err
    assert not out.exists()
    resumed, first, read[:] = True, read[:6], []
    changed = folder / first[0]
    changed.write_text(changed.read_text() + "\n# changed\n")
    assert main(["import-cif", str(folder), str(out), "--workers", "1"]) == 0
    assert set(first[3:6]).isdisjoint(read)
    assert set(first[:3]) <= set(read)
    assert len(StructureStore(out)) == 10
    assert not (tmp_path / "real.h5.parts").exists()


def test_killed_process_leaves_the_old_file(folder, tmp_path):
    out = tmp_path / "real.h5"
    assert main(["import-cif", str(folder), str(out), "--workers", "1"]) == 0
    before = out.read_bytes()
    for i in range(importer.PART_SIZE):
        (folder / f"0_{i}.cif").write_text((folder / "iron.cif").read_text())
    for i in range(20):
        (folder / f"more{i}.cif").write_text((folder / "6_a.cif").read_text())
    command = [sys.executable, "-m", "xrdml.cli.main", "import-cif", str(folder), str(out), "--workers", "1"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    parts = tmp_path / "real.h5.parts"
    deadline = time.monotonic() + 60
    while not list(parts.glob("*.json")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(parts.glob("*.json")), "a part was finished before the kill"
    assert out.read_bytes() == before
    assert main(["import-cif", str(folder), str(out), "--workers", "1"]) == 0
    assert len(StructureStore(out)) == 10
    assert len(table(tmp_path / "real_import.csv")) == 17 + importer.PART_SIZE + 2 * 20


def test_bad_input_is_one_line(folder, tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    only_iron = tmp_path / "iron"
    only_iron.mkdir()
    (folder / "iron.cif").rename(only_iron / "iron.cif")
    write_store(tmp_path / "simulated.h5", [chain(6)], {"recipe": "random_atoms"})
    (tmp_path / "text.h5").write_text("mine")
    out = str(tmp_path / "x.h5")
    cases = {
        "no such folder": [str(tmp_path / "missing"), out],
        "no file that ends in .cif": [str(empty), out],
        "none of 1 crystals can be used": [str(only_iron), out],
        "not made by import-cif": [str(folder), str(tmp_path / "simulated.h5")],
        "no HDF5 file": [str(folder), str(tmp_path / "text.h5")],
        "'Xx' is no element": [str(folder), out, "--elements", "C,Xx"],
        "--workers 0": [str(folder), out, "--workers", "0"],
        "cannot write here": [str(folder), str(tmp_path / "nowhere" / "x.h5")],
        "missing: no such": [str(folder), out, "--hold-out", str(tmp_path / "missing")],
    }
    for text, arguments in cases.items():
        assert main(["import-cif", *arguments]) == 2, text
        error = capsys.readouterr().err.strip()
        assert text in error
        assert "\n" not in error
    assert (tmp_path / "text.h5").read_text() == "mine"
    assert not os.path.exists(out)


def test_published_structures(shared_data, tmp_path, capsys):
    """A few, benzene's three measurements among them."""
    folder = tmp_path / "cifs"
    folder.mkdir()
    for name in ("COD_2100348", "COD_2100349", "COD_2100350", "COD_1100141"):
        (folder / f"{name}.cif").symlink_to(shared_data / "structures" / f"{name}.cif")
    assert main(["import-cif", str(folder), str(tmp_path / "x.h5")]) == 0
    assert "2 crystals of 2 families" in capsys.readouterr().out
