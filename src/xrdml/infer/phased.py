"""Amplitudes from a solved structure: phase the measured reflections, build atoms, calculate the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xrdml.crystal.cell import inverse_d_squared
from xrdml.crystal.problem import FillProblem, Prediction, Predictor
from xrdml.crystal.statistics import shell_edges, shell_index, shell_mean
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Hkl
from xrdml.errors import UserError
from xrdml.infer.case import Progress
from xrdml.phasing.prior import DEFAULT_PRIOR, load_prior
from xrdml.phasing.solve import SolveOptions, solve
from xrdml.phasing.verdict import reasons
from xrdml.physics.structure_factors import collate, structure_factors

RELATIVE_ERRORS = ((1.2, 1.5, 2.0), (0.25, 0.30, 0.55))
"""σ(F) / rms |F| of a shell for amplitudes of solved crystals, by the resolution of the data in Å: rms errors
over the solved crystals of the benchmark, means rounded up (docs/phasing.md); linear in between."""

N_SHELLS = 8


@dataclass(frozen=True, kw_only=True)
class PhasedPrediction(Prediction):
    """Amplitudes that come from the atoms of a solved crystal.

    Attributes
    ----------
    structure
        The refined atoms.
    scale
        |Fo| of the file = scale · |Fc| in electrons.
    """

    structure: Structure
    scale: float


class PhasingPredictor:
    """Solves the crystal with the density prior; other models serve where that fails.

    Parameters
    ----------
    fallbacks
        For crystals that are not solved: the first one that can take the crystal. The last one
        must be able to take any.
    reason
        Why the first of them comes first, for reports.
    weights
        Name or folder of the prior.
    options
        How hard to try.
    progress
        Called with what is going on and the best R so far.
    """

    def __init__(
        self,
        fallbacks: Sequence[Predictor],
        reason: str,
        weights: str | Path = DEFAULT_PRIOR,
        options: SolveOptions | None = None,
        progress: Progress | None = None,
    ):
        self._network, config = load_prior(weights)
        self._fallbacks, self._reason, self._progress = fallbacks, reason, progress
        self._options = options or SolveOptions()
        self.name = Path(weights).name
        self.provenance: dict[str, Any] = {
            "options": asdict(self._options),
            "weights": {key: config.get(key) for key in ("commit", "date", "parameters", "sha256")},
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
            "verdict": reasons(solution.evidence),
            "history": [round(r, 4) for r in solution.history],
        }
        if not solution.solved or solution.structure is None:
            return self._unsolved(problem, details)
        f = np.abs(calculated(solution.structure, problem.missing, solution.scale))
        details |= {
            "r1": solution.r1,
            "r1_free": solution.r1_free,
            "atoms": len(solution.structure),
            "amplitudes": "atoms of the solved structure",
        }
        sigma = np.interp(problem.d_limit, *RELATIVE_ERRORS) * _shell_rms(problem, f)
        return PhasedPrediction(f, sigma, details, structure=solution.structure, scale=solution.scale)

    def _unsolved(self, problem: FillProblem, details: dict[str, Any]) -> Prediction:
        refused: dict[str, str] = {}
        *others, last = self._fallbacks
        for model in others:
            try:
                found = model.predict([problem])[0]
                break
            except UserError as error:
                refused[model.name] = str(error)
        else:
            model, found = last, last.predict([problem])[0]
        fallback = {"chosen": self._fallbacks[0].name, "reason": self._reason, "refused": refused}
        details |= {"amplitudes": model.name, "fallback": fallback}
        return Prediction(found.f, found.sigma_f, details)


def calculated(structure: Structure, hkl: Hkl, scale: float = 1.0) -> NDArray[np.complex128]:
    """scale · F of the atoms, (n,), F = Σ f exp(+2πi h·x)."""
    with torch.no_grad():
        f = structure_factors(collate([structure]), torch.from_numpy(np.ascontiguousarray(hkl)))[0]
    return f.numpy().astype(np.complex128) * scale


def _shell_rms(problem: FillProblem, f: NDArray[np.float64]) -> NDArray[np.float64]:
    inverse_d2 = inverse_d_squared(problem.cell, problem.missing)
    shell = shell_index(inverse_d2, shell_edges(problem.d_min, N_SHELLS))
    return np.sqrt(shell_mean(f**2, shell, N_SHELLS))[shell]
