"""Crystals whose answer is known: structures turned into problems with their true |F|."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from xrdml.crystal.cell import d_spacing
from xrdml.crystal.problem import MIN_MEASURED, FillProblem
from xrdml.crystal.reflections import Reflections
from xrdml.crystal.structure import Structure
from xrdml.physics.structure_factors import collate, structure_factors


@dataclass(frozen=True)
class KnownCrystal:
    """One crystal with calculated |F|.

    Attributes
    ----------
    name
        How tables call it.
    problem
        Exact |F|² for d ≥ d_limit as the measured part.
    f_true
        |F| in electrons of `problem.missing`, (p,).
    """

    name: str
    problem: FillProblem
    f_true: NDArray[np.float64]


def known_crystals(
    structures: Sequence[tuple[str, Structure]], d_limit: float = 1.5, d_min: float = 0.8
) -> Iterator[KnownCrystal]:
    """Turn named structures into problems; crystals too small for a problem are left out."""
    for name, structure in structures:
        group = structure.symmetry
        hkl = group.unique_reflections(structure.cell, d_min)
        with torch.no_grad():
            f = structure_factors(collate([structure]), torch.from_numpy(hkl))[0].abs().double().numpy()
        low = d_spacing(structure.cell, hkl) >= d_limit
        if low.sum() < MIN_MEASURED or not f[low].any():
            continue
        measured = Reflections(hkl[low], f[low] ** 2, np.full(int(low.sum()), 0.01))
        problem = FillProblem(
            structure.cell, group, measured, hkl[~low], d_limit, d_min, structure.cell_contents()
        )
        yield KnownCrystal(name, problem, f[~low])
