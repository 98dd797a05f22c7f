"""A periodic 3-D U-Net that turns a density with wrong phases towards the true one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

N_CONDITIONS = 8
"""Error level; d_min in Å; three grid spacings in Å; cosines of α, β, γ."""

# Typical values and spreads of the conditions, to bring them to the size of 1.
_CENTRE = (0.5, 1.6, 0.5, 0.5, 0.5, 0.0, -0.1, 0.0)
_SPREAD = (0.3, 0.3, 0.05, 0.05, 0.05, 0.15, 0.15, 0.15)


class DensityPrior(nn.Module):
    """Three levels of width w, 3w and 6w on the periodic grid of a unit cell.

    The coarse levels are wide because they are cheap (an eighth and a sixty-fourth of the points)
    and because they see as far as a molecule.

    Nothing about space group or origin enters; the metric of the grid does, with the level of the
    phase errors and the resolution of the data, through a scale and a shift of every block's
    channels (Perez et al., 2018, FiLM).

    Parameters
    ----------
    in_channels
        Maps a crystal.
    width
        w.
    """

    def __init__(self, in_channels: int = 1, width: int = 20):
        super().__init__()
        w = width
        self.condition = nn.Sequential(nn.Linear(N_CONDITIONS, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU())
        self.down1 = _Block(in_channels, w)
        self.down2 = _Block(w, 3 * w)
        self.bottom = _Block(3 * w, 6 * w)
        self.narrow2 = nn.Conv3d(6 * w, 3 * w, 1)
        self.up2 = _Block(6 * w, 3 * w)
        self.narrow1 = nn.Conv3d(3 * w, w, 1)
        self.up1 = _Block(2 * w, w)
        self.out = nn.Conv3d(w, 1, 1)

    def forward(self, x: Tensor, conditions: Tensor) -> Tensor:
        """Maps (B, C, X, Y, Z), conditions (B, 8) → map (B, X, Y, Z); X, Y, Z multiples of 4."""
        if any(n % 4 for n in x.shape[-3:]):
            raise ValueError(f"grid: expected multiples of 4, got {tuple(x.shape[-3:])}")
        c = self.condition((conditions - conditions.new_tensor(_CENTRE)) / conditions.new_tensor(_SPREAD))
        fine = self.down1(x, c)
        middle = self.down2(F.avg_pool3d(fine, 2), c)
        coarse = self.bottom(F.avg_pool3d(middle, 2), c)
        middle = self.up2(torch.cat([middle, _double(self.narrow2(coarse))], 1), c)
        fine = self.up1(torch.cat([fine, _double(self.narrow1(middle))], 1), c)
        return self.out(fine)[:, 0]


class _Block(nn.Module):
    """Two periodic convolutions with a shortcut; the conditions act between them."""

    def __init__(self, c_in: int, c_out: int):
        super().__init__()
        self.first = nn.Conv3d(c_in, c_out, 3, padding=1, padding_mode="circular")
        self.second = nn.Conv3d(c_out, c_out, 3, padding=1, padding_mode="circular")
        self.norm1 = nn.GroupNorm(4, c_out)
        self.norm2 = nn.GroupNorm(4, c_out)
        self.film = nn.Linear(64, 2 * c_out)
        self.shortcut = nn.Conv3d(c_in, c_out, 1)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        scale, shift = self.film(c)[..., None, None, None].chunk(2, 1)
        y = F.silu(self.norm1(self.first(x)) * (1 + scale) + shift)
        return F.silu(self.norm2(self.second(y)) + self.shortcut(x))


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")
