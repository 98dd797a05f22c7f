"""Wilson statistics: absolute scale and mean displacement from measured intensities."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.cell import Cell, inverse_d_squared, volume
from xrdml.crystal.scattering import form_factor
from xrdml.crystal.statistics import shell_edges, shell_index, shell_mean
from xrdml.crystal.symmetry import Hkl, Symmetry

Array = NDArray[np.float64]

VOLUME_PER_NON_H_ATOM = 18.0
"""Å³ of an organic crystal for one non-hydrogen atom with its hydrogens (SCIENCE §5)."""

ORGANIC_COMPOSITION = {"C": 0.78, "H": 1.0, "N": 0.09, "O": 0.13}
"""Atoms per non-hydrogen atom of an average organic crystal; used where no formula is known."""

MEDIAN_E = {False: 0.832555, True: 0.674490}
"""Median |E| of acentric (Rayleigh) and centric (half-normal) reflections: Wilson (1949)."""

# B of molecular crystals in Å²: median and spread over 188 published P2₁, P2₁/c and P-1 structures,
# fitted to data to 0.8 Å. A Wilson line through data that end at 1.5 Å is too short to fix its own
# slope (the region below 1.5 Å is bent by the bond distances), so it is held to what crystals are like.
PRIOR_B = 2.8
PRIOR_B_SPREAD = 1.3
# Scatter of ln⟨I⟩ about the line from interatomic distances, per shell.
STRUCTURE_SPREAD = 0.35


def estimated_contents(cell: Cell) -> dict[str, float]:
    """Atoms in the cell of an average organic crystal of this volume, {symbol: count}."""
    n = volume(cell) / VOLUME_PER_NON_H_ATOM
    return {element: n * share for element, share in ORGANIC_COMPOSITION.items()}


def sum_f_squared(contents: dict[str, float], inverse_d2: Array) -> Array:
    """Σ f² over the atoms of the cell in electrons², at 1/d² in Å⁻²."""
    s_squared = np.asarray(inverse_d2) / 4
    total = np.zeros_like(s_squared)
    for symbol, count in contents.items():
        total += count * form_factor(gemmi.Element(symbol).atomic_number, s_squared) ** 2
    return total


@dataclass(frozen=True)
class WilsonFit:
    """⟨I⟩/ε = scale · Σf² · exp(−2 B s²), s = sinθ/λ.

    Attributes
    ----------
    scale
        Intensity units of the file per electron².
    b_iso
        Overall B in Å².
    b_sigma
        Standard deviation of B after the fit.
    contents
        Atoms of the cell that Σf² was summed over.
    """

    scale: float
    b_iso: float
    b_sigma: float
    contents: dict[str, float]

    def mean_intensity(self, inverse_d2: Array) -> Array:
        """⟨I⟩/ε on the scale of the data, at 1/d² in Å⁻²."""
        falloff = np.exp(-self.b_iso * np.asarray(inverse_d2) / 2)
        return self.scale * sum_f_squared(self.contents, inverse_d2) * falloff


def fit_wilson(
    hkl: Hkl, intensity: Array, cell: Cell, symmetry: Symmetry, contents: dict[str, float] | None = None
) -> WilsonFit:
    """Fit scale and B to unique intensities without systematic absences.

    A straight line through ln(⟨I⟩/ε Σf²) against 2s² in shells of equal volume, by least squares
    with a prior on B (see `PRIOR_B`): with data to 0.8 Å the data decide, at 2 Å the prior does.

    Parameters
    ----------
    hkl, intensity
        (n, 3) and (n,); negative intensities count as measured.
    contents
        Atoms in the cell; an average organic composition where not given.

    Raises
    ------
    ValueError
        No shell has a positive mean intensity.
    """
    contents = contents or estimated_contents(cell)
    inverse_d2 = inverse_d_squared(cell, hkl)
    n_shells = int(np.clip(len(hkl) // 30, 2, 20))
    edges = shell_edges(float(inverse_d2.max() ** -0.5), n_shells)
    shell = shell_index(inverse_d2, edges)
    ratio = intensity / symmetry.epsilon(hkl) / sum_f_squared(contents, inverse_d2)
    mean = shell_mean(ratio, shell, n_shells)
    count = np.bincount(shell, minlength=n_shells)
    good = (count > 0) & (np.nan_to_num(mean) > 0)
    if not good.any():
        raise ValueError("no resolution shell has a positive mean intensity")
    x = shell_mean(inverse_d2, shell, n_shells)[good] / 2
    y = np.log(mean[good])
    weight = 1 / (STRUCTURE_SPREAD**2 + 1 / count[good])
    design = np.stack([np.ones_like(x), -x], 1)
    normal = design.T @ (weight[:, None] * design)
    normal[1, 1] += PRIOR_B_SPREAD**-2
    right = design.T @ (weight * y) + np.array([0.0, PRIOR_B / PRIOR_B_SPREAD**2])
    log_scale, b_iso = np.linalg.solve(normal, right)
    b_sigma = float(np.sqrt(np.linalg.inv(normal)[1, 1]))
    return WilsonFit(float(np.exp(log_scale)), float(b_iso), b_sigma, contents)
