"""Models that know only the fall-off with resolution: what every network must beat.

Both predict a mean intensity Σ(s) for every missing reflection and turn it into the median |F| of a
Wilson distribution, which is the best guess of |F| in the sense of R that Σ(s) allows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.cell import inverse_d_squared
from xrdml.crystal.problem import FillProblem, Prediction
from xrdml.crystal.statistics import shell_edges, shell_index, shell_mean
from xrdml.crystal.wilson import MEDIAN_E, estimated_contents, fit_wilson, sum_f_squared

Array = NDArray[np.float64]

# Root-mean-square distance of |E| from MEDIAN_E.
SPREAD_E = {False: 0.46674, True: 0.61525}

N_INNER, N_OUTER = 7, 8


def _wilson_prediction(problem: FillProblem, mean_intensity: Array, log_error: Array) -> Prediction:
    """Median |F| and its spread for ⟨I⟩/ε (p,) known to within `log_error` (p,) in its logarithm."""
    centric = problem.symmetry.is_centric(problem.missing)
    root = np.sqrt(problem.symmetry.epsilon(problem.missing) * mean_intensity)
    f = root * np.where(centric, MEDIAN_E[True], MEDIAN_E[False])
    spread = root * np.where(centric, SPREAD_E[True], SPREAD_E[False])
    return Prediction(f, np.hypot(spread, f * log_error / 2))


class RadialBaseline:
    """Wilson line of the measured reflections, extrapolated."""

    name = "radial"

    def predict(self, problems: Sequence[FillProblem]) -> list[Prediction]:
        return [self._one(p) for p in problems]

    def _one(self, problem: FillProblem) -> Prediction:
        m = problem.measured
        fit = fit_wilson(m.hkl, m.intensity, problem.cell, problem.symmetry, problem.contents)
        inverse_d2 = inverse_d_squared(problem.cell, problem.missing)
        beyond = np.maximum(inverse_d2 - problem.d_limit**-2, 0)
        return _wilson_prediction(problem, fit.mean_intensity(inverse_d2), fit.b_sigma * beyond / 2)


class RidgeBaseline:
    """Outer shell means by ridge regression from the measured shell means.

    The regression works on ln(⟨I⟩/ε Σf²) of 7 shells inside d_limit and 8 between d_limit and
    0.8 Å, all of equal volume, less the mean over the inner shells, which takes the scale out. The
    coefficients (``ridge.json``, made by ``scripts/fit_ridge.py``) belong to a d_limit; the nearest
    one is used.
    """

    name = "ridge"

    def predict(self, problems: Sequence[FillProblem]) -> list[Prediction]:
        return [self._one(p) for p in problems]

    def _one(self, problem: FillProblem) -> Prediction:
        inverse_d2 = inverse_d_squared(problem.cell, problem.missing)
        knots, inner = inner_shells(problem)
        level = inner.mean()
        table = min(ridge_tables(), key=lambda t: abs(t.d_limit**-3 - problem.d_limit**-3))
        values, error = inner, np.zeros_like(inner)
        if problem.d_limit > 0.85:
            values = np.concatenate([inner, level + table.predict(inner - level)])
            error = np.concatenate([error, table.rms_error])
            knots = np.concatenate([knots, outer_knots(problem.d_limit)])
        log_ratio = _interpolate(inverse_d2, knots, values)
        contents = problem.contents or estimated_contents(problem.cell)
        mean = np.exp(log_ratio) * sum_f_squared(contents, inverse_d2)
        return _wilson_prediction(problem, mean, np.interp(inverse_d2, knots, error))


@dataclass(frozen=True)
class RidgeTable:
    """Coefficients for one d_limit: outer (8,) = intercept (8,) + coefficients (8, 7) · inner (7,)."""

    d_limit: float
    intercept: Array
    coefficients: Array
    rms_error: Array

    def predict(self, inner: Array) -> Array:
        return self.intercept + self.coefficients @ inner


@lru_cache(maxsize=1)
def ridge_tables() -> list[RidgeTable]:
    """The shipped coefficients."""
    content = json.loads(files("xrdml.infer").joinpath("ridge.json").read_text(encoding="utf-8"))
    return [
        RidgeTable(
            t["d_limit"], np.array(t["intercept"]), np.array(t["coefficients"]), np.array(t["rms_error"])
        )
        for t in content["tables"]
    ]


def inner_shells(problem: FillProblem) -> tuple[Array, Array]:
    """Mean 1/d² and ln(⟨I⟩/ε Σf²) of the 7 measured shells, (7,) each.

    A shell without a positive mean takes its value from its neighbours.
    """
    m = problem.measured
    inverse_d2 = inverse_d_squared(problem.cell, m.hkl)
    contents = problem.contents or estimated_contents(problem.cell)
    ratio = m.intensity / problem.symmetry.epsilon(m.hkl) / sum_f_squared(contents, inverse_d2)
    edges = shell_edges(problem.d_limit, N_INNER)
    mean = shell_mean(ratio, shell_index(inverse_d2, edges), N_INNER)
    centre = (edges[1:] + edges[:-1]) / 2
    good = np.nan_to_num(mean) > 0
    return centre, np.interp(centre, centre[good], np.log(mean[good]))


def outer_knots(d_limit: float) -> Array:
    """Mid 1/d² of the 8 shells between d_limit and 0.8 Å, (8,)."""
    edges = shell_edges(0.8, N_OUTER, d_max=d_limit)
    return (edges[1:] + edges[:-1]) / 2


def _interpolate(x: Array, knots: Array, values: Array) -> Array:
    """Linear between knots; beyond the last one along the mean slope of the last three."""
    out = np.interp(x, knots, values)
    far = x > knots[-1]
    slope = min((values[-1] - values[-3]) / (knots[-1] - knots[-3]), 0.0)
    out[far] = values[-1] + slope * (x[far] - knots[-1])
    return out
