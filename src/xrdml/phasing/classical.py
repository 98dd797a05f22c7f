"""Phasing a crystal by charge flipping or low-density elimination, from random phases to atoms."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrdml.crystal.cell import volume
from xrdml.crystal.problem import FillProblem
from xrdml.crystal.structure import Structure
from xrdml.crystal.wilson import VOLUME_PER_NON_H_ATOM
from xrdml.phasing.charge_flipping import (
    POINTS_PER_D,
    ChargeFlipping,
    LowDensityElimination,
    normalised_sphere,
)
from xrdml.phasing.iterate import iterate, random_start
from xrdml.phasing.origin import find_origin, shifted, symmetrised
from xrdml.phasing.peaks import atoms_from_peaks
from xrdml.phasing.projections import with_amplitudes, within
from xrdml.phasing.refine import refine
from xrdml.phasing.sphere import measured_sphere
from xrdml.phasing.verdict import corrected

CHUNK = 100
"""Iterations between two looks at the symmetry of the maps."""
POLISHING = 30
"""Iterations with the symmetry of the group after it was found."""
CONVERGED = 0.8
"""Agreement of a P1 map with its symmetry mates that ends a batch."""
MAX_R1 = 0.2
"""R1 of the refined atoms, times √(n / (n − p)) for n reflections and p parameters, up to which a crystal
counts as solved: few reflections are fitted by any atoms."""


@dataclass(frozen=True)
class ClassicalOptions:
    """How hard to try.

    Attributes
    ----------
    method
        ``charge_flipping`` or ``low_density_elimination``.
    batch
        Starts side by side.
    iterations
        Most iterations of each start.
    seconds
        No further batch of starts is begun after so many.
    """

    method: str = "charge_flipping"
    batch: int = 16
    iterations: int = 1000
    seconds: float = 60.0
    seed: int = 0


@dataclass(frozen=True)
class ClassicalSolution:
    """The batch whose best start gave the best atoms.

    Attributes
    ----------
    solved
        The verdict, by R1 of the atoms.
    f
        Measured amplitudes with the phases found, about the group's origin, rows as
        `problem.measured`, (n,) complex; 0 beyond the grid.
    structure
        Refined atoms; None where the map has no peak.
    r1
        Of the atoms over all measured reflections.
    agreement
        Correlation of the P1 map with its symmetry mates, of which the iteration did not know.
    """

    solved: bool
    f: NDArray[np.complex64]
    structure: Structure | None
    r1: float
    agreement: float
    starts: int
    seconds: float


@torch.no_grad()
def solve_classically(problem: FillProblem, options: ClassicalOptions | None = None) -> ClassicalSolution:
    """Phase from random starts until the atoms of one explain the data or the time is up."""
    options = options or ClassicalOptions()
    began = time.perf_counter()
    search = _Search(problem, options.method)
    best: ClassicalSolution | None = None
    tried = 0
    while best is None or not (best.solved or time.perf_counter() - began > options.seconds):
        f, x0, agreement = search.batch(options, options.seed + tried, began)
        tried += options.batch
        phased, structure, r1 = search.build(f, x0)
        if best is None or r1 < best.r1:
            solved = structure is not None and corrected(r1, len(phased), len(structure)) < MAX_R1
            best = ClassicalSolution(solved, phased, structure, r1, agreement, 0, 0.0)
    return replace(best, starts=tried, seconds=time.perf_counter() - began)


class _Search:
    """One crystal, as |E| to phase with and as |F| for the maps."""

    def __init__(self, problem: FillProblem, method: str):
        self.problem = problem
        self.projection: ChargeFlipping | LowDensityElimination
        if method == "charge_flipping":
            self.projection = ChargeFlipping()
        else:
            self.projection = LowDensityElimination(
                max(1, round(volume(problem.cell) / VOLUME_PER_NON_H_ATOM))
            )
        given = (problem.measured.hkl, problem.f_obs, problem.cell, problem.symmetry, problem.d_limit)
        self.e = normalised_sphere(*given)
        spacing = problem.d_limit / POINTS_PER_D
        self.f = measured_sphere(*given, free_fraction=0, d_drawn=problem.d_limit, spacing=spacing)

    def batch(self, options: ClassicalOptions, seed: int, began: float) -> tuple[Tensor, np.ndarray, float]:
        """The start with the best agreement: its F of the modified density, origin and agreement."""
        x = random_start(self.e, options.batch, seed)
        schedule = replace(self.projection.schedule, iterations=CHUNK)
        best = (torch.zeros(0), np.zeros(3), -2.0)
        for _ in range(options.iterations // CHUNK):
            x = iterate(self.projection, self.e, x, schedule)
            for f in self.projection(x):
                x0, agreement = find_origin(self._map(f), self.problem.symmetry)
                best = max(best, (f, x0, agreement), key=lambda item: item[2])
            if best[2] >= CONVERGED or time.perf_counter() - began > options.seconds:
                break
        return best

    def build(self, f: Tensor, x0: np.ndarray) -> tuple[NDArray[np.complex64], Structure | None, float]:
        """Go on with the symmetry about x0; phased F of the measured reflections, atoms and R1."""
        p, problem = symmetrised(shifted(f, x0), self.problem.symmetry)[None], self.problem
        for _ in range(POLISHING):
            x = within(with_amplitudes(p, self.e), self.e)
            p = symmetrised(self.projection(x)[0], problem.symmetry)[None]
        grid = self._map(p[0])
        hkl, shape = problem.measured.hkl, np.array(grid.shape)
        inside = (2 * np.abs(hkl) < shape).all(1)
        phased = grid.numpy()[tuple((hkl % shape).T)] * inside
        structure, peaks = atoms_from_peaks(grid, problem.cell, problem.symmetry, problem.contents)
        if len(peaks.height) == 0:
            return phased, None, float("inf")
        with torch.enable_grad():
            structure, _, r1 = refine(structure, hkl, problem.f_obs, hkl, phased)
        return phased, structure, r1

    def _map(self, f: Tensor) -> Tensor:
        return with_amplitudes(f, self.f) * self.f.known
