"""Which atom is which element, once the atoms are where they belong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.cell import inverse_d_squared
from xrdml.crystal.scattering import form_factor
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Hkl
from xrdml.phasing.peaks import START_U
from xrdml.phasing.refine import refine

Refined = tuple[Structure, float, float]


def refine_with_elements(
    structure: Structure,
    hkl: Hkl,
    f_obs: NDArray[np.float64],
    map_hkl: Hkl,
    f_map: NDArray[np.complexfloating],
) -> Refined:
    """Refine, and let the measured amplitudes say which element an atom is.

    A drawn density tells where atoms are better than how many electrons they have. So elements are
    also given out by the U of a refinement of all atoms as one element: what is heavier comes out
    with a small U. From both, elements are exchanged between atoms as long as that explains the
    amplitudes better (:func:`exchanged`), and what refines to the lowest R1 is kept.

    Parameters
    ----------
    structure
        Atoms with elements by the heights of their peaks.
    hkl, f_obs, map_hkl, f_map
        As :func:`xrdml.phasing.refine.refine` takes them.

    Returns
    -------
    structure, scale, r1
        As :func:`xrdml.phasing.refine.refine` returns them.
    """
    data = (hkl, f_obs, map_hkl, f_map)
    by_height = refine(structure, *data)
    kinds, counts = np.unique(structure.numbers, return_counts=True)
    if len(kinds) == 1:
        return by_height
    u = np.full(len(structure), START_U)
    alike = np.full(len(structure), kinds[counts.argmax()], dtype=np.uint8)
    refined, _, _ = refine(replace(structure, numbers=alike, u_iso=u), *data)
    by_u = np.empty_like(structure.numbers)
    by_u[np.argsort(refined.u_iso, kind="stable")] = np.sort(structure.numbers)[::-1]

    found = [by_height]
    tried = [by_height[0].numbers]
    for placed, numbers in ((by_height[0], structure.numbers), (refined, by_u)):
        better = exchanged(replace(placed, numbers=numbers), hkl, f_obs)
        if not any((better == t).all() for t in tried):
            tried.append(better)
            found.append(refine(replace(placed, numbers=better, u_iso=u), *data))
    return min(found, key=lambda result: result[2])


def exchanged(structure: Structure, hkl: Hkl, f_obs: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Atomic numbers after the exchanges of two elements that lower Σ(|Fo| − k|Fc|)², (n,).

    One by one, the best first, until none helps. Positions stay; all atoms have the median U, since
    refined U's hide a wrong element.
    """
    s2 = inverse_d_squared(structure.cell, hkl) / 4
    waves = _waves(structure, hkl) * np.exp(-8 * np.pi**2 * np.median(structure.u_iso) * s2)
    numbers = structure.numbers.copy()
    kinds, index = np.unique(numbers, return_inverse=True)
    factors = form_factor(kinds[:, None], s2)
    f = (factors[index] * waves).sum(0)
    best = _misfit(f[None], f_obs)[0]
    while True:
        first, second = np.nonzero(np.triu(index[:, None] != index))
        if len(first) == 0:
            return numbers
        change = (factors[index[second]] - factors[index[first]]) * (waves[first] - waves[second])
        misfit = _misfit(f + change, f_obs)
        k = int(misfit.argmin())
        if misfit[k] >= best * (1 - 1e-6):
            return kinds[index].astype(np.uint8)
        i, j = first[k], second[k]
        index[i], index[j] = index[j], index[i]
        f, best = f + change[k], misfit[k]


def _waves(structure: Structure, hkl: Hkl) -> NDArray[np.complex128]:
    """Σ exp(2πi h·x) over the images of each atom, weighted by its occupancy, (n, h)."""
    group, x = structure.symmetry, structure.frac
    images = np.einsum("sij,nj->nsi", group.rotations, x) + group.translations
    weight = structure.occupancy / group.site_order(x, structure.cell)
    out = np.zeros((len(x), len(hkl)), dtype=np.complex128)
    for s in range(images.shape[1]):
        out += np.exp(2j * np.pi * (images[:, s] @ hkl.T))
    return out * weight[:, None]


def _misfit(f: NDArray[np.complex128], f_obs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Σ(|Fo| − k|Fc|)² / Σ|Fo|² with the best k for each row, (p, h) → (p,)."""
    size = np.abs(f)
    overlap = (size * f_obs).sum(1) ** 2 / np.maximum((size**2).sum(1), 1e-12)
    return 1 - overlap / (f_obs**2).sum()
