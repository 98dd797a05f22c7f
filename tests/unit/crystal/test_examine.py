"""Each reason for leaving a crystal out, and what is noted of those that stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cif_text import cif_text
from xrdml.crystal.examine import examine_file
from xrdml.crystal.structure import Structure

CELL = (8.0, 6.0, 5.5, 90.0, 100.0, 90.0)


def good() -> Structure:
    """Five atoms in a bent chain, with one H."""
    xyz = np.array([[1, 1, 1], [2.2, 1.7, 1], [3.4, 1, 1], [4.6, 1.7, 1], [5.6, 1, 1], [1, 0.1, 1]])
    frac = xyz / CELL[:3]
    numbers = np.array([6, 6, 6, 7, 8, 1], np.uint8)
    return Structure(CELL, "P 1 21 1", numbers, frac, np.full(6, 0.03), np.ones(6))


def changed(**columns) -> Structure:
    structure = good()
    for name, values in columns.items():
        column = getattr(structure, name).copy()
        for row, value in values.items():
            column[row] = value
        structure = replace(structure, **{name: column})
    return structure


def findings(tmp_path, text: str):
    path = tmp_path / "x.cif"
    path.write_text(text)
    return list(examine_file(path))


def endless() -> Structure:
    """A zigzag of 1.4 Å along a."""
    frac = [[0.2 * i, 0.1 + 0.04 * (i % 2), 0.1] for i in range(5)] + [[0.0, 0.2, 0.3]]
    return replace(good(), frac=np.array(frac), space_group="P 1", cell=(7.0, 5.0, 4.5, 90.0, 90.0, 90.0))


CASES = {
    "element": cif_text("x", changed(numbers={3: 26})),
    "no carbon": cif_text("x", changed(numbers={0: 7, 1: 7, 2: 7})),
    "disorder": cif_text("x", changed(occupancy=dict.fromkeys(range(4), 0.7))),
    "density": cif_text("x", replace(good(), cell=(16.0, 7.0, 9.0, 90.0, 100.0, 90.0))),
    "overlap": cif_text("x", changed(frac={4: good().frac[0] + [0.05, 0, 0]})),
    "polymer": cif_text("x", endless()),
    "unreadable": cif_text("x", good()).replace("_cell_length_b 6.0", "_cell_length_b seven"),
    "no atoms": "data_x\n_cell_length_a 5\n",
}  # fmt: skip


@pytest.mark.parametrize("reason", CASES)
def test_reasons(tmp_path, reason):
    [found] = findings(tmp_path, CASES[reason])
    assert found.reason == reason, found
    assert found.detail
    assert found.model is None
    assert str(tmp_path) not in found.detail


def test_what_stays(tmp_path):
    [found] = findings(tmp_path, cif_text("x", good()))
    assert found.reason == found.detail == ""
    assert found.notes == []
    np.testing.assert_allclose(found.model.structure.frac, good().frac, atol=1e-6)


def test_notes(tmp_path):
    text = cif_text("x", changed(numbers={5: 7}, occupancy={4: 0.5}), u=False)
    [found] = findings(tmp_path, text.rstrip() + "\nX1 C ? ? ? 1.0\n")
    assert found.notes[0] == "U assumed for 6 of 6 atoms"
    assert found.notes[1:] == [
        "no hydrogen", "1 non-H atoms on partly occupied sites", "left out atoms X1",
    ]  # fmt: skip


def test_many_blocks(tmp_path):
    text = (
        "data_global\n_publ_author x\n\n" + cif_text("a", good()) + CASES["element"] + cif_text("c", good())
    )
    assert [(f.block, f.reason) for f in findings(tmp_path, text)] == [("a", ""), ("x", "element"), ("c", "")]


def test_files_that_are_no_cif(tmp_path):
    for content in (b"", b"h k l\n1 2 3\n", b"\0\1\2", b"data_x\nloop_\n_a\n_b\n1\n"):
        path = tmp_path / "x.cif"
        path.write_bytes(content)
        [found] = examine_file(path)
        assert found.reason == "unreadable"


def test_better_models_have_a_higher_quality(tmp_path):
    r1 = "_refine_ls_R_factor_gt 0.04\n"
    texts = [
        cif_text("x", good(), u=False),
        cif_text("x", changed(occupancy={4: 0.8})),
        cif_text("x", good()),
        cif_text("x", good(), extra=r1.replace("0.04", "0.09")),
        cif_text("x", good(), extra=r1),
    ]
    quality = [findings(tmp_path, text)[0].quality for text in texts]
    assert quality == sorted(quality)
    assert len(set(quality)) == len(quality)
