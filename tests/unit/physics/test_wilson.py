"""The batched Wilson line against the one of `xrdml.crystal.wilson`, and |E| against its definition."""

from __future__ import annotations

import pytest
import torch

from crystals import random_structure
from xrdml.crystal.cell import inverse_d_squared
from xrdml.crystal.grid import HklGrid
from xrdml.crystal.wilson import fit_wilson
from xrdml.data import keys
from xrdml.data.tensors import Limits, simulated_tensors
from xrdml.physics.structure_factors import collate
from xrdml.physics.wilson import expected_amplitude

GROUPS = ["P 1 21 1", "C 1 2/c 1", "P 1 21/c 1"]


@pytest.fixture(scope="module")
def crystals():
    structures = [random_structure(g, seed=i, u_iso=0.03 + 0.02 * i) for i, g in enumerate(GROUPS)]
    return structures, simulated_tensors(collate(structures), HklGrid.thesis(), Limits(1.5, 0.8))


def expected(batch):
    return expected_amplitude(*(batch[k] for k in (keys.F_INPUT, keys.MEASURED, keys.EPSILON, keys.S)))


def test_equals_the_fit_of_single_crystals(crystals):
    structures, batch = crystals
    hkl = HklGrid.thesis().hkl
    ours = expected(batch)
    assert ours.dtype == torch.float32
    for i, structure in enumerate(structures):
        measured = batch[keys.MEASURED][i].flatten().numpy()
        f = batch[keys.F_INPUT][i].flatten().numpy().astype(float)[measured]
        group = structure.symmetry
        fit = fit_wilson(hkl[measured], f**2, structure.cell, group)
        known = batch[keys.KNOWN][i].flatten().numpy()
        mean = fit.mean_intensity(inverse_d_squared(structure.cell, hkl[known])) * group.epsilon(hkl[known])
        assert ours[i].flatten().numpy()[known] == pytest.approx(mean**0.5, rel=1e-3)


def test_e_is_about_one_and_has_no_scale(crystals):
    """⟨|E|²⟩ of the measured reflections is 1 but for the line's misfit; another scale changes nothing."""
    _, batch = crystals
    unit = expected(batch)
    for f, u, mask in zip(batch[keys.F_TARGET], unit, batch[keys.MEASURED], strict=True):
        assert float(((f / u)[mask] ** 2).mean()) == pytest.approx(1, abs=0.3)
    scaled = {**batch, keys.F_INPUT: 50 * batch[keys.F_INPUT]}
    torch.testing.assert_close(expected(scaled), 50 * unit)
