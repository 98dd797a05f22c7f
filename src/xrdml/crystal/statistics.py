"""Resolution shells, residuals and correlations of amplitudes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def shell_edges(d_min: float, n: int, d_max: float = np.inf) -> Array:
    """Edges of n resolution shells of equal reciprocal volume, (n + 1,), as 1/d² in Å⁻², rising.

    Equal volume means about equal numbers of reflections.
    """
    low = 0.0 if np.isinf(d_max) else d_max**-3
    return np.linspace(low, d_min**-3, n + 1) ** (2 / 3)


def shell_index(inverse_d_squared: Array, edges: Array) -> NDArray[np.intp]:
    """Shell 0…n − 1 of each reflection; those beyond the first or last edge go to the nearest shell."""
    return np.clip(np.searchsorted(edges, inverse_d_squared, side="right") - 1, 0, len(edges) - 2)


def shell_mean(values: Array, shell: NDArray[np.intp], n: int) -> Array:
    """Mean of `values` in each of n shells, (n,); NaN where a shell is empty."""
    count = np.bincount(shell, minlength=n)
    with np.errstate(invalid="ignore"):
        return np.bincount(shell, values, minlength=n) / count


def r_factor(f_obs: Array, f_calc: Array) -> float:
    """R = Σ| |Fo| − |Fc| | / Σ|Fo|; NaN where there is nothing to compare."""
    total = np.abs(f_obs).sum()
    return float(np.abs(np.abs(f_obs) - np.abs(f_calc)).sum() / total) if total > 0 else float("nan")


def normalised(f: Array, epsilon: Array, inverse_d_squared: Array, edges: Array) -> Array:
    """|E| = |F| / √(ε Σ(s)), with Σ(s) from shell means of |F|²/ε, interpolated in 1/d².

    The interpolation (of ln Σ, between the mean 1/d² of the shells) takes the fall-off within a
    shell out as well, so a curve of resolution alone becomes a constant.
    """
    n = len(edges) - 1
    shell = shell_index(inverse_d_squared, edges)
    power = shell_mean(f**2 / epsilon, shell, n)
    centre = shell_mean(inverse_d_squared, shell, n)
    good = np.isfinite(power) & (power > 0)
    if not good.any():
        return np.zeros_like(f)
    x, y = centre[good], np.log(power[good])
    # Straight lines through the outermost two shells on either side, not constants.
    curve = np.interp(inverse_d_squared, x, y)
    if len(x) > 1:
        below, above = inverse_d_squared < x[0], inverse_d_squared > x[-1]
        curve[below] = y[0] + (inverse_d_squared[below] - x[0]) * (y[1] - y[0]) / (x[1] - x[0])
        curve[above] = y[-1] + (inverse_d_squared[above] - x[-1]) * (y[-1] - y[-2]) / (x[-1] - x[-2])
    e = f / np.sqrt(epsilon * np.exp(curve))
    # Chords of a bent curve lie above it: give every shell back its ⟨|E|²⟩ = 1.
    return e / np.sqrt(shell_mean(e**2, shell, n).clip(min=1e-12))[shell]


def pooled_correlation(x: Array, y: Array, group: NDArray[np.integer] | NDArray[np.bool_]) -> float:
    """Pearson correlation of x and y, each centred on the mean of its own group.

    Centric and acentric |E| have different means; pooling without centring would reward a
    prediction that knows only which is which. NaN where either is constant.
    """
    x, y = x.astype(np.float64).copy(), y.astype(np.float64).copy()
    for g in np.unique(group):
        inside = group == g
        x[inside] -= x[inside].mean()
        y[inside] -= y[inside].mean()
    norm = np.sqrt((x**2).sum() * (y**2).sum())
    return float((x * y).sum() / norm) if norm > 1e-12 * max(len(x), 1) else float("nan")


def bootstrap_interval(values: Array, n_resamples: int = 2000, level: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over crystals; a fixed seed, so a report repeats.

    NaN values are left out. (NaN, NaN) for fewer than two values.
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return (float("nan"), float("nan"))
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (n_resamples, len(values)))].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return (float(low), float(high))
