"""The joined list: everything once, measured untouched, absences zero."""

from __future__ import annotations

import numpy as np
import pytest

from crystals import MONOCLINIC
from xrdml.crystal.cell import d_spacing
from xrdml.crystal.problem import Prediction, make_problem
from xrdml.crystal.reflections import Reflections
from xrdml.crystal.symmetry import symmetry
from xrdml.postprocess.restore import Origin, restore


@pytest.mark.parametrize("name", ["P 1 21 1", "C 1 2/c 1", "P 1 21/n 1"])
def test_every_unique_reflection_once(name):
    group = symmetry(name)
    rng = np.random.default_rng(0)
    hkl = group.unique_reflections(MONOCLINIC, 0.75, absent=True)
    hkl = hkl[(d_spacing(MONOCLINIC, hkl) >= 1.4) | (rng.random(len(hkl)) < 0.01)]
    data = Reflections(hkl, rng.normal(20, 30, len(hkl)), rng.uniform(0.2, 3, len(hkl)))
    problem = make_problem(data, MONOCLINIC, group, d_min=0.8)
    n = len(problem.missing)
    filled = restore(problem, Prediction(np.full(n, 3.0), np.full(n, 0.5)))
    r = filled.reflections

    np.testing.assert_array_equal(r.hkl, np.unique(r.hkl, axis=0))
    inside = d_spacing(MONOCLINIC, r.hkl) >= 0.8
    expected = group.unique_reflections(MONOCLINIC, 0.8, absent=True)
    np.testing.assert_array_equal(r.hkl[inside], np.unique(expected, axis=0))
    assert (filled.origin[~inside] == Origin.MEASURED).all()

    given = {tuple(h): (i, s) for h, i, s in zip(hkl.tolist(), data.intensity, data.sigma, strict=True)}
    for h, i, s, origin in zip(r.hkl.tolist(), r.intensity, r.sigma, filled.origin, strict=True):
        assert s > 0
        if origin == Origin.MEASURED:
            assert (i, s) == given[tuple(h)]
        elif origin == Origin.ABSENT:
            assert i == 0
        else:
            # σ² of the square of N(3, 0.5): 4·9·0.25 + 2·0.0625
            assert (i, s) == pytest.approx((9, np.sqrt(9.125)))
    np.testing.assert_array_equal(filled.origin == Origin.ABSENT, group.is_absent(r.hkl))
    assert sum(filled.count(origin) for origin in Origin) == len(r.hkl)
