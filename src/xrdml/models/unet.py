"""The thesis' 3-D U-Net."""

from __future__ import annotations

from torch import Tensor

from xrdml.models._unet import UNetLevels, pad_to
from xrdml.models.layout import Layout


class UNet(UNetLevels):
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
        super().__init__(in_channels, width)

    def forward(self, x: Tensor, layout: Layout | None = None) -> Tensor:
        """(B, C, H, K, L) → (B, H, K, L), any H, K, L; what a position means does not enter."""
        h, k, l = x.shape[-3:]
        return self.levels(pad_to(x, (0, 0, 0), 4))[:, :h, :k, :l]
