"""Reflections by shell in report.json, counted in another way."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from crystals import MONOCLINIC
from xrdml.crystal.problem import make_problem
from xrdml.crystal.reflections import Reflections
from xrdml.crystal.symmetry import symmetry
from xrdml.infer.crystal_report import data_shells


def test_counts_and_means():
    group = symmetry("P 1 21 1")
    hkl = group.unique_reflections(MONOCLINIC, 1.2)[::2]
    sigma = 1.0 + np.arange(len(hkl)) % 5
    problem = make_problem(Reflections(hkl, 100 / sigma, sigma), MONOCLINIC, group, d_min=0.9)
    shells = data_shells(problem)
    cell = gemmi.UnitCell(*MONOCLINIC)
    assert shells[0]["d_max"] is None
    assert shells[-1]["d_min"] == pytest.approx(0.9)
    for shell in shells:
        inside = [i for i, h in enumerate(problem.measured.hkl.tolist()) if within(cell, h, shell)]
        assert shell["measured"] == len(inside)
        assert shell["missing"] == sum(within(cell, h, shell) for h in problem.missing.tolist())
        ratio = (problem.measured.intensity / problem.measured.sigma)[inside]
        assert shell["i_over_sigma"] == (pytest.approx(ratio.mean()) if inside else None)
    assert sum(s["measured"] for s in shells) == len(problem.measured.hkl)
    assert sum(s["missing"] for s in shells) == len(problem.missing)


def within(cell: gemmi.UnitCell, hkl: list[int], shell: dict) -> bool:
    d = cell.calculate_d(hkl)
    return shell["d_min"] * (1 - 1e-9) <= d < (shell["d_max"] or np.inf) * (1 - 1e-9)
