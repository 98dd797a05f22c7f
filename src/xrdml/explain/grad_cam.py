"""Grad-CAM of the first block of a U-Net over |F| tensors."""

from __future__ import annotations

from dataclasses import dataclass

from captum.attr import LayerGradCam
from torch import Tensor, nn

from xrdml.data import keys
from xrdml.data.tensors import TensorBatch
from xrdml.explain.sensitivity import fixed_unit
from xrdml.models.fft_unet import FFTUNet
from xrdml.models.unet import UNet
from xrdml.training.network import Network


@dataclass(frozen=True)
class Regions:
    """Shares of a map, or of the positions, by what lies there; they add up to 1.

    Attributes
    ----------
    measured
        d ≥ d_limit.
    predicted
        d_limit > d ≥ d_min.
    beyond
        The corners of the tensor, outside d_min.
    """

    measured: float
    predicted: float
    beyond: float


def grad_cam(network: Network, batch: TensorBatch, wanted: Tensor | None = None) -> Tensor:
    """ReLU(Σ_c α_c A_c) at every position of the tensor, (H, K, L).

    A_c are the channels of the first block, of FFT_UNet with its Fourier units, and α_c the mean over
    all positions of ∂Y/∂A_c, where Y is the sum of the prediction over `wanted`. Selvaraju et al. (2017),
    ICCV, 618.

    Parameters
    ----------
    batch
        Of one crystal.
    wanted
        Positions, (H, K, L) bool; all reflections to predict where None.

    Raises
    ------
    TypeError
        The network is neither UNet nor FFT_UNet.
    """
    target = batch[keys.PREDICT][0] if wanted is None else wanted

    run = fixed_unit(network, batch)

    def total(f: Tensor) -> Tensor:
        return (run({**batch, keys.F_INPUT: f}) * target).sum((1, 2, 3))

    layer, front = first_block(network.model, batch[keys.GRID].lower)
    f = batch[keys.F_INPUT].clone().requires_grad_()
    cam = LayerGradCam(total, layer).attribute(f, relu_attributions=True).detach()
    (i, j, m), (h, k, l) = front, target.shape
    return cam[0, 0, i : i + h, j : j + k, m : m + l]


def first_block(model: nn.Module, lower: tuple[int, int, int]) -> tuple[nn.Module, tuple[int, int, int]]:
    """The module whose output is the first block's, and how many zeros stand before the tensor there."""
    if isinstance(model, UNet):
        return model.down1, (0, 0, 0)
    if isinstance(model, FFTUNet):
        unit = model.fourier["down1_2"]
        if model.form == "thesis":
            return unit, (0, 0, 0)
        i, j, m = (n % 4 for n in lower)
        return unit, (i, j, m)
    raise TypeError(f"expected a UNet or an FFTUNet, got {type(model).__name__}")


def shares(values: Tensor, batch: TensorBatch, d_limit: float, d_min: float) -> Regions:
    """How a map of values ≥ 0, (H, K, L), is shared out; of ones it gives the shares of the positions."""
    s, total = batch[keys.S][0], values.sum().clamp_min(1e-30)
    # The limits are met within the rounding of float32.
    inside = (2 * s * d_limit <= 1 + 1e-5, 2 * s * d_min <= 1 + 1e-5)
    measured = float((values * inside[0]).sum() / total)
    reflections = float((values * inside[1]).sum() / total)
    return Regions(measured, reflections - measured, 1 - reflections)
