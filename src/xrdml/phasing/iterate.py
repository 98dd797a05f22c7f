"""Iterations between measured amplitudes and what is believed about densities.

x is the map's structure factors to d_limit. P_B is one application of the density prior, or a classical
modification (:mod:`xrdml.phasing.charge_flipping`). Plain iteration is x ← P_A(P_B(x)); the other steps
are relaxed reflections, averaged or not (:mod:`xrdml.phasing.projections`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from xrdml.data.density import D_HIGH, conditions, random_phases, to_density, to_structure_factors
from xrdml.phasing.projections import averaged_reflection, fitted, with_amplitudes, within
from xrdml.phasing.sphere import MeasuredSphere

Step = Callable[[Tensor, Tensor, MeasuredSphere, float], Tensor]
"""x, P_B(x), the data and β → x of the next iteration."""


@dataclass(frozen=True)
class Schedule:
    """How an attempt runs.

    Attributes
    ----------
    iterations
        Applications of P_B.
    step, beta
        The reflection of all iterations but the plain ones, and its relaxation.
    plain
        Share of the iterations at the end that project without reflecting.
    level_start, level_end
        Error level told to the prior, falling linearly.
    """

    iterations: int = 200
    step: Step = averaged_reflection
    beta: float = 0.9
    plain: float = 0.15
    level_start: float = 0.75
    level_end: float = 0.15

    def level(self, u: float) -> float:
        """Error level after the share u of the iterations."""
        fallen = min(1.0, u / max(1 - self.plain, 1e-9))
        return self.level_start + (self.level_end - self.level_start) * fallen


Projection = Callable[[Tensor, float], Tensor]
"""P_B: F (B, X, Y, Z) and the error level supposed in them → F."""


class Prior:
    """The density prior as a projection in reciprocal space; the network runs in bfloat16."""

    def __init__(self, network: nn.Module, sphere: MeasuredSphere):
        self._network, self._sphere = network, sphere

    @torch.no_grad()
    def __call__(self, f: Tensor, level: float) -> Tensor:
        """F to `D_HIGH` drawn from F (B, X, Y, Z), on the scale that fits the known amplitudes best."""
        s = self._sphere
        n = len(f)
        levels = torch.full((n,), level, device=f.device)
        # What lies beyond D_HIGH is not in the map.
        d_limit = torch.full_like(levels, max(s.d_limit, D_HIGH))
        told = conditions(levels, d_limit, [s.cell] * n, s.shape)
        density = to_density(f)
        scale = density.square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-6)
        with torch.autocast(f.device.type, torch.bfloat16):
            drawn = self._network((density / scale)[:, None], told).float()
        return fitted(to_structure_factors(drawn) * s.drawn, s)


def random_start(sphere: MeasuredSphere, starts: int, seed: int) -> Tensor:
    """Measured amplitudes with random phases, (B, X, Y, Z)."""
    generator = torch.Generator().manual_seed(seed)
    phases = random_phases((starts, *sphere.shape), generator).to(sphere.amplitude.device)
    return within(with_amplitudes(phases, sphere), sphere)


@torch.no_grad()
def iterate(
    projection: Projection,
    sphere: MeasuredSphere,
    x: Tensor,
    schedule: Schedule,
    watch: Callable[[int, Tensor], bool] | None = None,
) -> Tensor:
    """Run the schedule from x (B, X, Y, Z): reflections, then plain iteration.

    Parameters
    ----------
    projection
        P_B.
    watch
        Called in every iteration with its number and P_B(x), (B, X, Y, Z); ends the run by True.

    Returns
    -------
    x
        After the last iteration, (B, X, Y, Z).
    """
    for i in range(schedule.iterations):
        u = i / schedule.iterations
        p = projection(x, schedule.level(u))
        if u < 1 - schedule.plain:
            x = schedule.step(x, p, sphere, schedule.beta)
        else:
            x = within(with_amplitudes(p, sphere), sphere)
        if watch is not None and watch(i, p):
            break
    return x


def map_correlation(f_true: Tensor, f: Tensor, chosen: Tensor) -> Tensor:
    """Best correlation of maps over all origins and both hands, (X, Y, Z) and (B, X, Y, Z) → (B,).

    The maps are synthesised from the `chosen` reflections.
    """
    best = []
    for hand in (f, f.conj()):
        cross = torch.fft.ifftn(f_true * hand.conj() * chosen, dim=(-3, -2, -1)).real * math.prod(f.shape[1:])
        best.append(cross.flatten(1).amax(1))
    norm = ((f_true.abs() ** 2 * chosen).sum() * (f.abs() ** 2 * chosen).sum((1, 2, 3))).sqrt()
    return torch.maximum(*best) / norm.clamp_min(1e-12)
