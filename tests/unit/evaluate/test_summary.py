"""Statistics over samples, by hand; every kind of file; the reference holds no structure."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cif_text import cif_text
from crystals import random_structure, spread_structure
from xrdml.crystal.molecule_library import write_library
from xrdml.crystal.store import write_store
from xrdml.errors import UserError
from xrdml.evaluate.features import FEATURES
from xrdml.evaluate.samples import Collection, Sample, from_molecule, open_collection, spread_over
from xrdml.evaluate.summary import (
    EDGES,
    MEANINGS,
    overlap,
    published_crystals,
    read_summary,
    summarise,
    table,
)


def collection(samples: list[Sample]) -> Collection:
    return Collection("crystals", len(samples), lambda i: samples[i])


def test_statistics_by_hand():
    samples = [
        Sample({"density": d, "beta": np.nan}, {"bond": np.array(b)}, np.full(16, d), group)
        for d, b, group in ((1.0, [1.21] * 9, 14), (2.0, [1.41], 14), (6.0, [9.0], 4))
    ]
    made = summarise("x", collection(samples), 10)
    assert made["quantities"]["density"]["mean"] == 3
    assert made["quantities"]["density"]["quantiles"]["0.5"] == 2
    assert made["quantities"]["density"]["std"] == pytest.approx(np.sqrt(14 / 3), rel=1e-4)
    assert made["quantities"]["beta"] == {
        "meaning": FEATURES["beta"], "n": 0, "mean": None, "std": None, "quantiles": None,
    }  # fmt: skip
    assert made["space_groups"] == {"P21/c": 2 / 3, "P21": 1 / 3}
    share = np.array(made["histograms"]["bond"]["share"])
    # Each sample weighs the same, however many bonds it has; what lies beyond is in the last bin.
    assert share[[10, 20, -1]] == pytest.approx([1 / 3] * 3, abs=1e-4)
    assert made["radial"]["0.5"] == [2.0] * 16
    json.dumps(made, allow_nan=False)


def test_overlap():
    def of(values):
        return summarise("x", collection([Sample({}, {"bond": np.array(values)})]), 1)

    assert overlap(of([1.21, 1.41]), of([1.21, 1.51]), "bond") == pytest.approx(0.5)
    assert overlap(of([1.21]), of([1.21]), "bond") == 1
    assert overlap(of([1.21]), of([1.21]), "u") is None
    few = summarise("x", collection([Sample({"beta": 100.0})]), 1)
    assert overlap(few, few, "beta") is None


def test_samples_are_spread_over_the_file():
    assert list(spread_over(5, 10)) == [0, 1, 2, 3, 4]
    assert list(spread_over(1000, 3)) == [0, 500, 999] or list(spread_over(1000, 3)) == [0, 499, 999]
    assert list(spread_over(0, 3)) == []


def test_what_cannot_be_read_is_counted():
    def sample(i):
        if i % 2:
            raise UserError("is broken")
        return Sample({"density": 1.0})

    made = summarise("x", Collection("crystals", 4, sample), 10)
    assert (made["n"], made["total"], made["unreadable"]) == (2, 4, ["is broken"] * 2)
    with pytest.raises(UserError, match="is broken"):
        summarise("x", Collection("crystals", 1, lambda _: sample(1)), 10)
    with pytest.raises(UserError, match="holds no crystals"):
        summarise("x", Collection("crystals", 0, sample), 10)


def test_a_molecule_alone():
    positions = np.array([[0, 0, 0], [1.5, 0, 0], [1.5, 2.0, 0], [0, 0, 1.0]])
    sample = from_molecule(np.array([6, 6, 16, 1], np.uint8), positions)
    assert sorted(sample.distances["bond"]) == pytest.approx([1.5, 1.5, 2.0, 2.0])
    assert sample.distances["one_three"] == pytest.approx([2.5])
    assert sample.values["non_h_atoms"] == 3
    assert np.isnan(sample.values["contact_min"])
    assert sample.space_group is None


@pytest.fixture
def inputs(tmp_path, root) -> dict[str, tuple[Path, str, int]]:
    """A file of each kind: path, kind and number of samples."""
    structures = [spread_structure("P 1 21 1", 6, seed=i) for i in range(3)]
    write_store(tmp_path / "set.h5", structures, {})
    molecule = ("CO", np.array([6, 8], np.uint8), np.array([[0, 0, 0], [0, 0, 1.43]]))
    write_library(tmp_path / "library.h5", [molecule] * 2, {"n_solvents": 0})
    (tmp_path / "cifs").mkdir()
    for i in range(2):
        (tmp_path / "cifs" / f"{i}.cif").write_text(cif_text("x", structures[i]))
    (tmp_path / "two.cif").write_text(cif_text("a", structures[0]) + cif_text("b", structures[1]))
    return {
        "dataset": (tmp_path / "set.h5", "crystals", 3),
        "library": (tmp_path / "library.h5", "molecules", 2),
        "folder": (tmp_path / "cifs", "crystals", 2),
        "cif": (tmp_path / "two.cif", "crystals", 2),
        "hkl": (root / "data_samples" / "sucrose_1p5.hkl", "reflections", 1),
    }


@pytest.mark.parametrize("name", ["dataset", "library", "folder", "cif", "hkl"])
def test_every_kind_of_file(inputs, name):
    path, kind, total = inputs[name]
    found = open_collection(path, {})
    assert (found.kind, found.total) == (kind, total)
    made = summarise(path.name, found, 10)
    assert made["n"] == total
    assert any(MEANINGS["bond_mean"] in line or MEANINGS["e_mean"] in line for line in table(made, None))


def test_one_structure_gives_the_same_in_every_file(inputs):
    """A dataset file, a CIF and a folder of CIFs of one crystal; CIFs have six decimals."""
    first = [open_collection(inputs[name][0], {}).sample(0).values for name in ("dataset", "cif", "folder")]
    for key, value in first[0].items():
        for other in first[1:]:
            assert other[key] == pytest.approx(value, rel=1e-3, nan_ok=True), key


def test_measured_reflections_against_calculated(root):
    """Sucrose to 0.8 Å, measured and calculated: cells, |E| and the radial curve agree."""
    samples = root / "data_samples"
    measured = open_collection(samples / "sucrose_0p8.hkl", {}).sample(0)
    calculated = open_collection(samples / "sucrose.cif", {}).sample(0)
    for key in ("axis_ratio_mid", "axis_ratio_long", "beta", "volume_per_non_h"):
        assert measured.values[key] == pytest.approx(calculated.values[key], rel=0.01), key
    assert measured.values["e2_minus_1"] == pytest.approx(calculated.values["e2_minus_1"], abs=0.05)
    assert measured.radial is not None
    assert calculated.radial is not None
    both = np.isfinite(measured.radial) & np.isfinite(calculated.radial)
    assert both.sum() == 16
    assert measured.radial[both] == pytest.approx(calculated.radial[both], rel=0.25)


def test_the_reference_is_statistics_alone():
    reference = published_crystals()
    assert reference["n"] == 271
    assert set(reference["quantities"]) == set(MEANINGS)
    assert set(reference["histograms"]) == set(EDGES)
    text = json.dumps(reference)
    assert "frac" not in text
    assert "COD_" not in text
    assert len(text) < 40_000
    for key, edges in EDGES.items():
        assert reference["histograms"][key]["edges"] == pytest.approx(edges, rel=1e-4), key
        assert sum(reference["histograms"][key]["share"]) == pytest.approx(1, abs=1e-3)


def test_the_reference_is_up_to_date(shared_data):
    """Some of the crystals again: their medians lie where the reference says."""
    reference = published_crystals()
    made = summarise("x", open_collection(shared_data / "structures", {}), 30)
    for key in FEATURES:
        quantiles = reference["quantities"][key]["quantiles"]
        assert quantiles["0.05"] < made["quantities"][key]["quantiles"]["0.5"] < quantiles["0.95"], key
    for key in ("nearest", "bond", "one_three", "contact", "u", "e_acentric", "e_centric"):
        assert (overlap(made, reference, key) or 0) > 0.75, key


def test_summaries_that_are_none(tmp_path):
    for content in ("{}", "[1]", "x", json.dumps({"format": "xrdml inspect", "format_version": 2})):
        (tmp_path / "x.json").write_text(content)
        with pytest.raises(UserError, match="no summary"):
            read_summary(tmp_path / "x.json")


def test_table_beside_a_reference():
    samples = [open_samples(seed) for seed in range(2)]
    lines = table(summarise("x", collection(samples), 5), published_crystals())
    assert lines[0] == "space groups: P21 100%"
    assert "271 crystals" in lines[2]
    assert any(line.startswith(MEANINGS["density"]) and line.count("(") == 2 for line in lines)


def open_samples(seed: int) -> Sample:
    from xrdml.evaluate.samples import from_structure

    return from_structure(random_structure(n=8, seed=seed))
