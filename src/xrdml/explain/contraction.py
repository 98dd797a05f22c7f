"""What one application of the density prior does to a map whose phases are partly wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xrdml.crystal.cell import inverse_d_squared
from xrdml.crystal.problem import FillProblem
from xrdml.crystal.structure import Structure
from xrdml.data.density import D_HIGH, density_crystal, fft_indices, random_phases
from xrdml.explain.sensitivity import DRAWS, LEVELS, Response, respond
from xrdml.phasing.iterate import Prior, Projection
from xrdml.phasing.projections import with_amplitudes, within
from xrdml.phasing.sphere import MeasuredSphere, measured_sphere

ERROR_LEVELS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
TOLD = (0.15, 0.45, 0.75)
"""Fixed levels to tell the network, from the schedule of phasing: there nobody knows the true one."""
NOISE_LEVEL = 0.15
"""Phase error in the map to which noise is added: that of a structure that is all but solved."""


@dataclass(frozen=True)
class KnownMap:
    """A crystal whose phases are known, on the grid of the prior.

    Attributes
    ----------
    sphere
        The measured amplitudes; none is left out.
    f_true
        F of the atoms to `D_HIGH` in FFT order, (X, Y, Z).
    """

    sphere: MeasuredSphere
    f_true: Tensor

    @property
    def beyond(self) -> Tensor:
        """Reflections of the map beyond the data, (X, Y, Z)."""
        s = self.sphere
        return s.drawn & ~s.known & ~s.floating


def known_map(problem: FillProblem, structure: Structure, device: torch.device | str = "cpu") -> KnownMap:
    """The measured amplitudes of a problem with the phases of its atoms."""
    sphere = sphere_of(problem)
    crystal = density_crystal(structure, shape=sphere.shape)
    return KnownMap(sphere.to(device), torch.from_numpy(crystal.f).to(device))


def sphere_of(problem: FillProblem, f: NDArray[np.floating] | None = None) -> MeasuredSphere:
    """The measured amplitudes in P1, or others of the same reflections, (m,); none is left out."""
    return measured_sphere(
        problem.measured.hkl,
        problem.f_obs if f is None else f,
        problem.cell,
        problem.symmetry,
        problem.d_limit,
        free_fraction=0.0,
    )


def mixed(known: KnownMap, level: float, n: int, generator: torch.Generator) -> Tensor:
    """Measured amplitudes with the phases of (1 − t)·e^{iφ} + t·e^{iψ}, ψ random, (n, X, Y, Z)."""
    true = known.f_true / known.f_true.abs().clamp_min(1e-12)
    noise = random_phases((n, *known.sphere.shape), generator).to(true.device)
    return within(with_amplitudes((1 - level) * true + level * noise, known.sphere), known.sphere)


@dataclass(frozen=True)
class Quality:
    """How right phases are; means over draws.

    Attributes
    ----------
    cc
        Correlation with the true map of the measured reflections, about the same origin.
    phase_error
        Mean error of the phases in degrees, weighted with |F true|; 90 is chance.
    """

    cc: float
    phase_error: float


def quality(f_true: Tensor, f: Tensor, chosen: Tensor) -> Quality:
    """Of F (B, X, Y, Z) beside the truth (X, Y, Z), over the reflections `chosen`."""
    cross = (f * f_true.conj() * chosen).real.sum((1, 2, 3))
    power = (f.abs().square() * chosen).sum((1, 2, 3)) * (f_true.abs().square() * chosen).sum()
    weight = f_true.abs() * chosen * (f.abs() > 0)
    error = (f * f_true.conj()).angle().abs() * weight
    degrees = error.sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp_min(1e-12) * (180 / math.pi)
    return Quality(float((cross / power.sqrt().clamp_min(1e-12)).mean()), float(degrees.mean()))


@dataclass(frozen=True)
class Step:
    """One application at one level.

    Attributes
    ----------
    level, told
        Error level in the map, and the one that the network was told.
    before, after
        Over the measured reflections, with their measured amplitudes.
    beyond
        Over the reflections of the map beyond the data, as drawn.
    """

    level: float
    told: float
    before: Quality
    after: Quality
    beyond: Quality


@torch.no_grad()
def contraction(
    known: KnownMap,
    projection: Projection,
    levels: tuple[float, ...] = ERROR_LEVELS,
    told: tuple[float, ...] = TOLD,
    draws: int = 4,
    seed: int = 0,
) -> list[Step]:
    """Apply a projection once to maps of every level, told the truth and told each of `told`."""
    generator = torch.Generator().manual_seed(seed)
    sphere, out = known.sphere, []
    for level in levels:
        x = mixed(known, level, draws, generator)
        before = quality(known.f_true, x, sphere.known)
        for said in dict.fromkeys((level, *told)):
            p = projection(x, said)
            after = quality(known.f_true, with_amplitudes(p, sphere), sphere.known)
            out.append(Step(level, said, before, after, quality(known.f_true, p, known.beyond)))
    return out


def prior_response(
    network: nn.Module,
    known: KnownMap,
    problem: FillProblem,
    levels: tuple[float, ...] = LEVELS,
    draws: int = DRAWS,
) -> Response:
    """What a relative error of every measured |F| does to the |F| that the prior draws; in FFT order.

    The phases are those of the atoms with errors of `NOISE_LEVEL`, the same in all draws.
    """
    sphere = known.sphere
    projection: Callable[[Tensor, float], Tensor] = Prior(network, sphere)
    phases = mixed(known, NOISE_LEVEL, 1, torch.Generator().manual_seed(0))

    def noise(level: float, generator: torch.Generator) -> Tensor:
        error = 1 + level * torch.randn(len(problem.f_obs), generator=generator).double().numpy()
        return with_amplitudes(phases, sphere_of(problem, problem.f_obs * error).to(phases.device))

    def run(x: Tensor) -> Tensor:
        return projection(x, NOISE_LEVEL)[0].abs()

    output, change = respond(run, phases, noise, levels, draws)
    indices, inside = fft_indices(sphere.cell, sphere.shape, max(D_HIGH, problem.d_min))
    return Response(
        np.array(levels),
        output.double().cpu().numpy(),
        change.double().cpu().numpy(),
        inverse_d_squared(sphere.cell, indices),
        inside & sphere.drawn.cpu().numpy(),
    )
