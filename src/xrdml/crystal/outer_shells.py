"""What mean intensity to expect beyond the measured ones: a ridge regression over published crystals."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.statistics import shell_edges

Array = NDArray[np.float64]

N_INNER, N_OUTER = 7, 8


@dataclass(frozen=True)
class RidgeTable:
    """Coefficients for one d_limit: outer (8,) = intercept (8,) + coefficients (8, 7) · inner (7,).

    Both are ln(⟨I⟩/ε Σf²) of shells of equal volume, inside d_limit and from there to 0.8 Å, less the
    mean of the inner ones. Made by ``scripts/fit_ridge.py``.
    """

    d_limit: float
    intercept: Array
    coefficients: Array
    rms_error: Array

    def predict(self, inner: Array) -> Array:
        return self.intercept + self.coefficients @ inner


@lru_cache(maxsize=1)
def ridge_tables() -> list[RidgeTable]:
    """The shipped coefficients."""
    content = json.loads(files("xrdml.crystal").joinpath("ridge.json").read_text(encoding="utf-8"))
    return [
        RidgeTable(
            t["d_limit"], np.array(t["intercept"]), np.array(t["coefficients"]), np.array(t["rms_error"])
        )
        for t in content["tables"]
    ]


def nearest_table(d_limit: float) -> RidgeTable:
    """The table whose measured sphere is nearest in volume."""
    return min(ridge_tables(), key=lambda t: abs(t.d_limit**-3 - d_limit**-3))


def inner_knots(d_limit: float) -> Array:
    """Mid 1/d² of the 7 shells inside d_limit, (7,)."""
    edges = shell_edges(d_limit, N_INNER)
    return (edges[1:] + edges[:-1]) / 2


def outer_knots(d_limit: float) -> Array:
    """Mid 1/d² of the 8 shells between d_limit and 0.8 Å, (8,)."""
    edges = shell_edges(0.8, N_OUTER, d_max=d_limit)
    return (edges[1:] + edges[:-1]) / 2


def interpolate(x: Array, knots: Array, values: Array) -> Array:
    """Linear between knots; beyond the last one along the mean slope of the last three."""
    out = np.interp(x, knots, values)
    far = x > knots[-1]
    slope = min((values[-1] - values[-3]) / (knots[-1] - knots[-3]), 0.0)
    out[far] = values[-1] + slope * (x[far] - knots[-1])
    return out


def continued(d_limit: float, inner: Array, finest: float = 0.85) -> tuple[Array, Array, Array]:
    """The curve ln(⟨I⟩/ε Σf²) of the measured shells, carried on to 0.8 Å.

    Parameters
    ----------
    d_limit
        Resolution of the data in Å; where it is `finest` or better, nothing is regressed.
    inner
        The measured shells at :func:`inner_knots`, (7,).

    Returns
    -------
    knots, values, error
        Mid 1/d² of the shells in Å⁻², the curve there (see :func:`interpolate`), and its standard
        deviation, (7 or 15,) each.
    """
    level, table = inner.mean(), nearest_table(d_limit)
    knots, values, error = inner_knots(d_limit), inner, np.zeros_like(inner)
    if d_limit > finest:
        values = np.concatenate([inner, level + table.predict(inner - level)])
        error = np.concatenate([error, table.rms_error])
        knots = np.concatenate([knots, outer_knots(d_limit)])
    return knots, values, error
