"""Which atom is which element, once the atoms are where they belong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Hkl
from xrdml.phasing.peaks import START_U
from xrdml.phasing.refine import refine


def refine_with_elements(
    structure: Structure,
    hkl: Hkl,
    f_obs: NDArray[np.float64],
    map_hkl: Hkl,
    f_map: NDArray[np.complexfloating],
) -> tuple[Structure, float, float]:
    """Refine, and let the measured amplitudes say which element an atom is.

    A drawn density tells where atoms are better than how many electrons they have. So all atoms are
    also refined as one element: those that are heavier come out with a small U, lighter ones with
    a large U, and the same elements are given out again in this order. What explains the measured
    amplitudes better is kept, as U says little beside an atom that is much heavier than the others.

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
    numbers = np.empty_like(structure.numbers)
    numbers[np.argsort(refined.u_iso, kind="stable")] = np.sort(structure.numbers)[::-1]
    by_u = refine(replace(refined, numbers=numbers, u_iso=u), *data)
    return min(by_height, by_u, key=lambda result: result[2])
