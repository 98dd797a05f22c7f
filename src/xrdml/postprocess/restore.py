"""Put measured reflections back, set absences to zero, and join everything into one list."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.problem import FillProblem, Prediction
from xrdml.crystal.reflections import Reflections


class Origin(IntEnum):
    """Where the intensity of a written reflection comes from."""

    MEASURED = 0
    PREDICTED = 1
    ABSENT = 2


@dataclass(frozen=True)
class Filled:
    """All Laue-unique reflections of a crystal, sorted by h, k, l.

    Attributes
    ----------
    reflections
        Intensities on the scale of the input.
    origin
        An `Origin` each, (n,) uint8.
    """

    reflections: Reflections
    origin: NDArray[np.uint8]

    def count(self, origin: Origin) -> int:
        return int((self.origin == origin).sum())


def restore(problem: FillProblem, prediction: Prediction) -> Filled:
    """Join measured, predicted and absent reflections.

    Measured intensities and σ come out as they went in, also beyond d_min. A predicted one gets
    I = |F|² and the standard deviation of the square of a normal variable,
    σ(I)² = 4 F² σ(F)² + 2 σ(F)⁴. Systematic absences to d_min get I = 0 with the smallest
    measured σ: the space group says that they are zero, whatever was measured there.
    """
    unique = problem.symmetry.unique_reflections(problem.cell, problem.d_min, absent=True)
    absent = unique[problem.symmetry.is_absent(unique)]
    m, f, s = problem.measured, prediction.f, prediction.sigma_f
    positive = m.sigma[m.sigma > 0]
    smallest = float(positive.min()) if len(positive) else 0.01
    hkl = np.concatenate([m.hkl, problem.missing, absent])
    intensity = np.concatenate([m.intensity, f**2, np.zeros(len(absent))])
    sigma = np.concatenate([m.sigma, np.sqrt(4 * f**2 * s**2 + 2 * s**4), np.full(len(absent), smallest)])
    origin = np.repeat(
        np.array(list(Origin), dtype=np.uint8), [len(m.hkl), len(problem.missing), len(absent)]
    )
    order = np.lexsort(hkl.T[::-1])
    return Filled(Reflections(hkl[order], intensity[order], sigma[order]), origin[order])
