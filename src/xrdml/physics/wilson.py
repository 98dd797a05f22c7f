"""Wilson lines of many crystals at once: what |F| to expect at any resolution, and |E| with it.

The batched form of :func:`xrdml.crystal.wilson.fit_wilson`, for crystals of which only the measured
amplitudes are known.
"""

from __future__ import annotations

from functools import cache

import gemmi
import torch
from torch import Tensor

from xrdml.crystal.scattering import it92_table
from xrdml.crystal.wilson import ORGANIC_COMPOSITION, PRIOR_B, PRIOR_B_SPREAD, STRUCTURE_SPREAD

MIN_SHELLS, MAX_SHELLS, PER_SHELL = 2, 20, 30


def expected_amplitude(f: Tensor, measured: Tensor, epsilon: Tensor, s: Tensor) -> Tensor:
    """√(ε Σ(s)), the root-mean-square |F| of reflections like this one, by a line through the measured ones.

    ln(⟨|F|²⟩/ε Σf²) = ln k − 2 B s², with an average organic composition, fitted in shells of equal
    volume with the prior on B of `fit_wilson`. Nothing but measured amplitudes enters, so that
    |E| = |F| / expected can be turned back into |F|.

    Parameters
    ----------
    f
        |F| on any scale, (B, …).
    measured
        Which of them count, (B, …) bool, at least one a crystal with |F| > 0.
    epsilon, s
        ε, and s = 1/2d in Å⁻¹, (B, …).

    Returns
    -------
    Tensor
        On the scale of `f`, of its shape and type, at every position.
    """
    shape, n_crystals = f.shape, len(f)
    value, use = f.reshape(n_crystals, -1).double(), measured.reshape(n_crystals, -1)
    s2 = s.reshape(n_crystals, -1).double() ** 2
    power = _mean_square_f(s2)
    ratio = value**2 / epsilon.reshape(n_crystals, -1) / power

    count = use.sum(1)
    n_shells = (count // PER_SHELL).clamp(MIN_SHELLS, MAX_SHELLS)
    volume = (s2 / (s2 * use).amax(1, keepdim=True).clamp_min(1e-12)) ** 1.5
    shell = (volume * n_shells[:, None]).long().clamp_max(n_shells[:, None] - 1)

    def total(x: Tensor) -> Tensor:
        return torch.zeros_like(x[:, :MAX_SHELLS]).scatter_add(1, shell.clamp_max(MAX_SHELLS - 1), x * use)

    n = total(torch.ones_like(s2))
    sums = total(ratio)
    good = (n > 0) & (sums > 0)
    x = 2 * total(s2) / n.clamp_min(1)
    y = torch.where(good, (sums / n.clamp_min(1)).clamp_min(1e-300).log(), 0)
    weight = good / (STRUCTURE_SPREAD**2 + 1 / n.clamp_min(1))
    # Normal equations of ln k and B, solved by hand: two unknowns.
    w, wx, wy = weight.sum(1), (weight * x).sum(1), (weight * y).sum(1)
    wxx = (weight * x**2).sum(1) + PRIOR_B_SPREAD**-2
    wxy = (weight * x * y).sum(1) - PRIOR_B / PRIOR_B_SPREAD**2
    determinant = w * wxx - wx**2
    log_k = (wxx * wy - wx * wxy) / determinant
    b = (wx * wy - w * wxy) / determinant
    mean = power * torch.exp(log_k[:, None] - 2 * b[:, None] * s2)
    return (epsilon.reshape(n_crystals, -1) * mean).sqrt().clamp_min(1e-6).reshape(shape).to(f.dtype)


def _mean_square_f(s2: Tensor) -> Tensor:
    """Σ f² of an average non-H atom with its hydrogens, electrons²."""
    total = torch.zeros_like(s2)
    for share, coefficients in _composition():
        a, b, c = coefficients[:4], coefficients[4:8], coefficients[8]
        f = sum(a_i * torch.exp(-b_i * s2) for a_i, b_i in zip(a, b, strict=True)) + c
        total += share * f**2
    return total


@cache
def _composition() -> list[tuple[float, list[float]]]:
    table = it92_table()
    return [
        (share, table[gemmi.Element(symbol).atomic_number].tolist())
        for symbol, share in ORGANIC_COMPOSITION.items()
    ]
