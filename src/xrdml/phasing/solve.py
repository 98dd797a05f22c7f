"""From measured amplitudes to atoms: starts, verdict, symmetry, peaks, refinement."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xrdml.crystal.problem import FillProblem
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Hkl
from xrdml.data.density import D_HIGH
from xrdml.phasing.elements import refine_with_elements
from xrdml.phasing.iterate import (
    Prior,
    Schedule,
    relaxed_reflect_reflect,
    residual,
)
from xrdml.phasing.origin import find_origin, shifted, symmetrised
from xrdml.phasing.peaks import atoms_from_peaks
from xrdml.phasing.projections import with_amplitudes, within
from xrdml.phasing.sphere import MeasuredSphere, measured_sphere
from xrdml.phasing.verdict import Evidence, is_promising, is_solved

FREE_FRACTION = 0.05
POLISHING = 12
"""Iterations with the symmetry of the group after it was found."""


@dataclass(frozen=True)
class SolveOptions:
    """How hard to try.

    Attributes
    ----------
    starts, batch
        Most starts from random phases, and how many of them run side by side; no further batch is
        begun once one is solved.
    iterations
        Applications of the prior to each start.
    seed
        Of the random phases and of the reflections left out.
    seconds
        No further batch is begun after so many.
    """

    starts: int = 32
    batch: int = 4
    iterations: int = 200
    seed: int = 0
    seconds: float = float("inf")


@dataclass(frozen=True)
class Solution:
    """What phasing found, solved or not.

    Attributes
    ----------
    solved
        The verdict (:mod:`xrdml.phasing.verdict`).
    structure
        Refined atoms about the origin of the space group; None where the map has no peak.
    map_hkl, map_f
        Laue-unique reflections to `D_HIGH`, (m, 3), and their phased F on the file's scale, (m,).
    r_known, r_free
        R between measured |F| and those of the drawn density, over the reflections that the
        iteration used and over those left out.
    agreement
        Correlation of the P1 map with its symmetry mates; the iteration did not know of them.
    r1
        R1 of the atoms over all measured reflections.
    scale
        |Fo| of the file = scale · |Fc| in electrons.
    starts
        Starts that were tried.
    history
        R over the known reflections after each iteration of the best start.
    """

    solved: bool
    structure: Structure | None
    map_hkl: Hkl
    map_f: NDArray[np.complex128]
    r_known: float
    r_free: float
    agreement: float
    r1: float
    scale: float
    starts: int
    history: list[float]
    seconds: float


def solve(
    problem: FillProblem,
    network: nn.Module,
    options: SolveOptions | None = None,
    report: Callable[[str, float], None] | None = None,
) -> Solution:
    """Phase a crystal from random starts and build its atoms.

    Parameters
    ----------
    problem
        Measured reflections to `problem.d_limit`.
    network
        A trained :class:`xrdml.models.density_prior.DensityPrior`.
    report
        Called with what is going on and the best R so far.
    """
    options = options or SolveOptions()
    began = time.perf_counter()
    device = next(network.parameters()).device
    given = (problem.measured.hkl, problem.f_obs, problem.cell, problem.symmetry, problem.d_limit)
    sphere = measured_sphere(*given, free_fraction=FREE_FRACTION, seed=options.seed).to(device)
    best: Solution | None = None
    tried = 0
    while tried < options.starts and not (best and best.solved):
        if best and time.perf_counter() - began > options.seconds:
            break
        n = min(options.batch, options.starts - tried)
        attempt = _one_batch(network, sphere, n, options, tried, best.r_known if best else math.inf, report)
        tried += n
        # Atoms are built where the symmetry speaks for a map, and once at the end in any case.
        last = tried >= options.starts
        if best is None or last or attempt.is_promising:
            found = _build(network, sphere, attempt, problem)
            if best is None or _rank(found) < _rank(best):
                best = found
    assert best is not None
    return replace(best, starts=tried, seconds=time.perf_counter() - began)


def _rank(solution: Solution) -> tuple[bool, float]:
    return (not solution.solved, -solution.agreement)


@dataclass(frozen=True)
class _Attempt:
    """The start of a batch whose map agrees best with the symmetry."""

    f: Tensor
    r_known: float
    r_free: float
    agreement: float
    has_symmetry: bool
    history: list[float]

    @property
    def is_promising(self) -> bool:
        return is_promising(self.agreement, self.has_symmetry)


def _one_batch(
    network: nn.Module,
    sphere: MeasuredSphere,
    n: int,
    options: SolveOptions,
    tried: int,
    so_far: float,
    report: Callable[[str, float], None] | None,
) -> _Attempt:
    """The best of n starts."""
    rows: list[Tensor] = []

    def watch(i: int, r: Tensor) -> None:
        rows.append(r)
        if report is not None and i % 10 == 9:
            report(
                f"starts {tried + 1}–{tried + n} of {options.starts}, iteration {i + 1}/{options.iterations}",
                min(so_far, float(r.min())),
            )

    with torch.no_grad(), torch.autocast(sphere.amplitude.device.type, torch.bfloat16):
        found = relaxed_reflect_reflect(
            network, sphere, n, Schedule(options.iterations), seed=options.seed + tried, report=watch
        )
    has_symmetry = any((r != np.eye(3)).any() for r in sphere.symmetry.rotations)
    attempts = [
        _Attempt(
            found.f[i],
            float(found.r_known[i]),
            float(found.r_free[i]),
            find_origin(found.f[i], sphere.symmetry)[1],
            has_symmetry,
            [float(r[i]) for r in rows],
        )
        for i in range(n)
    ]
    return max(attempts, key=lambda a: (a.agreement if has_symmetry else 0.0, -a.r_known))


def _polish(network: nn.Module, sphere: MeasuredSphere, f: Tensor, problem: FillProblem) -> Tensor:
    """Put the map on the group's origin and go on with its symmetry, all measured reflections known."""
    x0, _ = find_origin(f, sphere.symmetry)
    everything = measured_sphere(
        problem.measured.hkl, problem.f_obs, problem.cell, problem.symmetry, problem.d_limit, free_fraction=0
    ).to(f.device)
    prior = Prior(network, everything)
    p = symmetrised(shifted(f, x0), sphere.symmetry)[None]
    start, best = p, (float("inf"), p)
    for _ in range(POLISHING):
        x = within(with_amplitudes(start, everything), everything)
        p = prior(x, Schedule().level_end)
        start = symmetrised(p[0], sphere.symmetry)[None]
        r = float(residual(start, everything, everything.known))
        if r < best[0]:
            best = (r, start)
    return best[1][0].cpu()


def _unique(f: Tensor, problem: FillProblem, sphere: MeasuredSphere) -> tuple[Hkl, NDArray[np.complex128]]:
    """The unique reflections of a symmetric map, on the scale of the measured |F|."""
    hkl = problem.symmetry.unique_reflections(problem.cell, D_HIGH)
    shape = np.array(sphere.shape)
    hkl = hkl[(2 * np.abs(hkl) < shape).all(1)]
    grid = f.numpy().astype(np.complex128)

    def at(h: Hkl) -> NDArray[np.complex128]:
        return grid[tuple((h % shape).T)]

    measured = problem.measured.hkl
    inside = (2 * np.abs(measured) < shape).all(1)
    drawn = np.abs(at(measured[inside]))
    k = (drawn * problem.f_obs[inside]).sum() / max((drawn**2).sum(), 1e-12)
    return hkl, k * at(hkl)


def _build(network: nn.Module, sphere: MeasuredSphere, attempt: _Attempt, problem: FillProblem) -> Solution:
    """Atoms from the map of an attempt, and the verdict on them."""
    with torch.no_grad(), torch.autocast(sphere.amplitude.device.type, torch.bfloat16):
        polished = _polish(network, sphere, attempt.f, problem)
    hkl, f = _unique(polished, problem, sphere)
    structure: Structure | None
    structure, peaks = atoms_from_peaks(polished, problem.cell, problem.symmetry, problem.contents)
    scale = r1 = math.nan
    solved = False
    if len(peaks.height) == 0:
        structure = None
    else:
        structure, scale, r1 = refine_with_elements(structure, problem.measured.hkl, problem.f_obs, hkl, f)
        n, m = len(problem.measured), len(structure)
        solved = is_solved(Evidence(attempt.agreement, attempt.has_symmetry, r1, n, m))
    return Solution(
        solved,
        structure,
        hkl,
        f,
        attempt.r_known,
        attempt.r_free,
        attempt.agreement,
        r1,
        scale,
        starts=0,
        history=attempt.history,
        seconds=0.0,
    )
