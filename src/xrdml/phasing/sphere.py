"""The measured amplitudes of one crystal on the periodic grid of its cell."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from xrdml.crystal.cell import Cell, inverse_d_squared
from xrdml.crystal.expand import expand_to_p1, fft_shape, to_fft_grid
from xrdml.crystal.symmetry import Hkl, Symmetry
from xrdml.data.density import D_HIGH, fft_indices


@dataclass(frozen=True)
class MeasuredSphere:
    """Amplitudes in P1, in FFT order.

    Attributes
    ----------
    cell, symmetry
        The crystal; the iteration itself knows no symmetry.
    d_limit
        Resolution of the data, Å.
    amplitude
        |F|, (X, Y, Z), scaled so that the sum of squares over `known` is the number of grid
        points: the density of the known part has variance 1. 0 where not known.
    known
        Reflections that constrain the iteration: measured ones and systematic absences.
    free
        Measured reflections left out of the iteration to judge it by.
    floating
        Reflections to d_limit that do not constrain it, because they were not measured or are free.
    drawn
        Reflections which the density is drawn from.
    """

    cell: Cell
    symmetry: Symmetry
    d_limit: float
    amplitude: Tensor
    known: Tensor
    free: Tensor
    floating: Tensor
    drawn: Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        x, y, z = self.amplitude.shape
        return (x, y, z)

    def to(self, device: torch.device | str) -> MeasuredSphere:
        """The same on another device."""
        names = ("amplitude", "known", "free", "floating", "drawn")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


def measured_sphere(
    hkl: Hkl,
    f: np.ndarray,
    cell: Cell,
    symmetry: Symmetry,
    d_limit: float,
    free_fraction: float = 0.05,
    seed: int = 0,
    d_drawn: float = D_HIGH,
    spacing: float = 0.5,
) -> MeasuredSphere:
    """Expand unique amplitudes to the whole sphere.

    Parameters
    ----------
    hkl, f
        Laue-unique reflections without absences, (n, 3), and |F| on any scale, (n,); what lies
        beyond `d_limit` or `d_drawn` is ignored.
    free_fraction
        Share of the unique reflections that is left out, at random by `seed`.
    d_drawn
        Resolution of the density, Å; data beyond it are ignored.
    spacing
        Of the grid, Å.
    """
    d_used = max(d_limit, d_drawn)
    inside = inverse_d_squared(cell, hkl) <= d_used**-2 * (1 + 1e-6)
    hkl, f = hkl[inside], np.asarray(f, dtype=np.float32)[inside]
    shape = fft_shape(cell, spacing)
    left_out = np.random.default_rng(seed).random(len(hkl)) < free_fraction
    sphere = expand_to_p1(hkl, symmetry)
    amplitude = to_fft_grid(shape, sphere.hkl, f[sphere.source])
    measured = to_fft_grid(shape, sphere.hkl, np.ones(len(sphere.hkl), bool))
    free = to_fft_grid(shape, sphere.hkl, left_out[sphere.source])
    indices, drawn = fft_indices(cell, shape, d_drawn)
    flat = indices.reshape(-1, 3)
    inverse_d2 = inverse_d_squared(cell, flat)
    within = (inverse_d2 <= d_limit**-2 * (1 + 1e-6)).reshape(shape) & drawn
    absent = symmetry.is_absent(flat).reshape(shape) & within
    known = (measured & ~free) | absent
    scale = math.sqrt(math.prod(shape) / float((amplitude[known].astype(np.float64) ** 2).sum()))
    return MeasuredSphere(
        cell,
        symmetry,
        d_limit,
        torch.from_numpy(amplitude * np.float32(scale)),
        torch.from_numpy(known),
        torch.from_numpy(free),
        torch.from_numpy(within & ~known),
        torch.from_numpy(drawn),
    )
