"""Amplitudes from a solved structure: phase the measured reflections, build atoms, calculate the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xrdml.crystal.cell import inverse_d_squared
from xrdml.crystal.problem import FillProblem, Prediction, Predictor
from xrdml.crystal.statistics import shell_edges, shell_index, shell_mean
from xrdml.phasing.prior import DEFAULT_PRIOR, load_prior
from xrdml.phasing.solve import Solution, SolveOptions, solve
from xrdml.physics.structure_factors import collate, structure_factors

RELATIVE_ERROR = 0.45
"""σ(F) / rms |F| of a shell for amplitudes of solved crystals: root mean square over the crystals of
the benchmark at 1.5 Å (docs/phasing.md)."""

N_SHELLS = 8


class PhasingPredictor:
    """Solves the crystal with the density prior; another model serves where that fails.

    Parameters
    ----------
    fallback
        For crystals that are not solved.
    weights
        Name or folder of the prior.
    options
        How hard to try.
    progress
        Called with what is going on and the best R so far.
    """

    def __init__(
        self,
        fallback: Predictor,
        weights: str | Path = DEFAULT_PRIOR,
        options: SolveOptions | None = None,
        progress: Callable[[str, float], None] | None = None,
    ):
        self._network, config = load_prior(weights)
        self._fallback, self._options, self._progress = fallback, options, progress
        self.name = Path(weights).name
        self.provenance: dict[str, Any] = {
            "weights": {key: config.get(key) for key in ("commit", "date", "parameters", "sha256")}
        }

    def predict(self, problems: Sequence[FillProblem]) -> list[Prediction]:
        return [self._one(p) for p in problems]

    def _one(self, problem: FillProblem) -> Prediction:
        solution = solve(problem, self._network, self._options, self._progress)
        details: dict[str, Any] = {
            "solved": solution.solved,
            "starts": solution.starts,
            "r_known": solution.r_known,
            "r_free": solution.r_free,
            "agreement": solution.agreement,
            "seconds": solution.seconds,
        }
        if not solution.solved or solution.structure is None:
            found = self._fallback.predict([problem])[0]
            return Prediction(found.f, found.sigma_f, {**details, "amplitudes": self._fallback.name})
        f = calculated(solution, problem)
        details |= {"r1": solution.r1, "amplitudes": "atoms of the solved structure"}
        return Prediction(f, RELATIVE_ERROR * _shell_rms(problem, f), details)


def calculated(solution: Solution, problem: FillProblem) -> NDArray[np.float64]:
    """|F| of `problem.missing` from the atoms, on the file's scale, (p,)."""
    assert solution.structure is not None
    hkl = torch.from_numpy(np.ascontiguousarray(problem.missing))
    with torch.no_grad():
        f = structure_factors(collate([solution.structure]), hkl)[0].abs()
    return f.double().numpy() * solution.scale


def _shell_rms(problem: FillProblem, f: NDArray[np.float64]) -> NDArray[np.float64]:
    inverse_d2 = inverse_d_squared(problem.cell, problem.missing)
    shell = shell_index(inverse_d2, shell_edges(problem.d_min, N_SHELLS))
    return np.sqrt(shell_mean(f**2, shell, N_SHELLS))[shell]
