"""The steps of phasing that the training of the density prior takes."""

from __future__ import annotations

from dataclasses import replace

import torch

from crystals import random_structure
from xrdml.data.density import NoisyDensities, Source, density_crystal, to_density, to_structure_factors
from xrdml.phasing.iterate import Schedule
from xrdml.training.denoise import draw, iterated

CELL = (5.3, 6.1, 7.4, 90.0, 104.0, 90.0)


class Truth(torch.nn.Module):
    """A network that draws the true map."""

    def __init__(self, target: torch.Tensor):
        super().__init__()
        self.target = target

    def forward(self, x: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        assert x.square().mean((1, 2, 3, 4)).allclose(torch.ones(len(x)), rtol=1e-3)
        return self.target


def batch(seed: int = 0, iterations: int = 0):
    source = Source([density_crystal(random_structure("P 1 21 1", CELL, n=5))])
    return NoisyDensities([source], points=12_000, seed=seed, iterations=iterations).draw(0)


def test_a_step_with_the_true_map_is_the_one_of_the_formula():
    before = batch()
    after = iterated(Truth(before.target), before)
    p, x = to_structure_factors(before.target), before.f
    reflected = 2 * p - x
    put = before.amplitude * reflected / reflected.abs().clamp_min(1e-12)
    stepped = x + torch.where(before.known, put, reflected) - p
    expected = Schedule.beta * stepped + (1 - Schedule.beta) * p
    expected = expected * (before.known | before.floating)
    torch.testing.assert_close(after.f, expected, atol=2e-4, rtol=2e-4)


def test_the_truth_stays_where_it_is():
    x = batch(seed=1)
    true = to_structure_factors(x.target) * (x.known | x.floating)
    after = iterated(Truth(x.target), replace(x, f=true))
    torch.testing.assert_close(after.f, true, atol=2e-3, rtol=2e-3)


def test_the_network_is_shown_maps_of_unit_variance_after_steps_as_well():
    x = batch(seed=2)
    truth = Truth(x.target)
    for _ in range(3):
        x = iterated(truth, x)
        draw(truth, x)
    assert to_density(x.f).isfinite().all()


def test_how_many_steps_is_drawn_with_the_batch():
    source = Source([density_crystal(random_structure("P 1 21 1", CELL, n=5))])
    densities = NoisyDensities([source], points=12_000, seed=3, iterations=2)
    found = [densities.draw(i).iterations for i in range(60)]
    assert set(found) == {0, 1, 2}
    assert found == [densities.draw(i).iterations for i in range(60)]


def test_the_level_that_is_told_may_be_wrong():
    source = Source([density_crystal(random_structure("P 1 21 1", CELL, n=5))])
    right = NoisyDensities([source], points=40_000, seed=4).draw(1)
    wrong = NoisyDensities([source], points=40_000, seed=4, level_error=0.2).draw(1)
    torch.testing.assert_close(right.f, wrong.f)
    torch.testing.assert_close(right.conditions[:, 1:], wrong.conditions[:, 1:])
    difference = (right.conditions[:, 0] - wrong.conditions[:, 0]).abs()
    assert 0.05 < difference.mean() < 0.3
    assert wrong.conditions[:, 0].min() >= 0
    assert wrong.conditions[:, 0].max() <= 1
