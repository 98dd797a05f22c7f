"""The thesis' 3-D U-Net."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class UNet(nn.Module):
    """Three levels of width w, 2w and 4w, each of two 3×3×3 convolutions.

    Width 64 and one channel have 5.64 M parameters, the thesis' number: the way up is
    parameter-free upsampling and concatenation.

    Parameters
    ----------
    in_channels
        Input tensors a crystal.
    width
        w.
    """

    def __init__(self, in_channels: int, width: int = 64):
        super().__init__()
        if width < 1:
            raise ValueError("width must be at least 1")
        self.down1 = _block(in_channels, width)
        self.down2 = _block(width, 2 * width)
        self.bottom = _block(2 * width, 4 * width)
        self.up2 = _block(4 * width + 2 * width, 2 * width)
        self.up1 = _block(2 * width + width, width)
        self.out = nn.Conv3d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, K, L) → (B, H, K, L), any H, K, L: padded to multiples of 4 within."""
        h, k, l = x.shape[-3:]
        x = F.pad(x, (0, -l % 4, 0, -k % 4, 0, -h % 4))
        fine = self.down1(x)
        middle = self.down2(F.max_pool3d(fine, 2))
        coarse = self.bottom(F.max_pool3d(middle, 2))
        middle = self.up2(torch.cat([_double(coarse), middle], 1))
        fine = self.up1(torch.cat([_double(middle), fine], 1))
        return self.out(fine)[:, 0, :h, :k, :l]


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def _block(c_in: int, c_out: int) -> nn.Sequential:
    # A bias before batch normalisation would have no effect.
    return nn.Sequential(
        nn.Conv3d(c_in, c_out, 3, padding=1, bias=False),
        nn.BatchNorm3d(c_out),
        nn.ReLU(inplace=True),
        nn.Conv3d(c_out, c_out, 3, padding=1, bias=False),
        nn.BatchNorm3d(c_out),
        nn.ReLU(inplace=True),
    )
