"""The verdict on attempts whose evidence is plain."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from xrdml.phasing.verdict import MAX_R, MAX_R_ALONE, Evidence, corrected, is_solved

GOOD = Evidence(
    agreement=0.9,
    has_symmetry=True,
    r1=0.1,
    r1_free=0.15,
    n_reflections=300,
    n_free=15,
    n_atoms=15,
    d_limit=1.5,
)


def test_good_evidence_is_a_solution_and_each_kind_of_bad_is_none():
    assert is_solved(GOOD)
    assert not is_solved(replace(GOOD, agreement=0.3))
    assert not is_solved(replace(GOOD, r1=0.4))
    assert not is_solved(replace(GOOD, r1_free=0.6))
    assert not is_solved(replace(GOOD, r1=math.nan, r1_free=math.nan))


def test_atoms_that_fit_as_many_reflections_as_they_have_parameters_prove_nothing():
    assert is_solved(GOOD)
    assert not is_solved(replace(GOOD, n_reflections=75))
    assert not is_solved(replace(GOOD, n_reflections=61))


def test_without_agreement_to_look_at_r_alone_judges_and_more_strictly():
    assert is_solved(replace(GOOD, agreement=0.0, has_symmetry=False))
    doubtful = replace(GOOD, r1=0.25, r1_free=0.21)
    assert MAX_R_ALONE < corrected(doubtful.r, doubtful.n_reflections, doubtful.n_atoms) < MAX_R
    assert is_solved(doubtful)
    assert not is_solved(replace(doubtful, has_symmetry=False))


def test_r_is_corrected_for_the_parameters():
    assert corrected(0.1, 404, 25) == pytest.approx(0.1 * math.sqrt(404 / 303))
    assert corrected(0.1, 100, 25) == math.inf


def test_better_attempts_have_lower_merit():
    assert GOOD.merit < replace(GOOD, agreement=0.5).merit < replace(GOOD, agreement=0.5, r1=0.3).merit
    assert replace(GOOD, r1_free=math.nan).merit == math.inf


def test_few_reflections_left_out_are_trusted_less():
    assert GOOD.r < replace(GOOD, n_free=5).r < replace(GOOD, n_free=0).r
