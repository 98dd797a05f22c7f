"""Crystals on their grid and the errors that the prior learns to remove."""

from __future__ import annotations

import numpy as np
import torch

from crystals import direct_sum, random_structure
from xrdml.data.density import (
    D_HIGH,
    corrupt,
    density_crystal,
    fft_indices,
    random_phases,
    to_density,
    to_structure_factors,
)

CELL = (5.3, 6.1, 7.4, 90.0, 104.0, 90.0)


def crystal(group: str = "P 1 21 1"):
    return density_crystal(random_structure(group, CELL, n=5))


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


def noisy(level: float, d_limit: float = 1.5, n: int = 24):
    c = crystal()
    f = torch.from_numpy(c.f).expand(n, *c.shape)
    inverse_d2 = torch.from_numpy(c.inverse_d2).expand(n, *c.shape)
    levels, limits = torch.full((n,), level), torch.full((n,), d_limit)
    return corrupt(f, inverse_d2, levels, limits, [c.cell] * n, torch.Generator().manual_seed(3)), c


def test_the_grid_holds_the_structure_factors_of_the_direct_sum():
    structure = random_structure("P 1 21/c 1", CELL, n=3)
    c = density_crystal(structure)
    indices, inside = fft_indices(CELL, c.shape, D_HIGH)
    expected = direct_sum(structure, indices[inside])
    np.testing.assert_allclose(c.f[inside], expected, atol=1e-4 * np.abs(expected).max())
    assert (c.f[~inside] == 0).all()
    assert c.f[0, 0, 0] == 0
    np.testing.assert_array_equal(np.isfinite(c.inverse_d2), inside)


def test_a_crystal_with_permuted_axes_is_the_crystal_of_the_permuted_cell():
    c = crystal("P 1")
    turned = c.permuted([2, 0, 1])
    indices, inside = fft_indices(turned.cell, turned.shape, D_HIGH)
    assert turned.cell == (7.4, 5.3, 6.1, 90.0, 90.0, 104.0)
    np.testing.assert_array_equal(inside, np.isfinite(turned.inverse_d2))
    h, k, l = indices[inside][7]
    assert turned.f[h, k, l] == c.f[k, l, h]


def test_maps_and_structure_factors_turn_into_each_other():
    f = torch.from_numpy(crystal().f)[None]
    rho = to_density(f)
    torch.testing.assert_close(to_structure_factors(rho), f, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(rho.square().sum(), f.abs().square().sum())


def test_random_phases_are_those_of_a_real_map():
    phases = random_phases((2, 8, 12, 10), torch.Generator().manual_seed(0))
    torch.testing.assert_close(phases.abs(), torch.ones(2, 8, 12, 10))
    density = torch.fft.ifftn(phases, dim=(1, 2, 3))
    assert density.imag.abs().max() < 1e-6 < density.real.abs().max()
    second = random_phases((2, 8, 12, 10), torch.Generator().manual_seed(1))
    assert abs(float((phases * second.conj()).real.mean())) < 0.1


def test_without_error_the_map_is_the_true_one_cut_at_the_limit():
    batch, c = noisy(level=0.0)
    limit = torch.from_numpy(c.f) * (torch.from_numpy(c.inverse_d2) <= 1.5**-2)
    low = to_density(limit[None])[0]
    best = max(correlation(m[0], low) for m in to_density(batch.f)[:, None])
    assert best > 0.99  # those that lost no reflections
    for target in batch.target:
        assert correlation(target, to_density(torch.from_numpy(c.f)[None])[0]) > 0.9999


def test_the_error_grows_with_the_level():
    def mean(level: float) -> float:
        batch, c = noisy(level)
        low = to_density((torch.from_numpy(c.f) * (torch.from_numpy(c.inverse_d2) <= 1.5**-2))[None])[0]
        return float(np.mean([correlation(m[0], low) for m in to_density(batch.f)[:, None]]))

    values = [mean(level) for level in (0.0, 0.3, 0.5, 0.7, 1.0)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.9
    assert abs(values[-1]) < 0.35


def test_nothing_beyond_the_limit_is_told_and_the_maps_have_unit_variance():
    batch, c = noisy(level=0.5, d_limit=1.8)
    told = batch.f
    beyond = torch.from_numpy(c.inverse_d2) > 1.8**-2
    assert told[:, beyond].abs().max() < 1e-4 * told.abs().max()
    torch.testing.assert_close(
        to_density(batch.f).square().mean((1, 2, 3)), torch.ones(24), rtol=1e-3, atol=0
    )
