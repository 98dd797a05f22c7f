"""The thesis' U-Net with convolutions on the spectrum."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xrdml.models._sphere import LAUE_GROUP, Sphere, sphere
from xrdml.models._unet import UNetLevels, pad_to
from xrdml.models.layout import Layout

FORMS = ("thesis", "full_sphere")


class FFTUNet(UNetLevels):
    """The U-Net with two Fourier units behind each of its five blocks.

    A unit is a shortcut around: 1×1×1 convolution, Fourier transform, two 1×1×1 convolutions on
    the spectrum, transform back, 1×1×1 convolution. Width 64 and one channel have 7.77 M parameters
    (thesis: 7.94 M).

    Parameters
    ----------
    in_channels
        Input tensors a crystal.
    width
        w, as in UNet.
    form
        ``thesis``: the transform is taken of the tensor as it is stored. ``full_sphere``: of all
        Laue and Friedel mates (class 2/m), so that it is real and a Patterson-like map in direct
        space; on the coarser levels position i stands for the reflections about 2i and 4i.

    Attributes
    ----------
    laue_group
        The only Laue class that it is right for; None for any.
    """

    def __init__(self, in_channels: int, width: int = 64, form: str = "thesis"):
        super().__init__(in_channels, width)
        if form not in FORMS:
            raise ValueError(f"form must be one of {', '.join(FORMS)}")
        self.form = form
        self.laue_group = LAUE_GROUP if form == "full_sphere" else None
        widths = {"down1": 1, "down2": 2, "bottom": 4, "up2": 2, "up1": 1}
        unit = _OctantUnit if form == "thesis" else _SphereUnit
        self.fourier = nn.ModuleDict(
            {f"{name}_{i}": unit(n * width) for name, n in widths.items() for i in (1, 2)}
        )
        self._lower = (0, 0, 0)

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        """(B, C, H, K, L) → (B, H, K, L), any H, K, L."""
        h, k, l = x.shape[-3:]
        if self.form == "thesis":
            return self.levels(pad_to(x, (0, 0, 0), 4))[:, :h, :k, :l]
        # Index 0 has to be a point of the coarse levels too, for them to have mates.
        i, j, m = front = _triple(n % 4 for n in layout.lower)
        self._lower = _triple(n - before for n, before in zip(layout.lower, front, strict=True))
        return self.levels(pad_to(x, front, 4))[:, i : i + h, j : j + k, m : m + l]

    def pool(self, x: Tensor) -> Tensor:
        if self.form == "thesis":
            return super().pool(x)
        return F.max_pool3d(x, 3, stride=2, padding=1)  # centred on the even indices

    def after(self, block: str, level: int, x: Tensor) -> Tensor:
        units = [self.fourier[f"{block}_{i}"] for i in (1, 2)]
        if self.form == "thesis":
            for unit in units:
                x = unit(x)
            return x
        lower = _triple(n >> level for n in self._lower)
        maps = sphere(lower, _triple(x.shape[-3:]), x.device)
        for unit in units:
            x = unit(x, maps)
        return x


class _OctantUnit(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.narrow = nn.Conv3d(width, width, 1)
        self.first = nn.Conv3d(2 * width, 2 * width, 1)
        self.second = nn.Conv3d(2 * width, 2 * width, 1)
        self.widen = nn.Conv3d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        axes = (-3, -2, -1)
        # Half precision has no FFT of these lengths.
        spectrum = torch.fft.rfftn(self.narrow(x).float(), dim=axes, norm="ortho")
        y = self.second(F.relu(self.first(torch.cat([spectrum.real, spectrum.imag], 1))))
        real, imaginary = y.float().chunk(2, 1)
        back = torch.fft.irfftn(torch.complex(real, imaginary), s=x.shape[-3:], dim=axes, norm="ortho")
        return x + self.widen(back)


class _SphereUnit(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.narrow = nn.Conv3d(width, width, 1)
        # The spectrum is real: half the numbers of the other form, at the same count of parameters.
        self.first = nn.Conv3d(width, 4 * width, 1)
        self.second = nn.Conv3d(4 * width, width, 1)
        self.widen = nn.Conv3d(width, width, 1)

    def forward(self, x: Tensor, maps: Sphere) -> Tensor:
        spectrum = maps.transform(maps.expand(self.narrow(x)))
        y = self.second(F.relu(self.first(spectrum)))
        return x + self.widen(maps.collect(maps.transform(y)))


def _triple(values) -> tuple[int, int, int]:
    i, j, k = values
    return int(i), int(j), int(k)
