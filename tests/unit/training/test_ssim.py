"""SSIM against its definition, window by window."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xrdml.training.ssim import ssim


def direct(x: np.ndarray, y: np.ndarray) -> float:
    """Every window by itself, in double precision."""
    sizes = [min(11, n) for n in x.shape]
    lines = [np.exp(-((np.arange(n) - (n - 1) / 2) ** 2) / (2 * 1.5**2)) for n in sizes]
    weight = np.einsum("i,j,k->ijk", *lines)
    weight /= weight.sum()
    values = []
    for corner in np.ndindex(*(n - size + 1 for n, size in zip(x.shape, sizes, strict=True))):
        window = tuple(slice(c, c + size) for c, size in zip(corner, sizes, strict=True))
        a, b = x[window], y[window]
        ma, mb = (weight * a).sum(), (weight * b).sum()
        va, vb = (weight * (a - ma) ** 2).sum(), (weight * (b - mb) ** 2).sum()
        cov = (weight * (a - ma) * (b - mb)).sum()
        c1, c2 = 1e-4, 9e-4
        values.append((2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2)))
    return float(np.mean(values))


@pytest.mark.parametrize("shape", [(13, 12, 14), (12, 5, 3)])
def test_definition(shape):
    rng = np.random.default_rng(0)
    x = rng.random((2, *shape))
    y = (x + rng.normal(0, 0.2, x.shape)).clip(0)
    got = ssim(torch.from_numpy(x), torch.from_numpy(y))
    assert got.tolist() == pytest.approx([direct(a, b) for a, b in zip(x, y, strict=True)], abs=1e-4)
    assert ssim(torch.from_numpy(x), torch.from_numpy(x)).tolist() == pytest.approx([1, 1])
