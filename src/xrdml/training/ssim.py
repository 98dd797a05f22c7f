"""Structural similarity of 3-D tensors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW, SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """SSIM of two batches of tensors with values from 0 to about 1, (B, H, K, L) → (B,).

    Wang et al. (2004), IEEE Trans. Image Process. 13, 600, in three dimensions: Gaussian windows of
    11 points and σ 1.5 that lie wholly inside (as many points as there are along shorter axes), mean
    over all windows. The zeros of a tensor, where no reflection is, count as the rest, as in the thesis.
    """
    a, b = x[:, None].float(), y[:, None].float()
    mean_a, mean_b = _blur(a), _blur(b)
    var_a = _blur(a * a) - mean_a**2
    var_b = _blur(b * b) - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    structure = (2 * covariance + _C2) / (var_a + var_b + _C2)
    return (luminance * structure).flatten(1).mean(1)


def _blur(x: Tensor) -> Tensor:
    """Gaussian mean over windows, one axis after the other."""
    for axis in (2, 3, 4):
        size = min(WINDOW, x.shape[axis])
        offset = torch.arange(size, device=x.device, dtype=x.dtype) - (size - 1) / 2
        kernel = torch.exp(-(offset**2) / (2 * SIGMA**2))
        shape = [1, 1, 1, 1, 1]
        shape[axis] = size
        x = F.conv3d(x, (kernel / kernel.sum()).reshape(shape))
    return x
