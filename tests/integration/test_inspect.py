"""`xrdml inspect` from files to table, picture and numbers."""

from __future__ import annotations

import json

import pytest

from crystals import spread_structure
from xrdml.cli.main import main
from xrdml.crystal.store import write_store


@pytest.fixture
def dataset(tmp_path):
    write_store(tmp_path / "set $1.h5", [spread_structure("P 1 21/c 1", 5, seed=i) for i in range(4)], {})
    return tmp_path / "set $1.h5"


def is_png(path) -> bool:
    data = path.read_bytes()
    return data.startswith(b"\x89PNG") and len(data) > 10_000


def test_table_picture_and_numbers(dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["inspect", str(dataset), "--limit", "3", "--json", "numbers.json"]) == 0
    said = capsys.readouterr().out
    assert "3 of 4 crystals" in said
    assert "P21/c 100%" in said
    assert "271 crystals" in said
    assert is_png(tmp_path / "set $1_inspect.png")
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    assert numbers["n"] == 3
    # What it wrote serves as a reference, and so does the file itself.
    for reference in ("numbers.json", str(dataset)):
        assert main(["inspect", str(dataset), "--reference", reference, "--out", "x.png"]) == 0
        assert is_png(tmp_path / "x.png")
        said = capsys.readouterr().out
        assert "4 crystals" in said
        assert "271" not in said


@pytest.mark.parametrize("name", ["sucrose_1p5.hkl", "sucrose.cif"])
def test_samples_of_the_project(root, tmp_path, name, capsys):
    out = tmp_path / "x.png"
    assert main(["inspect", str(root / "data_samples" / name), "--out", str(out)]) == 0
    assert is_png(out)
    assert "P21 100%" in capsys.readouterr().out


def test_bad_input_is_one_line(root, dataset, tmp_path, capsys):
    hkl = tmp_path / "alone.hkl"
    hkl.write_bytes((root / "data_samples" / "sucrose_1p5.hkl").read_bytes())
    (tmp_path / "empty").mkdir()
    (tmp_path / "half.h5").write_bytes(dataset.read_bytes()[:3000])
    (tmp_path / "text.json").write_text("{}")
    png = str(tmp_path / "x.png")
    cases = {
        "no such file": [str(tmp_path / "missing")],
        "no file that ends in .cif": [str(tmp_path / "empty")],
        "damaged or incomplete": [str(tmp_path / "half.h5")],
        "the cell is not known": [str(hkl)],
        "--limit 0": [str(dataset), "--limit", "0"],
        "ends in .png": [str(dataset), "--out", "x.pdf"],
        "no summary": [str(dataset), "--reference", str(tmp_path / "text.json")],
        "cannot write here": [str(dataset), "--out", str(tmp_path / "no" / "x.png")],
    }
    for text, arguments in cases.items():
        extra = [] if "--out" in arguments else ["--out", png]
        assert main(["inspect", *arguments, *extra]) == 2, text
        error = capsys.readouterr().err.strip()
        assert text in error
        assert "\n" not in error
