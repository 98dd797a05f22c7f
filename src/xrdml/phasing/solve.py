"""From measured amplitudes to atoms: starts, verdict, symmetry, peaks, refinement."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from xrdml.crystal.problem import FillProblem
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Hkl
from xrdml.phasing.build import Builder, Built
from xrdml.phasing.iterate import Schedule
from xrdml.phasing.search import Candidate, Found, search
from xrdml.phasing.sphere import measured_sphere
from xrdml.phasing.verdict import Evidence

FREE_FRACTION, FEWEST_FREE, MOST_FREE = 0.05, 12, 0.1
"""Share of the reflections that is left out of everything until the verdict; more, up to the last share, of
few reflections, so that there are as many as the second number."""
WORTH_BUILDING, CLEARLY_BETTER = 0.2, 0.05
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

    starts: int = 64
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
        Correlation of the P1 map with its symmetry mates, of which the iteration did not know; None where
        the group has none or they were imposed.
    r1, r1_free
        R1 of the atoms over all measured reflections; and over those left out, before they were
        used for anything.
    scale
        |Fo| of the file = scale · |Fc| in electrons.
    starts
        Starts that were tried.
    history
        R over the known reflections in each iteration of the best start.
    evidence
        What the verdict rests on.
    """

    solved: bool
    structure: Structure | None
    map_hkl: Hkl
    map_f: NDArray[np.complex128]
    r_known: float
    r_free: float
    agreement: float | None
    r1: float
    r1_free: float
    scale: float
    starts: int
    history: list[float]
    seconds: float
    evidence: Evidence


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
    share = free_share(len(problem.measured))
    sphere = measured_sphere(*given, free_fraction=share, seed=options.seed).to(device)
    hunt = _Hunt(Builder(problem, network, sphere), began + options.seconds)
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
    built, candidate = best
    return Solution(
        solved=built.solved,
        structure=built.structure,
        map_hkl=built.map_hkl,
        map_f=built.map_f,
        r_known=candidate.r_known,
        r_free=built.r_free,
        agreement=candidate.agreement if candidate.has_symmetry else None,
        r1=built.r1,
        r1_free=built.evidence.r1_free,
        scale=built.scale,
        starts=tried,
        history=next((f.history for f in found if f.best is candidate), found[-1].history),
        seconds=time.perf_counter() - began,
        evidence=built.evidence,
    )


def free_share(n: int) -> float:
    """Share of n reflections to leave out."""
    return min(MOST_FREE, max(FREE_FRACTION, FEWEST_FREE / n))


class _Hunt:
    """Builds atoms for candidates that promise something, until the atoms of one explain the data."""

    def __init__(self, builder: Builder, until: float):
        self._builder, self._until = builder, until
        self._built: dict[int, Candidate] = {}
        self.best: tuple[Built, Candidate] | None = None

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
        built = self._builder.build(candidate)
        if self.best is None or _rank(built) < _rank(self.best[0]):
            self.best = (built, candidate)


def _rank(built: Built) -> tuple[bool, float]:
    return (not built.solved, built.evidence.merit)
