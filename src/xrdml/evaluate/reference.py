"""A phased map and its atoms beside a known structure, whatever origin and hand they have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from xrdml.crystal.cell import metric
from xrdml.crystal.expand import expand_to_p1, fft_shape, to_fft_grid
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Hkl
from xrdml.physics.structure_factors import collate, structure_factors

MATCH_DISTANCE = 0.5
"""Å."""
SEARCH_SPACING = 0.3
"""Å between the origins that are tried; a parabola goes on from there."""
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
    rmsd
        Of the matched atoms, Å; NaN where none is.
    """

    map_cc: float
    atoms_matched: float
    rmsd: float

    @property
    def is_solved(self) -> bool:
        return self.map_cc >= SOLVED_CC and self.atoms_matched >= SOLVED_MATCHED


def compare_with_reference(
    reference: Structure, hkl: Hkl, f: NDArray[np.complexfloating], frac: NDArray[np.float64]
) -> Agreement:
    """Compare phased structure factors and atoms with a structure in the same setting.

    Parameters
    ----------
    hkl, f
        Laue-unique reflections without absences, (m, 3), and their phased F on any scale, (m,).
    frac
        Fractional coordinates of atoms or peaks about the same origin as the phases, (n, 3).
    """
    with torch.no_grad():
        f_true = structure_factors(collate([reference]), torch.from_numpy(np.ascontiguousarray(hkl)))[0]
    sphere = expand_to_p1(hkl, reference.symmetry)
    true = sphere.structure_factors(f_true.numpy().astype(np.complex128))
    found = sphere.structure_factors(np.asarray(f, dtype=np.complex128))
    shape = fft_shape(reference.cell, SEARCH_SPACING)
    best = (-2.0, 1, np.zeros(3))
    for hand, mate in ((1, found), (-1, found.conj())):
        cross = true * mate.conj()
        shift = _highest(to_fft_grid(shape, sphere.hkl, cross))
        value = float((cross * np.exp(-2j * np.pi * (sphere.hkl @ shift))).real.sum())
        norm = np.sqrt((np.abs(true) ** 2).sum() * (np.abs(found) ** 2).sum())
        best = max(best, (value / max(norm, 1e-12), hand, shift), key=lambda item: item[0])
    cc, hand, shift = best
    distance = _distances(reference, hand * np.asarray(frac).reshape(-1, 3) + shift)
    matched = distance < MATCH_DISTANCE
    rmsd = float(np.sqrt((distance[matched] ** 2).mean())) if matched.any() else float("nan")
    return Agreement(float(cc), float(matched.mean()), rmsd)


def _highest(cross: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Where Σ X(h) exp(−2πi h·t) is largest: fractional t, (3,)."""
    value = np.fft.fftn(cross).real
    point = np.unravel_index(int(value.argmax()), value.shape)
    t = np.array(point, dtype=np.float64)
    for axis, n in enumerate(value.shape):
        low, mid, high = (np.take(value, (point[axis] + d) % n, axis) for d in (-1, 0, 1))
        others = tuple(p for i, p in enumerate(point) if i != axis)
        curvature = low[others] - 2 * mid[others] + high[others]
        if curvature < 0:
            t[axis] += np.clip(0.5 * (low[others] - high[others]) / curvature, -0.5, 0.5)
    return t / np.array(value.shape)


def _distances(reference: Structure, frac: NDArray[np.float64]) -> NDArray[np.float64]:
    """From each non-H atom of the reference to the nearest image of any site (n, 3), Å."""
    atoms = reference.frac[(reference.numbers > 1) & (reference.occupancy >= 0.5)]
    if len(frac) == 0:
        return np.full(len(atoms), np.inf)
    group, g = reference.symmetry, metric(reference.cell)
    images = np.einsum("sij,nj->sni", group.rotations, frac) + group.translations[:, None, :]
    delta = atoms[:, None, :] - images.reshape(-1, 3)[None]
    delta -= np.round(delta)
    return np.sqrt(np.einsum("abi,ij,abj->ab", delta, g, delta).min(1))
