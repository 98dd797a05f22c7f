"""Patterson maps and subjects against what is known by hand."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from crystals import direct_sum, random_structure, spread_structure
from xrdml.crystal.cell import metric
from xrdml.crystal.problem import Prediction
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import symmetry
from xrdml.explain.output import write_csv, write_json
from xrdml.explain.patterson import ORIGIN, patterson
from xrdml.explain.sections import Reconstruction, patterson_maps
from xrdml.explain.subject import subject_of, without_absences


def test_patterson_of_two_atoms_has_one_vector():
    """P1, two carbon atoms: peaks at the origin and at ±u, and nowhere else."""
    first, u = np.array([0.1, 0.2, 0.3]), np.array([0.25, 0.5, 0.3])
    cell = (8.0, 9.0, 10.0, 90.0, 100.0, 90.0)
    pair = Structure(
        cell, "P 1", np.array([6, 6], np.uint8), np.stack([first, first + u]),
        np.full(2, 0.03), np.ones(2),
    )  # fmt: skip
    hkl = pair.symmetry.unique_reflections(cell, 0.8)
    found = patterson(hkl, np.abs(direct_sum(pair, hkl)), cell, pair.symmetry)
    shape = np.array(found.density.shape)
    x = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), -1)
    delta = x - np.round(x)
    away = np.sqrt(np.einsum("...i,ij,...j->...", delta, metric(cell), delta)) > ORIGIN
    peak = np.unravel_index(np.where(away, found.density, -np.inf).argmax(), found.density.shape) / shape
    difference = np.minimum(np.abs(peak - u), np.abs(peak - (1 - u)))
    assert (difference <= 1 / shape).all()
    assert found.density[0, 0, 0] == found.density.max()
    # The plane y = ½ holds it, and the plane y = 0 holds the origin.
    assert found.section(0.5).max() == pytest.approx(found.density[:, shape[1] // 2].max())
    assert found.section(0.0).max() == found.density.max()


def test_patterson_is_centrosymmetric_and_has_no_mean():
    made = random_structure(n=5)
    hkl = made.symmetry.unique_reflections(made.cell, 1.0)
    density = patterson(hkl, np.abs(direct_sum(made, hkl)), made.cell, made.symmetry).density
    inverted = np.roll(density[::-1, ::-1, ::-1], 1, (0, 1, 2))
    assert np.allclose(density, inverted)
    assert abs(density.mean()) < 1e-9 * density.max()


def test_a_perfect_prediction_gives_the_true_map():
    subject = subject_of("made up", spread_structure("P 1 21 1", 5, seed=4))
    perfect = Prediction(subject.f_true, np.zeros_like(subject.f_true))
    low, predicted, true = patterson_maps(Reconstruction(subject, {"perfect": perfect})).values()
    assert predicted.correlation(true) == pytest.approx(1)
    assert 0 < low.correlation(true) < 0.99


@pytest.mark.parametrize(
    ("group", "expected"),
    [("P 1 21 1", "P 1 2 1"), ("C 1 2/c 1", "P 1 2/m 1"), ("P 21 21 21", "P 2 2 2"), ("P n a 21", "P m m 2")],
)
def test_control_group_has_the_same_asymmetric_unit_and_no_absence(group, expected):
    cell = (8.0, 9.0, 10.0, 90.0, 90.0, 90.0)
    made = random_structure(group, cell=cell, n=4)
    control = without_absences(made)
    assert control.space_group == expected
    before, after = symmetry(group), control.symmetry
    hkl = after.unique_reflections(cell, 1.0, absent=True)
    assert not after.is_absent(hkl).any()
    assert before.is_absent(hkl).any()
    assert (before.to_asu(hkl) == after.to_asu(hkl)).all()
    assert (control.frac == made.frac).all()


def test_numbers_on_disk(tmp_path):
    write_csv(
        tmp_path / "x.csv", {"h": np.array([1, -2]), "f": [0.123456789, float("nan")], "kind": ["a", "b"]}
    )
    with (tmp_path / "x.csv").open() as file:
        assert list(csv.reader(file)) == [["h", "f", "kind"], ["1", "0.123457", "a"], ["-2", "nan", "b"]]
    write_json(tmp_path / "x.json", {"a": np.float32(0.5), "b": [float("nan"), np.arange(2)]})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 0.5, "b": [None, [0, 1]]}
