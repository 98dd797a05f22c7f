"""Batches of starts, and when they end."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crystals import direct_sum, random_structure
from xrdml.data.density import to_density, to_structure_factors
from xrdml.models.density_prior import DensityPrior
from xrdml.phasing.iterate import Schedule, random_start
from xrdml.phasing.origin import find_origin, symmetrised
from xrdml.phasing.search import (
    AVERAGE_EVERY,
    AVERAGE_FROM,
    LOOK_EVERY,
    Averaging,
    Candidate,
    Found,
    search,
)
from xrdml.phasing.sphere import MeasuredSphere, measured_sphere

CELL = (5.3, 6.1, 7.4, 90.0, 104.0, 90.0)
STRUCTURE = random_structure("P 1 21 1", CELL, n=5)


def sphere() -> MeasuredSphere:
    hkl = STRUCTURE.symmetry.unique_reflections(CELL, 1.4)
    return measured_sphere(hkl, np.abs(direct_sum(STRUCTURE, hkl)), CELL, STRUCTURE.symmetry, 1.4, 0.1)


def run(look=lambda c: False, seed: int = 5, iterations: int = 12, first: int = 0) -> Found:
    torch.manual_seed(0)
    network = DensityPrior(1, 8).eval()
    return search(network, sphere(), 2, Schedule(iterations=iterations), seed, first, look)


def test_a_search_repeats_with_its_seed_and_differs_without():
    one, same, other = run(), run(), run(seed=6)
    torch.testing.assert_close(one.best.f, same.best.f, atol=1e-5, rtol=1e-5)
    assert (one.best.f - other.best.f).abs().max() > 1e-3
    assert len(one.history) == 12


def test_every_start_of_a_search_has_phases_of_its_own():
    assert (run().best.f - run(first=2).best.f).abs().max() > 1e-3


def test_candidates_are_shown_now_and_then_the_best_first():
    seen: list[Candidate] = []
    found = run(look=lambda c: bool(seen.append(c)))
    assert [c.iteration for c in seen] == [LOOK_EVERY - 1] * 2 + [11] * 2
    assert seen[0].score >= seen[1].score
    assert {c.start for c in seen[:2]} == {0, 1}
    assert found.best.score == max(c.score for c in seen)


def test_it_ends_when_told_that_it_is_enough():
    found = run(look=lambda c: True, iterations=50)
    assert len(found.history) == LOOK_EVERY


def test_what_is_drawn_is_a_real_map_of_reflections_to_the_limit_of_the_prior():
    s, f = sphere(), run().best.f
    assert (f[~s.drawn] == 0).all()
    torch.testing.assert_close(to_structure_factors(to_density(f[None]))[0], f, atol=1e-3, rtol=1e-3)


def test_the_score_rises_with_agreement_and_falls_with_r():
    def score(agreement: float, r: float, symmetric: bool = True) -> float:
        return Candidate(torch.zeros(1), r, r, agreement, symmetric, 0, 0).score

    assert score(0.9, 0.1) > score(0.9, 0.2) > score(0.5, 0.2) > 0 > score(0.9, 0.4)
    assert score(0.0, 0.1, symmetric=False) == pytest.approx(score(0.7, 0.1))


def test_every_second_start_is_averaged_now_and_then_and_the_others_always():
    s = sphere()
    x = random_start(s, 4, 0)
    averaging = Averaging(lambda f, level: f, STRUCTURE.symmetry)
    for i in range(AVERAGE_FROM + AVERAGE_EVERY + 1):
        p = averaging(x, 0.5)
        due = i in (AVERAGE_FROM, AVERAGE_FROM + AVERAGE_EVERY)
        assert torch.equal(p[::2], x[::2]) != due
        for f in p[::2] if due else []:
            assert find_origin(f, STRUCTURE.symmetry)[1] > 0.999
        for f in p[1::2]:
            torch.testing.assert_close(symmetrised(f, STRUCTURE.symmetry), f, atol=1e-4, rtol=1e-4)


def test_starts_with_the_symmetry_imposed_have_the_measured_amplitudes_and_no_agreement():
    s = sphere()
    averaging = Averaging(lambda f, level: f, STRUCTURE.symmetry, first=1)
    x = random_start(s, 3, 0)
    y = averaging.starts(x, s)
    assert [averaging.imposes(k) for k in range(3)] == [True, False, True]
    torch.testing.assert_close(y[1], x[1])
    kept = s.known & (s.amplitude > 1e-3)
    for k in (0, 2):
        torch.testing.assert_close(y[k].abs()[kept], s.amplitude[kept], atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(symmetrised(y[k], STRUCTURE.symmetry), y[k], atol=1e-3, rtol=1e-3)
    seen: list[Candidate] = []
    run(look=lambda c: bool(seen.append(c)), iterations=10)
    assert {c.has_symmetry for c in seen if c.start % 2 == 0} == {True}
    assert {c.has_symmetry for c in seen if c.start % 2 == 1} == {False}
