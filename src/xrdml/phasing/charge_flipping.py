"""The classical peers of the density prior: charge flipping and low-density elimination.

Both believe nothing but that a density of atoms is positive and mostly empty, which tells enough
where atoms stand apart: with data to about 1.1 Å or better.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from xrdml.crystal.cell import Cell, inverse_d_squared
from xrdml.crystal.statistics import normalised, shell_edges
from xrdml.crystal.symmetry import Hkl, Symmetry
from xrdml.data.density import to_density, to_structure_factors
from xrdml.phasing.iterate import Schedule
from xrdml.phasing.projections import relaxed_reflection
from xrdml.phasing.sphere import MeasuredSphere, measured_sphere

POINTS_PER_D = 3.0
"""Grid points for the resolution of the data: Nyquist's 2, and room for what flipping makes beyond it."""

SHELL = 80
"""Unique reflections in a shell of the normalisation to |E|."""


@dataclass(frozen=True)
class ChargeFlipping:
    """ρ → −ρ where ρ < k·σ(ρ). Oszlányi & Sütő (2004), Acta Cryst. A60, 134.

    Made for plain iteration: it is a reflection already.
    """

    k: float = 1.1
    schedule = Schedule(iterations=1000, plain=1.0)

    def __call__(self, f: Tensor, level: float = 0.0) -> Tensor:
        """F (B, X, Y, Z) → F; σ is each map's own."""
        rho = to_density(f)
        delta = self.k * rho.std((1, 2, 3), keepdim=True)
        return to_structure_factors(torch.where(rho < delta, -rho, rho))


@dataclass(frozen=True)
class LowDensityElimination:
    """ρ → ρ (1 − exp(−½ (ρ / cρ̂)²)) where ρ > 0, else 0. Shiono & Woolfson (1992), Acta Cryst. A48, 451.

    ρ̂ is the height of an atom: the mean of as many highest grid points as the cell has non-H atoms. As
    a projection it stagnates in plain iteration and goes with relaxed-reflect-reflect.

    Attributes
    ----------
    atoms
        Non-H atoms in the cell.
    c
        0.2 in the paper.
    """

    atoms: int
    c: float = 0.2
    schedule = Schedule(iterations=1000, step=relaxed_reflection, plain=0.0)

    def __call__(self, f: Tensor, level: float = 0.0) -> Tensor:
        """F (B, X, Y, Z) → F."""
        rho = to_density(f)
        highest = rho.flatten(1).topk(self.atoms, 1).values.mean(1)
        ratio = rho.clamp_min(0) / (self.c * highest.clamp_min(1e-12)).view(-1, 1, 1, 1)
        return to_structure_factors(rho * (1 - torch.exp(-0.5 * ratio.square())))


def normalised_sphere(
    hkl: Hkl,
    f: np.ndarray,
    cell: Cell,
    symmetry: Symmetry,
    d_limit: float,
    free_fraction: float = 0.0,
    seed: int = 0,
) -> MeasuredSphere:
    """Measured amplitudes as |E|, F(000) floating, on a grid that suits their resolution.

    |E| is that of point atoms at rest, which stand apart better than real ones; ε is left in it,
    because it belongs to the density.

    Parameters
    ----------
    hkl, f, free_fraction, seed
        As :func:`xrdml.phasing.sphere.measured_sphere` takes them.
    """
    inverse_d2 = inverse_d_squared(cell, hkl)
    edges = shell_edges(d_limit, max(2, len(hkl) // SHELL))
    e = normalised(np.asarray(f, dtype=np.float64), np.ones(len(hkl)), inverse_d2, edges)
    sphere = measured_sphere(
        hkl,
        e,
        cell,
        symmetry,
        d_limit,
        free_fraction,
        seed,
        d_drawn=d_limit,
        spacing=d_limit / POINTS_PER_D,
    )
    floating = sphere.floating.clone()
    floating[0, 0, 0] = True
    return replace(sphere, floating=floating)
