"""Which model fills, and which serves where a crystal is not solved."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

import xrdml.infer.phased
from crystals import MONOCLINIC, direct_sum, random_structure
from known_solution import found
from xrdml.crystal.problem import Prediction, make_problem
from xrdml.crystal.reflections import Reflections
from xrdml.errors import UserError
from xrdml.infer import choose
from xrdml.infer.phased import PhasedPrediction, PhasingPredictor, calculated
from xrdml.models.weights import weights_names


class Fills:
    """A model that predicts one value, or refuses."""

    def __init__(self, name, value=None):
        self.name, self.value = name, value

    def predict(self, problems):
        if self.value is None:
            raise UserError(f"{self.name} takes no such crystal")
        return [Prediction(np.full(len(p.missing), self.value), np.ones(len(p.missing))) for p in problems]


@pytest.fixture
def structure():
    return random_structure(n=10, seed=1)


@pytest.fixture
def problem(structure):
    hkl = structure.symmetry.unique_reflections(MONOCLINIC, 1.5)
    intensity = np.abs(direct_sum(structure, hkl)) ** 2
    return make_problem(Reflections(hkl, intensity, np.ones(len(hkl))), MONOCLINIC, structure.symmetry)


def predict(monkeypatch, problem, solution, chain):
    monkeypatch.setattr(xrdml.infer.phased, "solve", lambda *_: solution)
    return PhasingPredictor(chain, "because").predict([problem])[0]


def test_the_first_that_can_fills(monkeypatch, problem, structure):
    chain = [Fills("a"), Fills("b"), Fills("c", 3.0), Fills("d", 4.0)]
    prediction = predict(monkeypatch, problem, found(structure, False), chain)
    assert (prediction.f == 3.0).all()
    assert prediction.details["amplitudes"] == "c"
    assert prediction.details["fallback"] == {
        "chosen": "a",
        "reason": "because",
        "refused": {"a": "a takes no such crystal", "b": "b takes no such crystal"},
    }
    assert not isinstance(prediction, PhasedPrediction)


def test_what_the_last_one_refuses_is_an_error(monkeypatch, problem, structure):
    with pytest.raises(UserError, match="b takes no such"):
        predict(monkeypatch, problem, found(structure, False), [Fills("a"), Fills("b")])


def test_solved_without_atoms_is_not_solved(monkeypatch, problem, structure):
    solution = replace(found(structure, True), structure=None)
    assert predict(monkeypatch, problem, solution, [Fills("a", 2.0)]).details["amplitudes"] == "a"


def test_amplitudes_are_those_of_the_atoms(monkeypatch, problem, structure):
    """Against a direct sum, on the scale of the file; σ is positive."""
    prediction = predict(monkeypatch, problem, found(structure, True, scale=2.5), [Fills("a", 2.0)])
    expected = 2.5 * np.abs(direct_sum(structure, problem.missing))
    np.testing.assert_allclose(prediction.f, expected, atol=1e-3 * expected.max())
    assert isinstance(prediction, PhasedPrediction)
    assert (prediction.sigma_f > 0).all()
    assert "fallback" not in prediction.details


def test_calculated_phases(structure, problem):
    expected = direct_sum(structure, problem.missing)
    f = calculated(structure, problem.missing, 3.0)
    np.testing.assert_allclose(f, 3 * expected, atol=2e-3 * np.abs(expected).max())


def test_the_lowest_measured_figure_chooses(monkeypatch):
    """The shipped figures, then ones in which another model wins, or one that is not installed."""
    shipped = json.loads(files("xrdml.infer").joinpath("fallback.json").read_text(encoding="utf-8"))
    figures = {name: row["r_ext"]["mean"] for name, row in shipped["summary"].items()}
    name, reason = choose.best_measured()
    assert figures[name] == min(figures.values())
    assert f"{name} {figures[name]:.3f}" in reason
    assert str(shipped["n"]) in reason

    def put(**r_ext):
        summary = {name: {"r_ext": {"mean": r}} for name, r in r_ext.items()}
        monkeypatch.setattr(choose, "_measured", lambda: {"n": 7, "summary": summary})

    put(ridge=0.59, unet=0.41)
    assert choose.best_measured()[0] == "unet"
    put(ridge=0.59, radial=0.6, not_installed=0.2)
    assert choose.best_measured()[0] == "ridge"


def test_every_shipped_network_was_measured():
    """A network that joins the others in weights/ has to be measured as well (docs/files.md says how)."""
    shipped = json.loads(files("xrdml.infer").joinpath("fallback.json").read_text(encoding="utf-8"))
    networks = {name for name in weights_names() if not choose.solves(name)}
    assert networks | set(choose.BASELINES) <= set(shipped["summary"])
