"""The iteration between measured amplitudes and what is believed about densities."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crystals import direct_sum, random_structure
from xrdml.crystal.cell import inverse_d_squared
from xrdml.data.density import density_crystal, to_structure_factors
from xrdml.phasing.iterate import (
    Schedule,
    iterate,
    map_correlation,
    random_start,
)
from xrdml.phasing.origin import shifted
from xrdml.phasing.projections import (
    averaged_reflection,
    fitted,
    relaxed_reflection,
    residual,
    with_amplitudes,
)
from xrdml.phasing.sphere import MeasuredSphere, measured_sphere

CELL = (5.3, 6.1, 7.4, 90.0, 104.0, 90.0)
STRUCTURE = random_structure("P 1 21 1", CELL, n=5)


def sphere(d_limit: float = 1.4, free_fraction: float = 0.1, seed: int = 0, **options) -> MeasuredSphere:
    hkl = STRUCTURE.symmetry.unique_reflections(CELL, d_limit)
    f = np.abs(direct_sum(STRUCTURE, hkl))
    return measured_sphere(hkl, f, CELL, STRUCTURE.symmetry, d_limit, free_fraction, seed, **options)


def test_known_free_and_floating_share_the_sphere():
    s = sphere()
    assert not (s.known & s.free).any()
    assert not (s.known & s.floating).any()
    assert (s.free <= s.floating).all()  # they do not constrain
    assert ((s.known | s.floating) <= s.drawn).all()
    assert not (s.known | s.floating | s.drawn)[0, 0, 0]
    share = float(s.free.sum() / (s.known | s.free).sum())
    assert 0.03 < share < 0.2
    absent = s.known & (s.amplitude == 0)
    assert absent[0, 1, 0]  # 0k0 with odd k
    assert absent.sum() == 2 * len(range(1, int(6.1 / 1.4) + 1, 2))
    mean_square = (s.amplitude[s.known] ** 2).sum() / s.amplitude.numel()
    assert float(mean_square) == pytest.approx(1, rel=1e-4)


def test_data_beyond_what_the_prior_draws_take_no_part():
    s = sphere(d_limit=0.8)
    assert (s.known <= s.drawn).all()
    assert (s.free <= s.drawn).all()
    assert (s.known == sphere(d_limit=1.0).known).all()


def test_equivalents_are_left_out_together():
    s = sphere()
    indices = np.argwhere(s.free.numpy())
    shape = np.array(s.shape)
    for h, k, l in indices:
        for mate in ((-h, k, -l), (-h, -k, -l), (h, -k, l)):
            assert s.free[tuple(np.array(mate) % shape)]


def test_what_was_not_measured_floats():
    hkl = STRUCTURE.symmetry.unique_reflections(CELL, 1.4)
    f = np.abs(direct_sum(STRUCTURE, hkl))
    low = inverse_d_squared(CELL, hkl) < 0.04  # behind the beam stop
    s = measured_sphere(hkl[~low], f[~low], CELL, STRUCTURE.symmetry, 1.4, free_fraction=0)
    lost = tuple(hkl[low][0] % np.array(s.shape))
    assert s.floating[lost] and not s.known[lost] and s.amplitude[lost] == 0  # noqa: PT018


def test_measured_amplitudes_are_kept_and_the_others_left():
    s = sphere()
    f = to_structure_factors(torch.randn(2, *s.shape, generator=torch.Generator().manual_seed(1)))
    put = with_amplitudes(f, s)
    torch.testing.assert_close(put.abs()[:, s.known], s.amplitude[s.known].expand(2, -1), atol=1e-4, rtol=0)
    torch.testing.assert_close(put[:, ~s.known], f[:, ~s.known])
    kept = s.known & (s.amplitude > 0)
    turned = (put * f.conj())[:, kept]
    assert turned.imag.abs().max() < 1e-4 * turned.abs().max()
    torch.testing.assert_close(with_amplitudes(put, s), put, atol=1e-5, rtol=1e-5)


def test_residual_is_that_of_the_definition_and_the_scale_is_fitted():
    s = sphere(free_fraction=0)
    f = s.amplitude[None] * torch.polar(torch.ones(s.shape), torch.rand(s.shape))[None]
    torch.testing.assert_close(fitted(7 * f, s), f, atol=1e-4, rtol=1e-4)
    assert float(residual(f, s, s.known)) < 1e-5
    assert float(residual(1.3 * f, s, s.known)) == pytest.approx(0.3, rel=1e-3)


@pytest.mark.parametrize("plain", [0.0, 0.5, 1.0])
def test_levels_fall_from_start_to_end(plain):
    schedule = Schedule(plain=plain, level_start=0.8, level_end=0.2)
    levels = [schedule.level(u) for u in np.linspace(0, 1, 11)]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] == pytest.approx(0.8)
    assert levels[-1] == pytest.approx(0.2)


def test_plain_iteration_ends_on_the_measured_amplitudes():
    s = sphere()
    x = iterate(lambda f, level: f, s, random_start(s, 3, 0), Schedule(iterations=2, plain=1.0))
    torch.testing.assert_close(x.abs()[:, s.known], s.amplitude[s.known].expand(3, -1), atol=1e-4, rtol=0)
    assert (x[:, ~(s.known | s.floating)] == 0).all()


def test_the_truth_is_a_fixed_point_of_both_iterations():
    s = sphere(free_fraction=0)
    true = torch.from_numpy(density_crystal(STRUCTURE).f) * s.known
    true = fitted(true[None], s)

    def believe(f: torch.Tensor, level: float) -> torch.Tensor:
        return true.expand_as(f)

    x = with_amplitudes(true, s)
    for plain in (0.0, 1.0):
        end = iterate(believe, s, x, Schedule(iterations=5, plain=plain))
        assert float(map_correlation(true[0], end, s.known)) > 0.999


def test_map_correlation_knows_neither_origin_nor_hand():
    f = torch.from_numpy(density_crystal(STRUCTURE).f)
    chosen = f.abs() > 0
    moved = shifted(f, np.array([2, 5, 7]) / np.array(f.shape))
    same = torch.stack([f, moved, moved.conj()])
    torch.testing.assert_close(map_correlation(f, same, chosen), torch.ones(3), atol=1e-4, rtol=0)
    s = sphere()
    other = random_start(s, 4, 0)
    assert map_correlation(f, other, s.known).max() < 0.75


def test_where_the_data_contradict_the_density_averaging_holds_what_relaxing_loses():
    s = sphere(free_fraction=0)
    used = s.known & (s.amplitude > 0)
    # A density that fits but for its scale: no map has both it and the measured amplitudes.
    q = (s.amplitude / 1.05 * s.known).to(torch.complex64)[None]
    relaxed = averaged = q
    for _ in range(100):
        relaxed = relaxed_reflection(relaxed, q, s, 0.9)
        averaged = averaged_reflection(averaged, q, s, 0.9)
    # β (x + a − q) + (1 − β) q = x has the solution q + β / (1 − β) · (a − q).
    expected = q + 9 * (s.amplitude - q)
    torch.testing.assert_close(averaged[:, used], expected[:, used], atol=1e-3, rtol=1e-3)
    assert ((relaxed - q).abs() > 10 * (averaged - q).abs() / 9)[:, used].all()


def test_an_averaged_reflection_with_beta_one_is_the_reflection():
    s = sphere()
    f = to_structure_factors(torch.randn(2, *s.shape, generator=torch.Generator().manual_seed(3)))
    x, p = f[:1], f[1:]
    torch.testing.assert_close(averaged_reflection(x, p, s, 1.0), relaxed_reflection(x, p, s, 1.0))
