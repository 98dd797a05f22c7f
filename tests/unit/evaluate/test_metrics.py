"""Scores of predictions whose quality is known."""

from __future__ import annotations

import numpy as np
import pytest

from crystals import MONOCLINIC, direct_sum, random_structure
from xrdml.crystal.cell import d_spacing
from xrdml.crystal.problem import FillProblem, make_problem
from xrdml.crystal.reflections import Reflections
from xrdml.crystal.symmetry import symmetry
from xrdml.errors import UserError
from xrdml.evaluate.metrics import score, summarise


@pytest.fixture(scope="module")
def known() -> tuple[FillProblem, np.ndarray]:
    group = symmetry("P21")
    hkl = group.unique_reflections(MONOCLINIC, 0.8)
    f = np.abs(direct_sum(random_structure(), hkl))
    low = d_spacing(MONOCLINIC, hkl) >= 1.5
    measured = Reflections(hkl[low], f[low] ** 2, np.ones(int(low.sum())))
    return FillProblem(MONOCLINIC, group, measured, hkl[~low], 1.5, 0.8), f[~low]


def test_the_truth_scores_perfectly(known):
    problem, f = known
    result = score(problem, f, f)
    assert result["r_all"] == result["r_ext"] == result["mse"] == 0
    assert result["cc_e"] == pytest.approx(1)
    assert result["skill"] == 1
    assert result["n_measured"] + result["n_missing"] == len(
        symmetry("P21").unique_reflections(MONOCLINIC, 0.8)
    )


def test_true_shell_medians_have_no_skill(known):
    """The radial reference scored as a prediction: skill 0, and R_all is R_ext times its share of Σ|F|."""
    problem, f = known
    d = d_spacing(problem.cell, problem.missing)
    edges = np.linspace(d.max() ** -3, d.min() ** -3, 9)
    shell = np.clip(np.searchsorted(edges, d**-3, side="right") - 1, 0, 7)
    medians = np.array([np.median(f[shell == i]) for i in range(8)])[shell]
    result = score(problem, f, medians)
    assert result["skill"] == pytest.approx(0, abs=1e-12)
    share = f.sum() / (f.sum() + problem.f_obs.sum())
    assert result["r_all"] == pytest.approx(result["r_ext"] * share)
    assert 0.35 < result["r_ext_acentric"] < 0.5 < result["r_ext_centric"] < 0.7  # Wilson statistics


def test_scale_does_not_matter_to_correlation(known):
    problem, f = known
    noisy = f * np.random.default_rng(0).normal(1, 0.3, len(f)).clip(0.1)
    a, b = score(problem, f, noisy), score(problem, f, 3 * noisy)
    assert a["cc_e"] == pytest.approx(b["cc_e"])
    assert 0.5 < a["cc_e"] < 1
    assert b["r_ext"] > a["r_ext"]


def test_unknown_truth_is_left_out(known):
    problem, f = known
    half = f.copy()
    half[::2] = np.nan
    result = score(problem, half, f)
    assert result["r_ext"] == 0
    assert result["n_missing"] == len(f) // 2
    assert sum(s["n"] for s in result["shells"]) == len(f) // 2
    assert "r_ext" not in score(problem, np.full(len(f), np.nan), f)


def test_summary_over_crystals():
    summary = summarise(
        [{"r_ext": 0.4, "n_missing": 5}, {"r_ext": 0.5, "n_missing": 7}, {"r_ext": float("nan")}]
    )
    assert set(summary) == {"r_ext"}
    assert summary["r_ext"]["mean"] == pytest.approx(0.45)
    assert summary["r_ext"]["n"] == 2
    assert 0.4 <= summary["r_ext"]["low"] <= summary["r_ext"]["high"] <= 0.5


def test_a_problem_separates_measured_missing_and_absent():
    group = symmetry("P21")
    hkl = group.unique_reflections(MONOCLINIC, 1.0, absent=True)
    data = Reflections(hkl, np.arange(1.0, len(hkl) + 1), np.ones(len(hkl)))
    problem = make_problem(data, MONOCLINIC, group, d_min=0.8, cut=1.5)
    together = np.concatenate([problem.measured.hkl, problem.missing])
    assert len(np.unique(together, axis=0)) == len(together)
    expected = group.unique_reflections(MONOCLINIC, 0.8)
    assert {tuple(h) for h in together.tolist()} == {tuple(h) for h in expected.tolist()}
    assert (d_spacing(MONOCLINIC, problem.measured.hkl) >= 1.5).all()
    assert 1.5 <= problem.d_limit < 1.6


def test_problems_that_cannot_be_stated():
    group = symmetry("P21")
    hkl = group.unique_reflections(MONOCLINIC, 1.5)
    ones = np.ones(len(hkl))
    with pytest.raises(UserError, match="only 0 unique reflections at d ≥ 12 Å"):
        make_problem(Reflections(hkl, ones, ones), MONOCLINIC, group, cut=12)
    with pytest.raises(UserError, match="no reflection has a positive intensity"):
        make_problem(Reflections(hkl, -ones, ones), MONOCLINIC, group)
