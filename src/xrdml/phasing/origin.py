"""The space group's origin in a map that was phased in P1, and averaging about it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from xrdml.crystal.symmetry import Symmetry


def _fft_hkl(shape: tuple[int, ...], device: torch.device) -> Tensor:
    axes = [torch.fft.fftfreq(n, 1 / n).round().long() for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3).to(device)


def _rotated(f: Tensor, hkl: Tensor, rotation: np.ndarray) -> tuple[Tensor, Tensor]:
    """F(hR) at every h of the grid, 0 where hR lies outside, and hR; flat."""
    shape = torch.tensor(f.shape, device=f.device)
    turned = hkl @ torch.as_tensor(rotation, device=f.device)
    inside = (2 * turned.abs() < shape).all(1)
    x, y, z = (turned % shape).T
    return f[x, y, z] * inside, turned


def find_origin(f: Tensor, symmetry: Symmetry, fine: int = 2) -> tuple[np.ndarray, float]:
    """Where the map has the symmetry of its group best.

    F'(h) = F(h) exp(2πi h·x₀) has the symmetry where F'(hR) = F'(h) exp(−2πi h·t) for all
    operations. The agreement Σ F(hR)* F(h) exp(−2πi h·t) exp(2πi (h − hR)·x₀) is one Fourier sum
    over h − hR, evaluated for all x₀ at once.

    Parameters
    ----------
    f
        P1 structure factors in FFT order, (X, Y, Z).
    fine
        Points of the search for one point of the grid.

    Returns
    -------
    x0, agreement
        The shift in fractional coordinates, (3,), and the correlation (−1…1) of the map with its
        symmetry mates there.
    """
    shape = tuple(f.shape)
    hkl = _fft_hkl(shape, f.device)
    size = torch.tensor([fine * n for n in shape], device=f.device)
    flat = f.reshape(-1)
    total = torch.zeros(int(size.prod()), dtype=f.dtype, device=f.device)
    power, n = 0.0, 0
    for rotation, translation in zip(symmetry.rotations[1:], symmetry.translations[1:], strict=True):
        if (rotation == np.eye(3)).all():
            continue  # a centring vector has no origin
        mate, turned = _rotated(f, hkl, rotation)
        turn = -2 * torch.pi * (hkl.double() @ torch.as_tensor(translation, device=f.device))
        term = mate.conj() * flat * torch.polar(torch.ones_like(turn), turn).to(f.dtype)
        x, y, z = ((hkl - turned) % size).T
        total.index_add_(0, (x * size[1] + y) * size[2] + z, term)
        power += float((flat.abs().square() * (mate != 0)).sum())
        n += 1
    if n == 0:
        return np.zeros(3), 1.0
    agreement = torch.fft.ifftn(total.reshape(*size.tolist())).real * float(size.prod())
    best = int(agreement.argmax())
    x0 = np.array(np.unravel_index(best, agreement.shape)) / np.array(agreement.shape)
    return x0, float(agreement.flatten()[best]) / max(power, 1e-12)


def shifted(f: Tensor, x0: np.ndarray) -> Tensor:
    """F'(h) = F(h) exp(2πi h·x₀), (X, Y, Z)."""
    hkl = _fft_hkl(tuple(f.shape), f.device)
    turn = 2 * torch.pi * (hkl.double() @ torch.as_tensor(x0, device=f.device))
    return f * torch.polar(torch.ones_like(turn), turn).to(f.dtype).reshape(f.shape)


def symmetrised(f: Tensor, symmetry: Symmetry) -> Tensor:
    """Mean of F over the operations of the group: F(h) ← mean of F(hR) exp(2πi h·t), (X, Y, Z)."""
    hkl = _fft_hkl(tuple(f.shape), f.device)
    total = torch.zeros_like(f).reshape(-1)
    for rotation, translation in zip(symmetry.rotations, symmetry.translations, strict=True):
        mate, _ = _rotated(f, hkl, rotation)
        turn = 2 * torch.pi * (hkl.double() @ torch.as_tensor(translation, device=f.device))
        total += mate * torch.polar(torch.ones_like(turn), turn).to(f.dtype)
    return (total / symmetry.order).reshape(f.shape)
