"""The ridge regression of outer shells for batches: a curve of resolution that bends as crystals do.

The batched form of :mod:`xrdml.crystal.outer_shells`, with an average organic composition.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from xrdml.crystal.outer_shells import N_INNER, continued
from xrdml.physics.wilson import _mean_square_f


def ridge_amplitude(f: Tensor, measured: Tensor, epsilon: Tensor, s: Tensor) -> Tensor:
    """√(ε Σ(s)) by the shells of the measured reflections and, beyond them, by ridge regression.

    Arguments and result as in :func:`xrdml.physics.wilson.expected_amplitude`; inside the data the
    curve follows their shells, so that ⟨|E|²⟩ is 1 in each.
    """
    shape, n_crystals = f.shape, len(f)
    value, use = f.reshape(n_crystals, -1).double(), measured.reshape(n_crystals, -1)
    s2 = s.reshape(n_crystals, -1).double() ** 2
    scattering = epsilon.reshape(n_crystals, -1) * _mean_square_f(s2)
    out = torch.empty_like(value)
    for i in range(n_crystals):
        inverse_d2 = 4 * s2[i]
        limit = inverse_d2[use[i]].max()
        shell = ((inverse_d2 / limit) ** 1.5 * N_INNER).long().clamp_max(N_INNER - 1)[use[i]]
        ratio = (value[i] ** 2 / scattering[i])[use[i]]
        total = torch.zeros(N_INNER, dtype=ratio.dtype, device=ratio.device).index_add(0, shell, ratio)
        count = torch.bincount(shell, minlength=N_INNER)
        mean = (total / count.clamp_min(1)).cpu().numpy()
        good = mean > 0
        place = np.arange(N_INNER)
        inner = np.interp(place, place[good], np.log(mean[good]))
        knots, values, _ = continued(float(limit) ** -0.5, inner)
        log_ratio = _interpolate(inverse_d2, *(torch.from_numpy(a).to(f.device) for a in (knots, values)))
        out[i] = (scattering[i] * log_ratio.exp()).sqrt()
    return out.clamp_min(1e-6).reshape(shape).to(f.dtype)


def _interpolate(x: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """:func:`xrdml.crystal.outer_shells.interpolate` on any device."""
    right = torch.searchsorted(knots, x).clamp(1, len(knots) - 1)
    share = ((x - knots[right - 1]) / (knots[right] - knots[right - 1])).clamp(0, 1)
    inside = values[right - 1] + share * (values[right] - values[right - 1])
    slope = ((values[-1] - values[-3]) / (knots[-1] - knots[-3])).clamp_max(0)
    return inside + slope * (x - knots[-1]).clamp_min(0)
