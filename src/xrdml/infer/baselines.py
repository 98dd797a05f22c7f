"""Models that know only the fall-off with resolution: what every network must beat.

Both predict a mean intensity Σ(s) for every missing reflection and turn it into the median |F| of a
Wilson distribution, which is the best guess of |F| in the sense of R that Σ(s) allows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.cell import inverse_d_squared
from xrdml.crystal.outer_shells import N_INNER, continued, inner_knots, interpolate
from xrdml.crystal.problem import FillProblem, Prediction
from xrdml.crystal.statistics import shell_edges, shell_index, shell_mean
from xrdml.crystal.wilson import MEDIAN_E, estimated_contents, fit_wilson, sum_f_squared

Array = NDArray[np.float64]

# Root-mean-square distance of |E| from MEDIAN_E.
SPREAD_E = {False: 0.46674, True: 0.61525}


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
    coefficients (:mod:`xrdml.crystal.outer_shells`) belong to a d_limit; the nearest one is used.
    """

    name = "ridge"

    def predict(self, problems: Sequence[FillProblem]) -> list[Prediction]:
        return [self._one(p) for p in problems]

    def _one(self, problem: FillProblem) -> Prediction:
        inverse_d2 = inverse_d_squared(problem.cell, problem.missing)
        knots, values, error = continued(problem.d_limit, inner_shells(problem))
        contents = problem.contents or estimated_contents(problem.cell)
        mean = np.exp(interpolate(inverse_d2, knots, values)) * sum_f_squared(contents, inverse_d2)
        return _wilson_prediction(problem, mean, np.interp(inverse_d2, knots, error))


def inner_shells(problem: FillProblem) -> Array:
    """ln(⟨I⟩/ε Σf²) of the 7 measured shells, (7,).

    A shell without a positive mean takes its value from its neighbours.
    """
    m = problem.measured
    inverse_d2 = inverse_d_squared(problem.cell, m.hkl)
    contents = problem.contents or estimated_contents(problem.cell)
    ratio = m.intensity / problem.symmetry.epsilon(m.hkl) / sum_f_squared(contents, inverse_d2)
    mean = shell_mean(ratio, shell_index(inverse_d2, shell_edges(problem.d_limit, N_INNER)), N_INNER)
    centre, good = inner_knots(problem.d_limit), np.nan_to_num(mean) > 0
    return np.interp(centre, centre[good], np.log(mean[good]))
