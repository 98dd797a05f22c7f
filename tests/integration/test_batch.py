"""Many crystals by one command: summed up, resumed, and not stopped by one that fails."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from crystals import complaint
from xrdml.cli.main import main
from xrdml.crystal.files import OnlyRunIn
from xrdml.infer import batch as module
from xrdml.infer.batch import COLUMNS, run_batch
from xrdml.infer.batch_inputs import Item, find_items

QUICK = ["--model", "radial", "--no-figures", "--workers", "2"]
DYING = "import os, sys\nsys.stdin.readline(), sys.stdin.readline()\nos.kill(os.getpid(), 9)\n"


def lay_out(folder: Path, root: Path) -> Path:
    """Two good crystals, one of them deeper, and a file that is none."""
    (folder / "deep").mkdir(parents=True)
    for suffix in (".hkl", ".ins"):
        shutil.copy(root / f"data_samples/paracetamol_1p5{suffix}", folder / f"para{suffix}")
        shutil.copy(root / f"data_samples/sucrose_1p5{suffix}", folder / f"deep/sucrose{suffix}")
    (folder / "letter.hkl").write_text("Dear editor,\n")
    return folder


@pytest.fixture(scope="module")
def first(root, tmp_path_factory):
    """The folder of crystals and that of the results after the first run."""
    folder = lay_out(tmp_path_factory.mktemp("batch") / "crystals", root)
    assert main(["infer", str(folder), *QUICK]) == 3
    return folder, folder.with_name("crystals_filled")


def rows(out: Path) -> dict[str, dict[str, str]]:
    with open(out / "summary.csv", newline="", encoding="utf-8") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def times(out: Path) -> dict[str, int]:
    return {str(p.relative_to(out)): p.stat().st_mtime_ns for p in out.rglob("report.json")}


def test_summary(first, capsys):
    folder, out = first
    found = rows(out)
    assert list(found) == ["deep/sucrose", "letter", "para"]
    assert found["para"].keys() == set(COLUMNS)
    report = json.loads((out / "para/report.json").read_text())
    para = found["para"]
    assert para["status"] == "filled"
    assert para["space_group"] == report["space_group"]
    assert int(para["predicted"]) == report["counts"]["predicted"] > 0
    assert float(para["d_measured"]) == pytest.approx(1.5, abs=0.01)
    assert found["letter"]["status"] == "failed"
    assert str(folder / "letter.hkl") in found["letter"]["error"]


def test_a_crystal_is_filled_as_alone(first, tmp_path):
    folder, out = first
    assert main(["infer", str(folder / "para.hkl"), *QUICK, "--out", str(tmp_path / "alone")]) == 0
    for name in ("para.hkl", "para.ins"):
        assert (tmp_path / "alone" / name).read_bytes() == (out / "para" / name).read_bytes()


def test_resumed_by_content_and_options(first, tmp_path, capsys):
    folder, out = (Path(shutil.copytree(p, tmp_path / p.name)) for p in first)
    # The copies lie elsewhere, so that everything is done once more, and then nothing is.
    main(["infer", str(folder), *QUICK])
    capsys.readouterr()
    before = times(out)
    assert main(["infer", str(folder), *QUICK]) == 3, "what failed is tried again"
    assert times(out) == before
    assert "2 of them by an earlier run" in capsys.readouterr().out

    (folder / "letter.hkl").unlink()
    text = (folder / "para.ins").read_text()
    (folder / "para.ins").write_text(text.replace("TITL", "REM changed\nTITL", 1))
    assert main(["infer", str(folder), *QUICK]) == 0
    after = times(out)
    assert after["para/report.json"] > before["para/report.json"]
    assert after["deep/sucrose/report.json"] == before["deep/sucrose/report.json"]
    assert "letter" not in rows(out)

    # Half a result, as a kill would leave, is none.
    (out / "para/report.json").unlink()
    (out / "para/.unfinished").touch()
    assert main(["infer", str(folder), *QUICK, "--d-min", "0.9"]) == 0
    assert min(times(out).values()) > max(after.values()), "other options: everything again"


def test_list_and_names(first, tmp_path):
    folder, _ = first
    listed = tmp_path / "list.txt"
    listed.write_text(f"# mine\n{folder / 'para.hkl'}   # good\n\n{folder / 'deep/sucrose.hkl'}\n")
    assert [item.name for item in find_items([], listed)] == ["deep/sucrose", "para"]
    assert [item.name for item in find_items([folder / "para.hkl", folder / "deep"], None)] == [
        "deep/sucrose",
        "para",
    ]
    listed.write_text("none.hkl\n")
    assert "none.hkl: no such file" in complaint(find_items, [], listed)


def test_what_counts_as_a_crystal(tmp_path):
    for name in ("a.hkl", "a.cif", ".b.hkl", "hidden/c.hkl", "done/d.hkl", "out/e.hkl", "F.HKL"):
        path = tmp_path / name.replace("hidden", ".hidden")
        path.parent.mkdir(exist_ok=True)
        path.write_text("data_x\n_refln_index_h\n")
    (tmp_path / "structure.cif").write_text("data_x\n_cell_length_a 5\n")
    (tmp_path / "g.cif").write_text("data_x\nloop_\n_refln_index_h\n")
    (tmp_path / "done/report.json").write_text("{}")
    assert [item.name for item in find_items([tmp_path], None, tmp_path / "out")] == ["F", "a", "g"]
    assert "same name" in complaint(find_items, [tmp_path / "a.hkl", tmp_path / "a.cif"], None)
    (tmp_path / "empty").mkdir()
    assert "no .hkl" in complaint(find_items, [tmp_path / "empty"], None)


def test_files_of_each_folder(root, tmp_path):
    """--cif NAME is looked for beside each crystal."""
    for name in ("one", "two"):
        (tmp_path / "in" / name).mkdir(parents=True)
        shutil.copy(root / "data_samples/sucrose_1p5.hkl", tmp_path / "in" / name / "data.hkl")
        shutil.copy(root / "data_samples/sucrose.cif", tmp_path / "in" / name / "structure.cif")
    argv = ["infer", str(tmp_path / "in"), *QUICK, "--cif", "structure.cif", "--out", str(tmp_path / "out")]
    assert main(argv) == 0
    assert list(rows(tmp_path / "out")) == ["one/data", "two/data"]


def test_a_process_that_dies_takes_one_crystal(tmp_path, monkeypatch):
    """As when the system runs out of memory: the next crystal gets a new process."""
    (tmp_path / "dying.py").write_text(DYING)
    monkeypatch.setattr(module, "_WORKER", "dying")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    items = [Item(name, tmp_path / f"{name}.hkl") for name in ("a", "b", "c")]
    done: list[int] = []
    batch = run_batch("infer", items, {}, tmp_path / "out", workers=2, done=done.append)
    assert [row["status"] for row in batch.rows] == ["failed"] * 3
    assert all("SIGKILL" in row["error"] for row in batch.rows)
    assert sum(done) == 3


def test_one_run_at_a_time(first, tmp_path, capsys):
    folder, out = first
    with OnlyRunIn(out):
        assert main(["infer", str(folder), *QUICK]) == 2
        assert "another run is writing here" in capsys.readouterr().err
    with OnlyRunIn(out / "para"):
        assert main(["infer", str(folder / "para.hkl"), "--model", "radial", "--out", str(out / "para")]) == 2
        assert "another run is writing here" in capsys.readouterr().err


def test_nothing_given(capsys):
    assert main(["solve"]) == 2
    assert "no input" in capsys.readouterr().err
