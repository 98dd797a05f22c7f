"""From unique reflections to the whole sphere, and the grid that holds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.cell import Cell
from xrdml.crystal.symmetry import Hkl, Symmetry


@dataclass(frozen=True)
class Expansion:
    """All symmetry equivalents and Friedel mates of a list of reflections, each once.

    Attributes
    ----------
    hkl
        (m, 3).
    source
        Row of the original list, (m,).
    conjugate
        Whether it is a Friedel mate of an equivalent, (m,).
    shift
        Phase shift in radians: F = exp(i·shift)·F[source], conjugated before where `conjugate`, (m,).
    """

    hkl: Hkl
    source: NDArray[np.intp]
    conjugate: NDArray[np.bool_]
    shift: NDArray[np.float64]

    def structure_factors(self, f: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
        """F of all equivalents, (m,), from those of the original list, (n,)."""
        own = f[self.source]
        return np.where(self.conjugate, own.conj(), own) * np.exp(1j * self.shift)


def expand_to_p1(hkl: Hkl, symmetry: Symmetry) -> Expansion:
    """Expand unique reflections: F(hR) = F(h) exp(−2πi h·t), F(−h) = F*(h).

    Parameters
    ----------
    hkl
        Laue-unique, (n, 3); systematic absences have no phase and must not be among them.
    """
    h = np.asarray(hkl, dtype=np.int32)
    n = len(h)
    rotated = np.einsum("ni,sij->snj", h, symmetry.rotations).reshape(-1, 3)
    turn = 2 * np.pi * np.einsum("ni,si->sn", h, symmetry.translations).ravel()
    source = np.tile(np.arange(n), symmetry.order)
    everything = np.concatenate([rotated, -rotated])
    _, first = np.unique(everything, axis=0, return_index=True)
    return Expansion(
        everything[first].astype(np.int32),
        np.concatenate([source, source])[first],
        first >= len(rotated),
        np.concatenate([-turn, turn])[first],
    )


def fft_shape(cell: Cell, spacing: float = 0.5, multiple: int = 4) -> tuple[int, int, int]:
    """Points along a, b, c: the multiples of `multiple` nearest to axis / spacing (Å), at least 8."""
    a, b, c = (max(8, multiple * round(axis / spacing / multiple)) for axis in cell[:3])
    return (a, b, c)


def to_fft_grid(shape: tuple[int, int, int], hkl: Hkl, values: NDArray) -> NDArray:
    """Put values (m,) at hkl (m, 3) on a periodic grid in FFT order; those beyond half of it are left out."""
    inside = (2 * np.abs(hkl) < np.array(shape)).all(1)
    grid = np.zeros(shape, dtype=values.dtype)
    grid[tuple((hkl[inside] % np.array(shape)).T)] = values[inside]
    return grid
