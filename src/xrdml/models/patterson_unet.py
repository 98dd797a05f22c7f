"""Super-resolution of the Patterson map in direct space, and back to |F|."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xrdml.models.layout import Layout
from xrdml.physics.patterson import LAUE_GROUP, QuarterMap, even, quarter_map

_MULTIPLE = 8
"""Of the points along x and y, so that half of them can be halved twice."""

_MAPS = 4
"""Input maps: the Patterson map, the square of its positive part, the mask's transform, distance."""


class PattersonUNet(nn.Module):
    """A U-Net from the Patterson map of the measured reflections to that of all.

    Each crystal has a grid of its own, about d_min/2 fine, so that a kernel spans the same distance in
    every cell; only the unique quarter of the map is drawn (class 2/m), with the neighbours that
    symmetry gives beyond its faces. Coefficients of `drawn` maps meet in a small perceptron with
    the channels of their reflection.

    Parameters
    ----------
    in_channels
        Input tensors a crystal; the first two are ``f`` (with quantity e, |E|) and ``measured``.
    width
        Channels of the finest level; twice and four times as many on the coarser ones.
    drawn
        Maps that the U-Net draws.

    Attributes
    ----------
    laue_group
        The only Laue class that it is right for.
    """

    laue_group = LAUE_GROUP

    def __init__(self, in_channels: int, width: int = 16, drawn: int = 8):
        super().__init__()
        if width < 4 or width % 4:
            raise ValueError("width must be a multiple of 4")
        if in_channels < 2:
            raise ValueError("channels must begin with f, measured")
        w = width
        self.down1, self.down2 = _Block(_MAPS, w), _Block(w, 2 * w)
        self.bottom = _Block(2 * w, 4 * w)
        self.up2, self.up1 = _Block(4 * w + 2 * w, 2 * w), _Block(2 * w + w, w)
        self.out = nn.Conv3d(w, drawn, 1)
        self.head = nn.Sequential(
            nn.Linear(drawn + _MAPS + in_channels, 64),
            nn.SiLU(),
            nn.Linear(64, 64),
            nn.SiLU(),
            nn.Linear(64, 1),
        )
        # It begins with what an amplitude is without any knowledge of the structure.
        for parameter in self.head[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        """(B, C, H, K, L) → (B, H, K, L), any H, K, L; one crystal after the other."""
        if layout.cell is None:
            raise ValueError("patterson_unet needs the cells of the crystals in its layout")
        return torch.cat(
            [self._one(x[i : i + 1], layout.lower, layout.sphere[i], layout.cell[i]) for i in range(len(x))]
        )

    def _one(self, x: Tensor, lower: tuple[int, int, int], sphere: Tensor, cell: Tensor) -> Tensor:
        maps = quarter_map(lower, tuple(x.shape[2:]), _points(lower, sphere), x.device)
        measured = x[:, 1:2].float()
        excess = (x[:, :1].float().square() - 1) * measured
        density = maps.to_map(torch.cat([excess, measured], 1))
        density = density / density.std((2, 3, 4), keepdim=True).clamp_min(1e-12)
        positive = density[:, :1].clamp_min(0).square()
        seen = torch.cat([density[:, :1], positive / 4, density[:, 1:], _nearness(maps, cell)], 1)
        fine = self.down1(seen)
        middle = self.down2(F.avg_pool3d(fine, 2))
        coarse = self.bottom(F.avg_pool3d(middle, 2))
        middle = self.up2(torch.cat([_double(coarse), middle], 1))
        fine = self.up1(torch.cat([_double(middle), fine], 1))
        found = maps.from_map(torch.cat([self.out(fine).float(), seen], 1))
        # To the size of 1 where reflections are; what one lattice point more adds to a map shrinks with
        # the number of points.
        size = (found.square() * sphere).sum((2, 3, 4), keepdim=True) / sphere.sum().clamp_min(1)
        values = torch.cat([found / size.sqrt().clamp_min(1e-6), x.float()], 1)
        return self.head(values.movedim(1, -1))[..., 0]


def _points(lower: tuple[int, int, int], sphere: Tensor) -> tuple[int, int, int]:
    """Points along x, y, z that hold every reflection of the sphere."""
    counts = []
    for axis, first in enumerate(lower):
        inside = sphere.any(dim=tuple(i for i in range(3) if i != axis)).nonzero() + first
        counts.append(2 * int(inside.abs().max()) + 2 if len(inside) else 2)
    return even(counts[0], _MULTIPLE), even(counts[1], _MULTIPLE), even(counts[2], _MULTIPLE // 2)


def _nearness(maps: QuarterMap, cell: Tensor) -> Tensor:
    """exp(−|u| / 3 Å) of the shortest vector (in fractions) at each point, (1, 1, X, Y, Z)."""
    lengths, angles = cell[:3], torch.deg2rad(cell[3:])
    vector = maps.vectors() * lengths
    products = vector[..., [1, 0, 0]] * vector[..., [2, 2, 1]] * angles.cos()
    distance = (vector.square().sum(-1) + 2 * products.sum(-1)).clamp_min(0).sqrt()
    return torch.exp(-distance / 3)[None, None]


class _Block(nn.Module):
    """Two convolutions with a shortcut, on the quarter of a Patterson map."""

    def __init__(self, c_in: int, c_out: int):
        super().__init__()
        self.first, self.second = nn.Conv3d(c_in, c_out, 3), nn.Conv3d(c_out, c_out, 3)
        self.norm1, self.norm2 = nn.GroupNorm(4, c_out), nn.GroupNorm(4, c_out)
        self.shortcut = nn.Conv3d(c_in, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.silu(self.norm1(self.first(_surround(x))))
        return F.silu(self.norm2(self.second(_surround(y))) + self.shortcut(x))


def _surround(x: Tensor) -> Tensor:
    """One point more on each side, as symmetry gives it (see `QuarterMap`)."""
    x = torch.cat([x[:, :, :1].flip(4), x, x[:, :, -1:].flip(4)], 2)
    x = torch.cat([x[:, :, :, :1], x, x[:, :, :, -1:]], 3)
    return torch.cat([x[..., -1:], x, x[..., :1]], 4)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")
