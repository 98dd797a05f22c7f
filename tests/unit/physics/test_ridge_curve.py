"""The batched ridge curve against the baseline of the same name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crystals import MONOCLINIC, random_structure
from xrdml.crystal.grid import HklGrid
from xrdml.crystal.wilson import MEDIAN_E, ORGANIC_COMPOSITION
from xrdml.data import keys
from xrdml.data.tensors import Limits, simulated_tensors
from xrdml.evaluate.known import known_crystals
from xrdml.infer.baselines import RidgeBaseline
from xrdml.physics.ridge_curve import ridge_amplitude
from xrdml.physics.structure_factors import collate


@pytest.mark.parametrize("limit", [1.5, 1.2])
def test_it_is_the_baseline(limit):
    structures = [random_structure(n=20, seed=seed) for seed in range(2)]
    grid = HklGrid.for_crystal(MONOCLINIC, structures[0].symmetry, 0.8)
    batch = simulated_tensors(collate(structures), grid, Limits(limit, 0.8))
    given = (batch[k] for k in (keys.F_INPUT, keys.MEASURED, keys.EPSILON, keys.S))
    unit = ridge_amplitude(*given)
    median = torch.where(batch[keys.CENTRIC], MEDIAN_E[True], MEDIAN_E[False]) * unit
    known = known_crystals([(str(i), s) for i, s in enumerate(structures)], limit, 0.8)
    for i, crystal in enumerate(known):
        problem = crystal.problem
        problem.contents.clear()
        problem.contents.update(ORGANIC_COMPOSITION)
        expected = RidgeBaseline().predict([problem])[0].f / float(batch[keys.F_SCALE][i])
        got = grid.gather(median[i].numpy(), problem.missing)
        # Its outermost measured reflection is not quite at the limit that the baseline is told.
        np.testing.assert_allclose(got, expected, rtol=0.05)


def test_measured_shells_have_unit_mean_square():
    structure = random_structure(n=20, seed=3)
    grid = HklGrid.for_crystal(MONOCLINIC, structure.symmetry, 0.8)
    batch = simulated_tensors(collate([structure]), grid, Limits())
    unit = ridge_amplitude(*(batch[k] for k in (keys.F_INPUT, keys.MEASURED, keys.EPSILON, keys.S)))
    e = (batch[keys.F_INPUT] / unit)[batch[keys.MEASURED]]
    assert float(e.square().mean()) == pytest.approx(1, abs=0.1)
