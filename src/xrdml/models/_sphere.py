"""From the stored part of reciprocal space to the whole sphere, and to maps in direct space.

Written for Laue class 2/m with unique axis b, the class of the thesis: X(h, k, l) = X(h, −k, l) =
X(−h, k, −l) = X(−h, −k, −l). A transform of such a function is real and has the same symmetry.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from xrdml.crystal.grid import HklGrid
from xrdml.crystal.symmetry import symmetry

LAUE_GROUP = "P 1 2/m 1"
_AXES = (-3, -2, -1)


@dataclass(frozen=True)
class Sphere:
    """Index maps between a stored box of reflections and the quarter of an FFT that 2/m leaves unique.

    Get it from :func:`sphere`, which caches.

    Attributes
    ----------
    stored
        H, K, L of the stored box.
    full
        Points (N₁, N₂, N₃) of the FFT along h, k, l.
    source
        For every point of the quarter (N₁, N₂//2 + 1, N₃//2 + 1) in C order the stored position of
        its Laue-unique mate; H·K·L, where a zero is put, for mates that the box does not hold.
    target
        For every stored position its point of the quarter, (H·K·L,).
    mirror
        The point of 0…N₂//2 that stands for each of 0…N₂ − 1, (N₂,).
    """

    stored: tuple[int, int, int]
    full: tuple[int, int, int]
    source: Tensor
    target: Tensor
    mirror: Tensor

    @property
    def quarter(self) -> tuple[int, int, int]:
        return self.full[0], self.full[1] // 2 + 1, self.full[2] // 2 + 1

    def expand(self, x: Tensor) -> Tensor:
        """Values of the box at all unique points of the FFT: (B, C, H, K, L) → (B, C, *quarter)."""
        flat = x.flatten(2)
        with_zero = torch.cat([flat, flat.new_zeros(*flat.shape[:2], 1)], 2)
        return with_zero.index_select(2, self.source).unflatten(2, self.quarter)

    def collect(self, x: Tensor) -> Tensor:
        """The box of the unique points: (B, C, *quarter) → (B, C, H, K, L)."""
        return x.flatten(2).index_select(2, self.target).unflatten(2, self.stored)

    def to_map(self, x: Tensor) -> Tensor:
        """Σ_h X(h) cos 2πh·u / √N over all h, at u = i/full: the Patterson map where X is |F|².

        (B, C, *quarter) → (B, C, *full), N points; single precision.
        """
        half = x.float().index_select(3, self.mirror)
        return torch.fft.irfftn(
            torch.complex(half, torch.zeros_like(half)), s=self.full, dim=_AXES, norm="ortho"
        )

    def from_map(self, density: Tensor) -> Tensor:
        """The inverse of :meth:`to_map`; a map without the symmetry is averaged over it."""
        half = torch.fft.rfftn(density.float(), dim=_AXES, norm="ortho").real
        n = self.quarter[1]
        return (half[:, :, :, :n] + half.flip(3).roll(1, 3)[:, :, :, :n]) / 2

    def transform(self, x: Tensor) -> Tensor:
        """As :meth:`to_map`, at the unique points alone; its own inverse: (B, C, *quarter) → same."""
        _, k, l = self.quarter
        return self.to_map(x)[:, :, :, :k, :l]


@lru_cache(maxsize=32)
def sphere(
    lower: tuple[int, int, int], stored: tuple[int, int, int], device: torch.device, multiple: int = 1
) -> Sphere:
    """Index maps of a box whose first position is `lower`, for FFTs of a multiple of `multiple` points.

    Raises
    ------
    ValueError
        The box begins at a negative k or l, which no tensor of Laue class 2/m does.
    """
    if lower[1] < 0 or lower[2] < 0:
        raise ValueError(f"a box of Laue class 2/m begins at k ≥ 0 and l ≥ 0, not at {lower}")
    upper = [a + n - 1 for a, n in zip(lower, stored, strict=True)]
    reach = [max(abs(a), abs(b)) for a, b in zip(lower, upper, strict=True)]
    n1, n2, n3 = (-(-(2 * m + 1) // multiple) * multiple for m in reach)
    box = HklGrid(lower, (upper[0], upper[1], upper[2]))
    axes = [np.fft.fftfreq(n1, 1 / n1), np.arange(n2 // 2 + 1), np.arange(n3 // 2 + 1)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3).round().astype(np.int32)
    unique = symmetry(LAUE_GROUP).to_asu(points)
    inside = box.contains(unique)
    source = np.full(len(points), np.prod(stored), np.int64)
    source[inside] = np.ravel_multi_index(box.index(unique[inside]), stored)
    h, k, l = box.hkl.T
    target = ((h % n1) * (n2 // 2 + 1) + k) * (n3 // 2 + 1) + l
    mirror = np.minimum(np.arange(n2), n2 - np.arange(n2))
    tensors = (torch.from_numpy(a.astype(np.int64)).to(device) for a in (source, target, mirror))
    return Sphere(stored, (n1, n2, n3), *tensors)
