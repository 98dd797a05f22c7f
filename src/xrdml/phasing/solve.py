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
from xrdml.data.density import D_HIGH, density_crystal
from xrdml.phasing.elements import refine_with_elements
from xrdml.phasing.iterate import Prior, Schedule
from xrdml.phasing.origin import find_origin, shifted, symmetrised
from xrdml.phasing.peaks import atoms_from_peaks
from xrdml.phasing.projections import fitted, residual, with_amplitudes, within
from xrdml.phasing.search import Candidate, Found, search
from xrdml.phasing.sphere import MeasuredSphere, measured_sphere
from xrdml.phasing.verdict import Evidence, is_solved

FREE_FRACTION = 0.05
POLISHING, FINISHING = 12, 4
"""Iterations with the symmetry of the group after it was found: without and with the reflections left out."""
RECYCLES, WORTH_RECYCLING = 2, (0.1, 0.4)
"""How often the phases of the atoms may give a new map, from which R1 on, and up to which."""
WORTH_BUILDING, CLEARLY_BETTER = 0.25, 0.1
"""Score of a candidate of which atoms are built, and by how much a second one of the same start is better."""


@dataclass(frozen=True)
class SolveOptions:
    """How hard to try.

    Attributes
    ----------
    starts, batch
        Most starts from random phases, and how many of them run side by side; the search ends once
        one is solved.
    iterations
        Applications of the prior to each start.
    seed
        Of the random phases and of the reflections left out.
    seconds
        The search ends after so many.
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
        R between measured |F| and those of the drawn density: over the reflections that the
        iteration used, and, once the symmetry is found, over those left out.
    agreement
        Correlation of the P1 map with its symmetry mates; the iteration did not know of them.
    r1
        R1 of the atoms over all measured reflections.
    scale
        |Fo| of the file = scale · |Fc| in electrons.
    starts
        Starts that were tried.
    history
        R over the known reflections in each iteration of the best start.
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
    hunt = _Hunt(problem, network, sphere, began + options.seconds)
    tried, lowest = 0, math.inf
    found: list[Found] = []
    while tried < options.starts and not hunt.is_over:
        n = min(options.batch, options.starts - tried)

        def say(i: int, r: float, tried: int = tried, n: int = n) -> None:
            nonlocal lowest
            lowest = min(lowest, r)
            if report is not None and i % 10 == 9:
                doing = f"starts {tried + 1}–{tried + n} of {options.starts}"
                report(f"{doing}, iteration {i + 1}/{options.iterations}", lowest)

        schedule = Schedule(options.iterations)
        found.append(search(network, sphere, n, schedule, options.seed, tried, hunt.look, say))
        tried += n
    best = hunt.best
    if best is None or not best[0].solved:
        # Show what comes nearest, though it is no solution.
        hunt.build(max((f.best for f in found), key=lambda c: c.score))
        best = hunt.best
    assert best is not None
    solution, candidate = best
    history = next((f.history for f in found if f.best is candidate), found[-1].history)
    return replace(solution, starts=tried, history=history, seconds=time.perf_counter() - began)


@dataclass(frozen=True)
class _Model:
    """Atoms and the map that they are of: the fields of :class:`Solution` of these names."""

    structure: Structure | None
    scale: float
    r1: float
    map_hkl: Hkl
    map_f: NDArray[np.complex128]


class _Hunt:
    """Builds atoms for candidates that promise something, until the atoms of one explain the data."""

    def __init__(self, problem: FillProblem, network: nn.Module, sphere: MeasuredSphere, until: float):
        self._problem, self._network, self._sphere, self._until = problem, network, sphere, until
        everything = (problem.measured.hkl, problem.f_obs, problem.cell, problem.symmetry, problem.d_limit)
        self._all = measured_sphere(*everything, free_fraction=0).to(sphere.amplitude.device)
        self._built: dict[int, Candidate] = {}
        self.best: tuple[Solution, Candidate] | None = None

    @property
    def is_over(self) -> bool:
        return (self.best is not None and self.best[0].solved) or time.perf_counter() > self._until

    def look(self, candidate: Candidate) -> bool:
        """Build it where that may be worth the time; whether to stop."""
        before = self._built.get(candidate.start)
        if candidate.score > (WORTH_BUILDING if before is None else before.score + CLEARLY_BETTER):
            self.build(candidate)
        return self.is_over

    def build(self, candidate: Candidate) -> None:
        """Atoms and verdict; kept if better than what was built before."""
        if self._built.get(candidate.start) is candidate:
            return
        self._built[candidate.start] = candidate
        solution = self._solution(candidate)
        if self.best is None or _rank(solution, candidate) < _rank(*self.best):
            self.best = (solution, candidate)

    def _solution(self, candidate: Candidate) -> Solution:
        polished, r_free = self._polish(candidate.f)
        model = self._model(polished)
        for _ in range(RECYCLES):
            if model.structure is None or not WORTH_RECYCLING[0] < model.r1 < WORTH_RECYCLING[1]:
                break
            again, _ = self._with_symmetry(self._calculated(model.structure), self._all, FINISHING)
            other = self._model(again[0].cpu())
            if not other.r1 < model.r1:
                break
            model = other
        solved = False
        if model.structure is not None:
            n, m = len(self._problem.measured), len(model.structure)
            solved = is_solved(Evidence(candidate.agreement, candidate.has_symmetry, model.r1, n, m))
        return Solution(
            solved,
            **vars(model),
            r_known=candidate.r_known,
            r_free=r_free,
            agreement=candidate.agreement,
            starts=0,
            history=[],
            seconds=0.0,
        )

    def _model(self, f: Tensor) -> _Model:
        """Refined atoms of a map with the symmetry of the group, (X, Y, Z)."""
        p = self._problem
        map_hkl, map_f = _unique(f, p, self._sphere.shape)
        structure, peaks = atoms_from_peaks(f, p.cell, p.symmetry, p.contents)
        if len(peaks.height) == 0:
            return _Model(None, math.nan, math.nan, map_hkl, map_f)
        return _Model(
            *refine_with_elements(structure, p.measured.hkl, p.f_obs, map_hkl, map_f), map_hkl, map_f
        )

    def _calculated(self, structure: Structure) -> Tensor:
        """F of the atoms, (1, X, Y, Z)."""
        f = torch.from_numpy(density_crystal(structure).f).to(self._all.amplitude.device)
        return fitted(f[None], self._all)

    def _polish(self, f: Tensor) -> tuple[Tensor, float]:
        """Go on from a map with the symmetry about its origin, last with all reflections; map and R_free."""
        symmetry = self._sphere.symmetry
        x0, _ = find_origin(f, symmetry)
        p = symmetrised(shifted(f, x0), symmetry)[None]
        p, _ = self._with_symmetry(p, self._sphere, POLISHING)
        r_free = float(residual(fitted(p, self._sphere), self._sphere, self._sphere.free))
        p, _ = self._with_symmetry(p, self._all, FINISHING)
        return p[0].cpu(), r_free

    def _with_symmetry(self, p: Tensor, data: MeasuredSphere, iterations: int) -> tuple[Tensor, float]:
        """Plain iteration with averaging: the map that fits best, and its R."""
        prior = Prior(self._network, data)
        best = (p, math.inf)
        for _ in range(iterations):
            drawn = prior(within(with_amplitudes(p, data), data), Schedule().level_end)
            p = symmetrised(drawn[0], data.symmetry)[None]
            r = float(residual(p, data, data.known))
            if r < best[1]:
                best = (p, r)
        return best


def _rank(solution: Solution, candidate: Candidate) -> tuple[bool, float]:
    return (not solution.solved, -candidate.score)


def _unique(
    f: Tensor, problem: FillProblem, grid_shape: tuple[int, int, int]
) -> tuple[Hkl, NDArray[np.complex128]]:
    """The unique reflections of a symmetric map, on the scale of the measured |F|."""
    hkl = problem.symmetry.unique_reflections(problem.cell, D_HIGH)
    shape = np.array(grid_shape)
    hkl = hkl[(2 * np.abs(hkl) < shape).all(1)]
    grid = f.numpy().astype(np.complex128)

    def at(h: Hkl) -> NDArray[np.complex128]:
        return grid[tuple((h % shape).T)]

    measured = problem.measured.hkl
    inside = (2 * np.abs(measured) < shape).all(1)
    drawn = np.abs(at(measured[inside]))
    k = (drawn * problem.f_obs[inside]).sum() / max((drawn**2).sum(), 1e-12)
    return hkl, k * at(hkl)
