"""How good a prediction is, for one crystal and over many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.cell import inverse_d_squared
from xrdml.crystal.problem import FillProblem
from xrdml.crystal.statistics import (
    bootstrap_interval,
    normalised,
    pooled_correlation,
    r_factor,
    shell_edges,
    shell_index,
)

Array = NDArray[np.float64]

N_SHELLS = 8

DESCRIPTIONS = {
    "r_all": "R = Σ||Fo|−|Fc||/Σ|Fo| over all unique reflections, the measured ones copied in",
    "r_ext": "the same over the missing reflections alone",
    "cc_e": "correlation of |E| on the missing reflections, within centric and acentric; 0 for radial curves",
    "r_ext_radial": "R_ext of the true median |F| of 8 shells: a curve of resolution that knows the answer",
    "skill": "1 − r_ext / r_ext_radial; above 0 only where something beyond a radial curve is known",
    "mse": "mean squared error of the missing |F|, divided by the square of the largest measured one",
}


def score(problem: FillProblem, f_true: Array, f_pred: Array) -> dict[str, Any]:
    """Compare a prediction with the truth on the missing reflections of one crystal.

    Parameters
    ----------
    problem
        Its measured |F| count as exact in `r_all`, as in the thesis.
    f_true, f_pred
        |F| of `problem.missing`, (p,), on the scale of the measured ones. NaN in `f_true` where
        the truth is unknown; those reflections are left out.

    Returns
    -------
    The keys of `DESCRIPTIONS`; r_ext and cc_e also with ``_centric`` and ``_acentric``; counts
    ``n_measured``, ``n_missing``, ``n_centric``; and ``shells``, a list of {d_max, d_min, n, r,
    cc_e} over the missing reflections.
    """
    known = np.isfinite(f_true)
    hkl, f_true, f_pred = problem.missing[known], f_true[known], f_pred[known]
    f_obs = problem.f_obs
    inverse_d2 = inverse_d_squared(problem.cell, hkl)
    centric = problem.symmetry.is_centric(hkl)
    out: dict[str, Any] = {
        "n_measured": len(f_obs),
        "n_missing": len(hkl),
        "n_centric": int(centric.sum()),
    }
    if len(hkl) == 0:
        return out
    edges = shell_edges(float(inverse_d2.max() ** -0.5), N_SHELLS, d_max=float(inverse_d2.min() ** -0.5))
    shell = shell_index(inverse_d2, edges)
    epsilon = problem.symmetry.epsilon(hkl).astype(np.float64)
    e_true = normalised(f_true, epsilon, inverse_d2, edges)
    e_pred = normalised(f_pred, epsilon, inverse_d2, edges)
    median = np.zeros_like(f_true)
    for i in range(N_SHELLS):
        if (shell == i).any():
            median[shell == i] = np.median(f_true[shell == i])
    out["r_all"] = float(np.abs(f_true - f_pred).sum() / (f_true.sum() + f_obs.sum()))
    for suffix, chosen in (("", np.ones(len(hkl), bool)), ("_centric", centric), ("_acentric", ~centric)):
        out["r_ext" + suffix] = r_factor(f_true[chosen], f_pred[chosen])
        out["cc_e" + suffix] = pooled_correlation(e_true[chosen], e_pred[chosen], centric[chosen])
    out["r_ext_radial"] = r_factor(f_true, median)
    out["skill"] = 1 - out["r_ext"] / out["r_ext_radial"] if out["r_ext_radial"] > 0 else float("nan")
    out["mse"] = float(((f_true - f_pred) ** 2).mean() / f_obs.max() ** 2)
    out["shells"] = [
        {
            "d_max": float(edges[i] ** -0.5) if edges[i] > 0 else float("inf"),
            "d_min": float(edges[i + 1] ** -0.5),
            "n": int((shell == i).sum()),
            "r": r_factor(f_true[shell == i], f_pred[shell == i]),
            "cc_e": pooled_correlation(e_true[shell == i], e_pred[shell == i], centric[shell == i]),
        }
        for i in range(N_SHELLS)
        if (shell == i).any()
    ]
    return out


def summarise(scores: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Mean over crystals with its 95 % bootstrap interval: {metric: {mean, low, high, n}}."""
    names = [k for k, v in scores[0].items() if isinstance(v, float)] if scores else []
    out = {}
    for name in names:
        values = np.array([s.get(name, np.nan) for s in scores], dtype=np.float64)
        finite = values[np.isfinite(values)]
        low, high = bootstrap_interval(values)
        mean = float(finite.mean()) if len(finite) else float("nan")
        out[name] = {"mean": mean, "low": low, "high": high, "n": len(finite)}
    return out
