"""Baselines on crystals whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from crystals import MONOCLINIC, direct_sum, random_structure
from xrdml.crystal.cell import d_spacing, inverse_d_squared
from xrdml.crystal.outer_shells import ridge_tables
from xrdml.crystal.problem import FillProblem, make_problem
from xrdml.crystal.reflections import Reflections
from xrdml.crystal.symmetry import symmetry
from xrdml.crystal.wilson import MEDIAN_E
from xrdml.evaluate.metrics import score
from xrdml.infer.baselines import SPREAD_E, RadialBaseline, RidgeBaseline

BASELINES = [RadialBaseline(), RidgeBaseline()]


def problem_of(seed: int, scale: float = 1.0, cut: float = 1.5) -> tuple[FillProblem, np.ndarray]:
    structure = random_structure(n=20, seed=seed)
    hkl = structure.symmetry.unique_reflections(MONOCLINIC, 0.8)
    intensity = scale * np.abs(direct_sum(structure, hkl)) ** 2
    data = Reflections(hkl, intensity, np.ones(len(hkl)))
    problem = make_problem(data, MONOCLINIC, structure.symmetry, cut=cut, contents=structure.cell_contents())
    return problem, np.sqrt(intensity[d_spacing(MONOCLINIC, hkl) < cut])


def test_constants_of_the_wilson_distributions():
    """Median of |E| and the spread about it, from 10⁶ draws."""
    rng = np.random.default_rng(0)
    acentric = np.abs(rng.normal(size=10**6) + 1j * rng.normal(size=10**6)) / np.sqrt(2)
    centric = np.abs(rng.normal(size=10**6))
    for kind, e in ((False, acentric), (True, centric)):
        assert MEDIAN_E[kind] == pytest.approx(np.median(e), abs=2e-3)
        assert SPREAD_E[kind] == pytest.approx(np.sqrt(((e - MEDIAN_E[kind]) ** 2).mean()), abs=2e-3)


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda b: b.name)
def test_a_baseline_is_close_to_the_true_shell_medians(baseline):
    """Random atoms obey Wilson, so a radial curve must come within a tenth of the best radial curve."""
    scores = []
    for seed in range(5):
        problem, f_true = problem_of(seed)
        scores.append(score(problem, f_true, baseline.predict([problem])[0].f))
    assert np.mean([s["r_ext"] / s["r_ext_radial"] for s in scores]) < 1.1
    assert abs(np.mean([s["cc_e"] for s in scores])) < 0.05


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda b: b.name)
def test_scale_of_the_file_carries_over(baseline):
    one, _ = problem_of(0)
    other, _ = problem_of(0, scale=1e4)
    np.testing.assert_allclose(100 * baseline.predict([one])[0].f, baseline.predict([other])[0].f, rtol=1e-6)


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda b: b.name)
def test_sigma_is_calibrated(baseline):
    """(F − F_pred)/σ has a root mean square near 1."""
    z = []
    for seed in range(5):
        problem, f_true = problem_of(seed)
        prediction = baseline.predict([problem])[0]
        z.append((f_true - prediction.f) / prediction.sigma_f)
    assert 0.7 < np.sqrt(np.mean(np.concatenate(z) ** 2)) < 1.4


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda b: b.name)
@pytest.mark.parametrize("cut", [1.0, 1.3, 2.0, 2.6])
def test_other_limits_and_gaps_inside(baseline, cut):
    """Every missing reflection gets a positive finite |F|, also a gap inside the measured sphere."""
    problem, _ = problem_of(1, cut=cut)
    keep = np.arange(len(problem.measured)) % 10 > 0
    m = problem.measured
    gap = make_problem(
        Reflections(m.hkl[keep], m.intensity[keep], m.sigma[keep]), MONOCLINIC, problem.symmetry
    )
    prediction = baseline.predict([gap])[0]
    assert len(prediction.f) == len(gap.missing) > len(problem.missing)
    assert (prediction.f > 0).all()
    assert (prediction.sigma_f > 0).all()
    inner = d_spacing(MONOCLINIC, gap.missing) >= cut
    rms_measured = np.sqrt(np.median(problem.measured.intensity))
    assert 0.2 * rms_measured < np.median(prediction.f[inner]) < 5 * rms_measured


def test_ridge_tables_fall_off_like_crystals_do():
    """The shipped coefficients: flat inner shells are continued, not turned up."""
    for table in ridge_tables():
        assert table.intercept.shape == (8,)
        assert (table.rms_error > 0).all()
        assert (table.rms_error < 1).all()
        flat = table.predict(np.zeros(7))
        steep = table.predict(np.linspace(1, -1, 7))
        assert steep[-1] < flat[-1] + 0.2


def test_all_space_groups_have_epsilon():
    """ε multiplies ⟨I⟩: reflections with ε = 2 are predicted √2 times stronger at the same s."""
    group = symmetry("P 1 2 1")
    hkl = group.unique_reflections(MONOCLINIC, 1.5)
    problem = FillProblem(
        MONOCLINIC, group, Reflections(hkl, np.ones(len(hkl)), np.ones(len(hkl))),
        group.unique_reflections(MONOCLINIC, 0.8, 1.5), 1.5, 0.8,
    )  # fmt: skip
    f = RadialBaseline().predict([problem])[0].f
    epsilon, centric = group.epsilon(problem.missing), group.is_centric(problem.missing)
    s = inverse_d_squared(MONOCLINIC, problem.missing)
    special = np.flatnonzero((epsilon == 2) & ~centric)
    for i in special:
        near = np.flatnonzero((epsilon == 1) & ~centric & (np.abs(s - s[i]) < 0.02))
        assert f[i] / f[near].mean() == pytest.approx(np.sqrt(2), rel=0.03)
    assert len(special) > 3
