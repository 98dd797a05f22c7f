"""A phased map and its atoms beside a known structure, whatever origin and hand they have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray

from xrdml.crystal.cell import Cell, metric
from xrdml.crystal.expand import expand_to_p1, fft_shape, to_fft_grid
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Hkl, Symmetry
from xrdml.errors import UserError
from xrdml.physics.structure_factors import collate, structure_factors

MATCH_DISTANCE = 0.5
"""Å."""
SEARCH_SPACING = 0.3
"""Å between the origins that are tried; Newton's steps go on from the best."""
NEWTON_STEPS = 4
SOLVED_CC, SOLVED_MATCHED = 0.75, 0.8


@dataclass(frozen=True)
class Agreement:
    """How far a solution agrees with the truth.

    Attributes
    ----------
    map_cc
        Correlation of the maps at the best origin and hand.
    atoms_matched
        Share of the reference's non-H atoms (main part of a disorder) that have a peak within
        `MATCH_DISTANCE`.
    n_atoms
        How many of these the reference has.
    rmsd
        Of the matched atoms, Å; NaN where none is.
    """

    map_cc: float
    atoms_matched: float
    n_atoms: int
    rmsd: float

    @property
    def is_solved(self) -> bool:
        return self.map_cc >= SOLVED_CC and self.atoms_matched >= SOLVED_MATCHED


def compare_with_reference(
    reference: Structure,
    hkl: Hkl,
    f: NDArray[np.complexfloating],
    frac: NDArray[np.float64],
    symmetry: Symmetry | None = None,
) -> Agreement:
    """Compare phased structure factors and atoms with a structure in the same cell.

    Every origin is tried, in both hands: the group of the phases allows few of them, but the best
    is among these if the phases are right, and polar axes need no care.

    Parameters
    ----------
    hkl, f
        Laue-unique reflections without absences, (m, 3), and their phased F on any scale, (m,).
    frac
        Fractional coordinates of atoms or peaks about the same origin as the phases, (n, 3).
    symmetry
        Of the phases and atoms where it is not that of the reference: the enantiomorphic group, or
        another choice of origin.
    """
    group = symmetry or reference.symmetry
    sphere = expand_to_p1(hkl, group)
    with torch.no_grad():
        f_true = structure_factors(collate([reference]), torch.from_numpy(sphere.hkl))[0]
    true = f_true.numpy().astype(np.complex128)
    found = sphere.structure_factors(np.asarray(f, dtype=np.complex128))
    best = (-2.0, 1, np.zeros(3))
    for hand, mate in ((1, found), (-1, found.conj())):
        cross = true * mate.conj()
        shift = _highest(sphere.hkl, cross, reference.cell)
        value = float((cross * np.exp(-2j * np.pi * (sphere.hkl @ shift))).real.sum())
        norm = np.sqrt((np.abs(true) ** 2).sum() * (np.abs(found) ** 2).sum())
        best = max(best, (value / max(norm, 1e-12), hand, shift), key=lambda item: item[0])
    cc, hand, shift = best
    x = np.asarray(frac, dtype=np.float64).reshape(-1, 3)
    images = (np.einsum("sij,nj->sni", group.rotations, x) + group.translations[:, None, :]).reshape(-1, 3)
    distance = _distances(reference, hand * images + shift)
    matched = distance < MATCH_DISTANCE
    rmsd = float(np.sqrt((distance[matched] ** 2).mean())) if matched.any() else float("nan")
    return Agreement(float(cc), float(matched.mean()), len(distance), rmsd)


def check_same_cell(reference: Structure, cell: Cell, path: str | Path) -> None:
    """Raise UserError where the reference, read from `path`, has another cell (2 % / 2° allowed)."""
    if gemmi.UnitCell(*reference.cell).is_similar(gemmi.UnitCell(*cell), 0.02, 2.0):
        return
    ours, theirs = (" ".join(f"{x:g}" for x in c) for c in (cell, reference.cell))
    raise UserError(
        f"has the cell {theirs}, the data have {ours}; give a reference in this setting", path=path
    )


def _highest(hkl: Hkl, cross: NDArray[np.complex128], cell: Cell) -> NDArray[np.float64]:
    """Where Σ X(h) exp(−2πi h·t) is largest: fractional t, (3,), by a grid and Newton's steps."""
    shape = fft_shape(cell, SEARCH_SPACING)
    value = np.fft.fftn(to_fft_grid(shape, hkl, cross)).real
    t = np.array(np.unravel_index(int(value.argmax()), shape)) / np.array(shape)
    for _ in range(NEWTON_STEPS):
        terms = cross * np.exp(-2j * np.pi * (hkl @ t))
        gradient = 2 * np.pi * (terms.imag @ hkl)
        curvature = -((2 * np.pi) ** 2) * (hkl.T * terms.real) @ hkl
        if np.linalg.eigvalsh(curvature).max() >= 0:
            break  # no maximum near here: the grid point has to do
        t = t - np.linalg.solve(curvature, gradient)
    return t


def _distances(reference: Structure, frac: NDArray[np.float64]) -> NDArray[np.float64]:
    """From each non-H atom of the reference to the nearest site (n, 3) of the whole cell, Å."""
    atoms = reference.frac[(reference.numbers > 1) & (reference.occupancy >= 0.5)]
    if len(frac) == 0:
        return np.full(len(atoms), np.inf)
    delta = atoms[:, None, :] - frac[None]
    delta -= np.round(delta)
    return np.sqrt(np.einsum("abi,ij,abj->ab", delta, metric(reference.cell), delta).min(1))
