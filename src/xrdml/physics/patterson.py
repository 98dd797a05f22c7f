"""Patterson maps of Laue class 2/m on the quarter of the cell that is unique.

X(h, k, l) = X(h, −k, l) = X(−h, k, −l): the map Σ X cos 2πh·u is even in y and does not change when
x and z change sign together. A quarter of it, 0 < x < ½ and 0 < y < ½, is all there is to know.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

LAUE_GROUP = "P 1 2/m 1"


@dataclass(frozen=True)
class QuarterMap:
    """Cosine transforms between a box of Laue-unique reflections and a map.

    Points lie at u = (i + ½) / N along each axis: i < N/2 for x and y, i < N for z. The neighbour of the
    first or last point along y is that point itself, and along x the one with z reversed.
    Get it from :func:`quarter_map`, which caches.

    Attributes
    ----------
    x, y, z
        cos and sin of 2πhu for the indices h of an axis, (2, indices, points).
    weight
        Mates of a reflection on the whole sphere with another sign of k, or of h and l together, (H, K, L).
    """

    x: Tensor
    y: Tensor
    z: Tensor
    weight: Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        """Points of the quarter along x, y and z."""
        return self.x.shape[2], self.y.shape[2], self.z.shape[2]

    def to_map(self, box: Tensor) -> Tensor:
        """Σ_h X(h) cos 2πh·u over the whole sphere, (B, C, H, K, L) → (B, C, X, Y, Z).

        Positions of the box that are not Laue-unique (h < 0 with l = 0) must hold 0.
        """
        rows = torch.einsum("bchkl,ky->bchyl", box * self.weight, self.y[0])
        cos, sin = (torch.einsum("bchyl,lz->bchyz", rows, part) for part in self.z)
        return torch.einsum("bchyz,hx->bcxyz", cos, self.x[0]) - torch.einsum(
            "bchyz,hx->bcxyz", sin, self.x[1]
        )

    def from_map(self, density: Tensor) -> Tensor:
        """Mean of P(u) cos 2πh·u over the cell, the inverse of :meth:`to_map`: (B, C, X, Y, Z) → box."""
        cos, sin = (torch.einsum("bcxyz,hx->bchyz", density, part) for part in self.x)
        rows = torch.einsum("bchyz,lz->bchyl", cos, self.z[0]) - torch.einsum(
            "bchyz,lz->bchyl", sin, self.z[1]
        )
        return torch.einsum("bchyl,ky->bchkl", rows, self.y[0]) / math.prod(self.shape)

    def vectors(self) -> Tensor:
        """Fractional u of each point, the shortest image in fractions, (X, Y, Z, 3)."""
        nx, ny, nz = self.shape
        device = self.x.device
        x, y, z = (
            (torch.arange(count, device=device) + 0.5) / n
            for count, n in ((nx, 2 * nx), (ny, 2 * ny), (nz, nz))
        )
        return torch.stack(torch.meshgrid(x, y, z - z.round(), indexing="ij"), -1)


@lru_cache(maxsize=512)
def quarter_map(
    lower: tuple[int, int, int],
    stored: tuple[int, int, int],
    points: tuple[int, int, int],
    device: torch.device,
) -> QuarterMap:
    """Transforms of a box whose first position is `lower`, to `points` N (even along x and y).

    Raises
    ------
    ValueError
        The box begins at a negative k or l, which no tensor of Laue class 2/m does.
    """
    if lower[1] < 0 or lower[2] < 0:
        raise ValueError(f"a box of Laue class 2/m begins at k ≥ 0 and l ≥ 0, not at {lower}")
    tables, indices = [], []
    for first, n, size, count in zip(
        lower, stored, points, (points[0] // 2, points[1] // 2, points[2]), strict=True
    ):
        index = torch.arange(first, first + n, dtype=torch.float64)
        angle = 2 * math.pi * index[:, None] * (torch.arange(count, dtype=torch.float64) + 0.5) / size
        tables.append(torch.stack([angle.cos(), angle.sin()]).float().to(device))
        indices.append(index)
    h, k, l = torch.meshgrid(*indices, indexing="ij")
    weight = (1 + (k != 0).float()) * (1 + ((h != 0) | (l != 0)).float())
    x, y, z = tables
    return QuarterMap(x, y, z, weight.to(device))


def even(n: int, multiple: int = 2) -> int:
    """The smallest multiple that is at least n."""
    return -(-n // multiple) * multiple


def triplet_sums(e: Tensor, measured: Tensor, s: Tensor, lower: tuple[int, int, int]) -> Tensor:
    """Σ_k (|E_k|² − 1)(|E_h−k|² − 1) over measured reflections, at every position.

    The square of the sharpened, origin-removed Patterson map, back in reciprocal space: the quadratic
    estimate of |E_h|² − 1 from the neighbours that h is a sum of (Hauptman & Karle, 1957, Acta Cryst.
    10, 267). Negative values of the map, which no Patterson map of atoms has, are set to zero before.

    Parameters
    ----------
    e
        |E|, (B, H, K, L).
    measured, s
        As in :mod:`xrdml.data.keys`.
    lower
        Miller indices of the first position.

    Returns
    -------
    Tensor
        In units of its root mean square beyond the resolution of the measured ones, (B, H, K, L).
    """
    excess = (e.square() - 1) * measured
    shape = tuple(e.shape[1:])
    reach = [max(abs(a), abs(a + n - 1)) for a, n in zip(lower, shape, strict=True)]
    maps = quarter_map(lower, shape, tuple(even(2 * m + 2) for m in reach), e.device)
    density = maps.to_map(excess[:, None]).clamp_min(0)
    found = maps.from_map(density.square())[:, 0]
    limit = torch.where(measured, s, 0).amax((1, 2, 3), keepdim=True)
    outside = (s > limit) & (s <= 2 * limit)
    power = (found.square() * outside).sum((1, 2, 3)) / outside.sum((1, 2, 3)).clamp_min(1)
    return found / power.sqrt().clamp_min(1e-12).reshape(-1, 1, 1, 1)
