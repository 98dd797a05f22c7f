"""What the report of a crystal says, and what it does not let in."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from report_folders import EVIL, solved_folder
from xrdml.crystal.shelx_atoms import atom_labels
from xrdml.errors import UserError
from xrdml.html_report.shells import predicted_errors
from xrdml.html_report.write import write_report


def made(tmp_path, title="made", **changes) -> str:
    folder, _ = solved_folder(tmp_path / "r", title, **changes)
    return write_report(folder).read_text()


def molecule(text: str) -> dict:
    return json.loads(re.search(r'id="molecule">(.*?)</script>', text, re.DOTALL)[1])


def test_a_solved_crystal(tmp_path):
    text = made(tmp_path)
    for expected in (
        ">Solved</span>", "R1 0.051", "0.840", "&gt; 0.5", "✓ yes", "130", "97.0%", "∞ – 2.00",
        "Figure of merit of the best start", "correlation", "look at made", "C24 in the cell",
    ):  # fmt: skip
        assert expected in text, expected
    assert "✗" not in text


def test_distances_of_the_drawn_atoms_are_those_of_the_crystal(tmp_path):
    folder, structure = solved_folder(tmp_path / "r")
    data = molecule(write_report(folder).read_text())
    assert {a["label"] for a in data["atoms"]} == set(atom_labels(structure))
    cell = np.array(data["cell"])
    assert np.linalg.norm(cell, axis=1) == pytest.approx(structure.cell[:3], abs=1e-3)
    axes = np.array(data["axes"])
    assert axes @ axes.T == pytest.approx(np.eye(3), abs=1e-5)
    assert np.linalg.det(axes) == pytest.approx(1, abs=1e-5)
    # Every drawn atom is an image of one of the crystal, under a symmetry operation and a translation.
    group = structure.symmetry
    images = np.einsum("sij,nj->nsi", group.rotations, structure.frac) + group.translations
    for atom in data["atoms"]:
        shift = np.array(atom["xyz"]) @ np.linalg.inv(cell) - images
        assert np.abs(shift - np.round(shift)).max(-1).min() < 1e-3


def test_criteria_that_are_not_met(tmp_path):
    verdict = {"agreement": 0.3, "agreement_above": 0.5, "r": None, "r_below": 0.6}
    text = made(tmp_path, model={"solved": False, "verdict": verdict, "amplitudes": "ridge"})
    assert ">Not solved</span>" in text
    assert text.count("✗ no") == 2
    assert "come from ridge" in text
    assert "best attempt, and most likely wrong" in text


@pytest.mark.parametrize(
    ("model", "badge"),
    [({"name": None}, "Nothing was missing"), ({"name": "unet"}, "Filled by unet")],
)
def test_crystals_that_nobody_tried_to_solve(tmp_path, model, badge):
    folder, _ = solved_folder(tmp_path / "r")
    report = json.loads((folder / "report.json").read_text())
    (folder / "report.json").write_text(json.dumps(report | {"model": model, "comparison": None}))
    assert f">{badge}</span>" in write_report(folder).read_text()


def test_nothing_from_files_becomes_markup(tmp_path):
    text = made(tmp_path, EVIL, space_group=EVIL, versions={EVIL: EVIL}, files={EVIL: EVIL, "res": "x.res"})
    assert text.count("<script") == 2  # the data of the molecule, and ours
    assert "<img" not in text
    assert "console.error('in')" not in re.sub(r"<(title|style)>.*?</\1>", "", text)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "link.png", "absent.png", 7, "note.png"])
def test_only_pictures_of_the_folder_are_taken_in(tmp_path, name):
    (tmp_path / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\nsecret")
    folder, _ = solved_folder(tmp_path / "r", files={"planes": name})
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "note.png").write_text("no picture")
    assert "<img" not in write_report(folder).read_text()


def test_atoms_that_cannot_be_read(tmp_path, caplog):
    folder, _ = solved_folder(tmp_path / "r")
    (folder / "x.res").write_text("TITL broken\n")
    assert "molecule-view" not in write_report(folder).read_text()
    assert "x.res" in caplog.text


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"cell": 1}', "[" * 100_000])
def test_reports_that_are_none(tmp_path, content):
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(UserError, match=r"report\.json"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_values_of_the_wrong_type(tmp_path):
    text = made(
        tmp_path, merging=3, shells=[{"d_min": "x"}], warnings="no", metrics=7, contents=[1],
        model={"verdict": [1], "history": [None, "x"], "weights": 3},
        comparison={"r_ext": 1.0, "shells": [3, {"d_min": None}]},
    )  # fmt: skip
    assert "What was measured" in text


def test_other_files_are_not_replaced(tmp_path):
    folder, _ = solved_folder(tmp_path / "r")
    target = tmp_path / "mine.html"
    target.write_text("<p>mine</p>")
    with pytest.raises(UserError, match="no report of xrdml"):
        write_report(folder, target)
    assert target.read_text() == "<p>mine</p>"
    write_report(folder, tmp_path / "new.html")
    write_report(folder / "report.json", tmp_path / "new.html")


def test_error_of_predicted_amplitudes(tmp_path):
    folder, structure = solved_folder(tmp_path / "r")
    shells = [{"d_min": 1.5}, {"d_min": 1.0}, {"d_min": 0.8}]
    errors = predicted_errors(folder / "x.hkl", list(structure.cell), 1.5, shells)
    assert errors[0] is None
    assert errors[1:] == pytest.approx([0.2, 0.2], abs=1e-3)
