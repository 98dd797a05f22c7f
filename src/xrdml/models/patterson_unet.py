"""Super-resolution of the Patterson map in direct space, and back to |F|."""

from __future__ import annotations

import torch
from torch import Tensor

from xrdml.models._sphere import LAUE_GROUP, sphere
from xrdml.models._unet import UNetLevels
from xrdml.models.layout import Layout

_ROUNDING = 1e-3
"""Of |F| = √|F|² at zero, in units of the largest measured |F|: keeps the gradient finite."""


class PattersonUNet(UNetLevels):
    """A periodic U-Net from the Patterson map of the measured reflections to that of all.

    The first channel is |F| (or |E|, for an origin that is sharp): its square, expanded to the
    whole sphere of class 2/m, is transformed to a map; so are the other channels, of which the
    transform of the mask ``measured`` is what the cut-off does to a peak. Coefficients of the map
    that the U-Net draws are |F|² of the reflections to predict.

    Parameters
    ----------
    in_channels
        Input tensors a crystal.
    width
        w, as in UNet.

    Attributes
    ----------
    laue_group
        The only Laue class that it is right for.
    """

    laue_group = LAUE_GROUP

    def __init__(self, in_channels: int, width: int = 32):
        super().__init__(in_channels, width, "circular")

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        """(B, C, H, K, L) → |F| in the unit of the first channel, (B, H, K, L), any H, K, L."""
        h, k, l = layout.lower
        maps = sphere((h, k, l), (x.shape[2], x.shape[3], x.shape[4]), x.device, multiple=4)
        coefficients = torch.cat([x[:, :1].square(), x[:, 1:]], 1)
        density = maps.to_map(maps.expand(coefficients))
        spread = density.std((2, 3, 4), keepdim=True).clamp_min(1e-12)
        drawn = self.levels(density / spread)[:, None].float() * spread[:, :1]
        intensity = maps.collect(maps.from_map(drawn))[:, 0]
        return (intensity**2 + _ROUNDING**4) ** 0.25
