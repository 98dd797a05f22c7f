"""The Patterson U-Net: where it begins, and what its grid follows from."""

from __future__ import annotations

import pytest
import torch

from crystals import random_structure
from xrdml.crystal.grid import HklGrid
from xrdml.crystal.wilson import MEDIAN_E
from xrdml.data import keys
from xrdml.data.tensors import Limits, simulated_tensors
from xrdml.models.layout import Layout
from xrdml.models.patterson_unet import PattersonUNet, _points, _surround
from xrdml.physics.patterson import quarter_map
from xrdml.physics.structure_factors import collate
from xrdml.training.network import Network

torch.set_num_threads(1)
CELLS = [(5.1, 6.2, 7.3, 90.0, 103.0, 90.0), (9.1, 4.2, 5.3, 90.0, 95.0, 90.0)]
GRID = HklGrid((-6, 0, 0), (6, 5, 5))


@pytest.fixture(scope="module")
def batch():
    structures = [random_structure(cell=cell, n=6, seed=i) for i, cell in enumerate(CELLS)]
    return simulated_tensors(collate(structures), GRID, Limits(2.5, 1.5))


def network():
    torch.manual_seed(0)
    return Network(
        {"name": "patterson_unet", "width": 4, "channels": ["f", "measured", "s"], "quantity": "e"}
    ).eval()


def test_untrained_it_is_the_radial_baseline(batch):
    untrained = network()
    unit = untrained.unit(batch)
    expected = torch.where(batch[keys.CENTRIC], MEDIAN_E[True], MEDIAN_E[False]) * unit
    torch.testing.assert_close(untrained(batch), expected)


def test_a_crystal_does_not_depend_on_the_others_of_its_batch(batch):
    model = network()
    torch.nn.init.normal_(model.model.head[-1].weight)
    alone = simulated_tensors(collate([random_structure(cell=CELLS[1], n=6, seed=1)]), GRID, Limits(2.5, 1.5))
    torch.testing.assert_close(model(batch)[1], model(alone)[0], atol=1e-5, rtol=1e-4)


def test_the_grid_follows_the_cell(batch):
    sphere = batch[keys.MEASURED] | batch[keys.PREDICT]
    first, second = (_points(GRID.lower, inside) for inside in sphere)
    assert first == (8, 16, 12)  # indices to 3, 4 and 4 at 1.5 Å
    assert second == (16, 8, 8)  # to 6, 2 and 3


def test_points_beyond_the_faces_are_those_of_the_map():
    """A map of the quarter, continued by symmetry, is the map of the coefficients there."""
    box = torch.zeros(1, 1, 5, 3, 4)
    box[0, 0, 3, 1, 2], box[0, 0, 1, 2, 3], box[0, 0, 2, 1, 0] = 1.0, 2.0, -1.0
    lower = (-2, 0, 0)
    density = quarter_map(lower, (5, 3, 4), (8, 8, 8), torch.device("cpu")).to_map(box)
    wide = _surround(density)[0, 0]
    hkl = [((1, 1, 2), 1.0, 4), ((-1, 2, 3), 2.0, 4), ((0, 1, 0), -1.0, 2)]
    i = torch.arange(-1, 5)
    x, y, z = torch.meshgrid((i + 0.5) / 8, (i + 0.5) / 8, (torch.arange(-1, 9) + 0.5) / 8, indexing="ij")
    turn = 2 * torch.pi
    expected = sum(
        value * mates * torch.cos(turn * k * y) * torch.cos(turn * (h * x + l * z))
        for (h, k, l), value, mates in hkl
    )
    torch.testing.assert_close(wide, expected, atol=1e-5, rtol=1e-5)


def test_it_asks_for_cells_and_channels():
    with pytest.raises(ValueError, match="needs the cells"):
        PattersonUNet(2, 4)(torch.zeros(1, 2, 3, 2, 2), Layout((-1, 0, 0), torch.ones(1, 3, 2, 2).bool()))
    with pytest.raises(ValueError, match="must begin with f, measured"):
        PattersonUNet(1, 4)
    with pytest.raises(ValueError, match="multiple of 4"):
        PattersonUNet(2, 6)
