"""The three levels that all 3-D U-Nets here share."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xrdml.models._norm import BatchNorm

Padding = Literal["zeros", "circular"]


class UNetLevels(nn.Module):
    """Widths w, 2w and 4w, each level two 3×3×3 convolutions on the way down and two on the way up.

    Parameters
    ----------
    in_channels
        Input tensors a crystal.
    width
        w.
    padding_mode
        Of the convolutions: ``zeros``, or ``circular`` for what is periodic.
    """

    def __init__(self, in_channels: int, width: int, padding_mode: Padding = "zeros"):
        super().__init__()
        if width < 1:
            raise ValueError("width must be at least 1")
        w, mode = width, padding_mode
        self.down1 = _block(in_channels, w, mode)
        self.down2 = _block(w, 2 * w, mode)
        self.bottom = _block(2 * w, 4 * w, mode)
        self.up2 = _block(4 * w + 2 * w, 2 * w, mode)
        self.up1 = _block(2 * w + w, w, mode)
        self.out = nn.Conv3d(w, 1, 1)

    def levels(self, x: Tensor) -> Tensor:
        """(B, C, X, Y, Z) → (B, X, Y, Z); X, Y, Z multiples of 4."""
        fine = self.after("down1", 0, self.down1(x))
        middle = self.after("down2", 1, self.down2(self.pool(fine)))
        coarse = self.after("bottom", 2, self.bottom(self.pool(middle)))
        middle = self.after("up2", 1, self.up2(torch.cat([_double(coarse), middle], 1)))
        fine = self.after("up1", 0, self.up1(torch.cat([_double(middle), fine], 1)))
        return self.out(fine)[:, 0]

    def pool(self, x: Tensor) -> Tensor:
        """Half the points along each axis."""
        return F.max_pool3d(x, 2)

    def after(self, block: str, level: int, x: Tensor) -> Tensor:
        """What follows a block of a level (0 is the finest)."""
        return x


def pad_to(x: Tensor, front: tuple[int, int, int], multiple: int) -> Tensor:
    """Zeros before the three spatial axes, and as many behind as make them a multiple."""
    pads: list[int] = []
    for n, before in zip(x.shape[:-4:-1], front[::-1], strict=True):
        pads += [before, -(n + before) % multiple]
    return F.pad(x, pads)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def _block(c_in: int, c_out: int, padding_mode: Padding) -> nn.Sequential:
    # A bias before batch normalisation would have no effect.
    return nn.Sequential(
        nn.Conv3d(c_in, c_out, 3, padding=1, bias=False, padding_mode=padding_mode),
        BatchNorm(c_out),
        nn.ReLU(inplace=True),
        nn.Conv3d(c_out, c_out, 3, padding=1, bias=False, padding_mode=padding_mode),
        BatchNorm(c_out),
        nn.ReLU(inplace=True),
    )
