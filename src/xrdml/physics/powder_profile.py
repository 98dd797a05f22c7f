"""The shape of powder lines: Thompson–Cox–Hastings pseudo-Voigt and axial divergence.

All angles are in degrees of 2θ. Functions work on many lines at once, on any device.

Sources: P. Thompson, D. E. Cox & J. B. Hastings, J. Appl. Cryst. 20 (1987) 79; L. W. Finger,
D. E. Cox & A. P. Jephcoat, J. Appl. Cryst. 27 (1994) 892.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

_LN2 = math.log(2)
LORENTZIAN_AREA = math.pi
GAUSSIAN_AREA = math.sqrt(math.pi / _LN2)

# Γ⁵ as a polynomial in Γ_G and Γ_L, from Γ_G⁵ to Γ_L⁵.
_WIDTH = (1.0, 2.69269, 2.42843, 4.47163, 0.07842, 1.0)


def gaussian_width(two_theta: Tensor, u: Tensor, v: Tensor, w: Tensor) -> Tensor:
    """Γ_G = √(U tan²θ + V tanθ + W), Caglioti's formula; U, V, W in degrees² of FWHM.

    NaN where the polynomial is negative.
    """
    tan = torch.tan(torch.deg2rad(two_theta / 2))
    return ((u * tan + v) * tan + w).sqrt()


def lorentzian_width(two_theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Γ_L = X / cosθ + Y tanθ, FWHM: X from the size of crystallites, Y from strain, in degrees."""
    theta = torch.deg2rad(two_theta / 2)
    return x / theta.cos() + y * theta.tan()


def common_width(gaussian: Tensor, lorentzian: Tensor) -> tuple[Tensor, Tensor]:
    """FWHM Γ and Lorentzian share η of the pseudo-Voigt η L + (1 − η) G, both of FWHM Γ and area 1."""
    fifth = sum(c * gaussian ** (5 - power) * lorentzian**power for power, c in enumerate(_WIDTH))
    width = torch.as_tensor(fifth) ** 0.2
    q = lorentzian / width
    return width, ((0.11116 * q - 0.47719) * q + 1.36603) * q


def lorentzian(z: Tensor) -> Tensor:
    """1 / (1 + z²): half width 1, height 1, area `LORENTZIAN_AREA`. Overwrites z."""
    return z.square_().add_(1).reciprocal_()


def gaussian(z: Tensor) -> Tensor:
    """2^(−z²): half width 1, height 1, area `GAUSSIAN_AREA`. Overwrites z."""
    return z.square_().mul_(-_LN2).exp_()


def axial_shift(two_theta: Tensor, sample: Tensor, detector: Tensor) -> Tensor:
    """How far axial divergence moves the outermost ray of a line, 2φ − 2θ in degrees, (L,) float64.

    Parameters as in :func:`axial_nodes`; negative below 90°, positive above.
    """
    return _two_phi(two_theta, _highest(two_theta, sample, detector))[0] - two_theta


def _highest(two_theta: Tensor, sample: Tensor, detector: Tensor) -> Tensor:
    """Largest h/L. Rays that are higher still would need |cos 2φ| > 1: their cone misses the detector."""
    return torch.minimum(sample + detector, torch.deg2rad(two_theta).tan().abs())


def _two_phi(two_theta: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """2φ in degrees of cos 2φ = cos 2θ √(1 + t²), and sin 2φ."""
    cos_phi = (torch.deg2rad(two_theta).cos() * (1 + t * t).sqrt()).clamp(-1, 1)
    return torch.rad2deg(torch.acos(cos_phi)), (1 - cos_phi * cos_phi).sqrt()


def axial_nodes(two_theta: Tensor, sample: Tensor, detector: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Axial divergence as a sum of shifted lines: 2φ of each, and weights that sum to 1.

    Finger, Cox & Jephcoat's line is ∫ D(2φ) P(2θ' − 2φ) d(2φ) / ∫ D d(2φ) with
    D = W / (h |cos 2φ|) and the height h on the detector given by cos 2φ = cos 2θ √(1 + (h/L)²). D has a
    pole at 2φ = 2θ. With t = h/L as the variable, D d(2φ) is −W(t) dt / ((1 + t²) sin 2φ), which is
    smooth, and Gauss–Legendre quadrature takes few nodes.

    Parameters
    ----------
    two_theta
        Bragg angles in degrees, (L,) float64.
    sample, detector
        S/L and H/L: half heights of the sample and of the detector slit over the radius, (L,).
    n
        Nodes of the quadrature; doubled where S/L and H/L differ, because W has a kink at their difference.

    Returns
    -------
    2φ in degrees and weights, (L, n) or (L, 2n).
    """
    top = _highest(two_theta, sample, detector)
    kink = torch.minimum((sample - detector).abs(), top)
    bounds = [(kink, top)]
    if bool((sample != detector).any()):
        bounds.append((torch.zeros_like(top), kink))
    x, w = (torch.from_numpy(a).to(two_theta) for a in _legendre(n))
    t = torch.cat([low[:, None] + (high - low)[:, None] * x for low, high in bounds], 1)
    length = torch.cat([(high - low)[:, None] * w for low, high in bounds], 1)

    # W over its value on the plateau 0…|S − H|; a sample of no height is on the plateau throughout.
    shorter = torch.minimum(sample, detector)[:, None]
    slope = ((sample + detector)[:, None] - t) / (2 * shorter)
    overlap = torch.where(shorter > 0, slope.clamp(max=1), torch.ones_like(t))
    two_phi, sin_phi = _two_phi(two_theta[:, None], t)
    weight = length * overlap / ((1 + t * t) * sin_phi.clamp(min=1e-9))
    total = weight.sum(1, keepdim=True)
    straight = (top == 0)[:, None]
    even = torch.full_like(weight, 1 / weight.shape[1])
    weight = torch.where(straight, even, weight / torch.where(straight, torch.ones_like(total), total))
    return two_phi, weight


@cache
def _legendre(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on 0…1."""
    x, w = np.polynomial.legendre.leggauss(n)
    return (x + 1) / 2, w / 2
