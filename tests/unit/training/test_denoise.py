"""What the density prior is shown in training."""

from __future__ import annotations

import torch

from crystals import random_structure
from xrdml.data.density import NoisyDensities, Source, density_crystal

CELL = (5.3, 6.1, 7.4, 90.0, 104.0, 90.0)


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
