"""Input channels against the tensors and the cell that they are made from."""

from __future__ import annotations

import math

import pytest
import torch

from crystals import MONOCLINIC, random_structure
from xrdml.crystal.cell import d_spacing
from xrdml.crystal.grid import HklGrid
from xrdml.data import keys
from xrdml.data.channels import assemble_channels, input_channels
from xrdml.data.tensors import Limits, simulated_tensors
from xrdml.errors import UserError
from xrdml.physics.patterson import triplet_sums
from xrdml.physics.structure_factors import collate
from xrdml.physics.wilson import expected_amplitude

GRID = HklGrid((-6, 0, 0), (5, 6, 8))


@pytest.fixture(scope="module")
def batch():
    structures = [random_structure(name) for name in ("P 1 21 1", "C 1 2 1")]
    return simulated_tensors(collate(structures), GRID, Limits(2.5, 1.6))


def test_masks_and_amplitudes(batch):
    x = assemble_channels(batch, ["f", "measured", "predict", "absent", "centric", "epsilon", "s"])
    assert x.shape == (2, 7, *GRID.shape)
    assert x.dtype == torch.float32
    for i, key in enumerate((keys.F_INPUT, keys.MEASURED, keys.PREDICT, keys.ABSENT)):
        torch.testing.assert_close(x[:, i], batch[key].float())
    torch.testing.assert_close(x[:, 4], (batch[keys.CENTRIC] & batch[keys.KNOWN]).float())
    torch.testing.assert_close(x[:, 5:], torch.stack([batch[keys.EPSILON], batch[keys.S]], 1))
    assert torch.equal(assemble_channels(batch, ["s", "f"])[:, 1], x[:, 0])


def test_the_metric(batch):
    """With `cell`, s is 1/2d at every position, and the cell parameters stand everywhere."""
    names = input_channels({"channels": ["f", "measured"], "cell": True})
    assert names == ("f", "measured", "s", "a", "b", "c", "cos_alpha", "cos_beta", "cos_gamma")
    x = assemble_channels(batch, names)[1]
    d = d_spacing(MONOCLINIC, GRID.hkl)[1:]
    assert x[2].flatten()[1:].numpy() == pytest.approx(1 / (2 * d), rel=1e-5)
    a, b, c, _, beta, _ = MONOCLINIC
    cosine = math.cos(math.radians(beta))
    expected = [math.log(a / 10), math.log(b / 10), math.log(c / 10), 0, cosine, 0]
    for plane, value in zip(x[3:], expected, strict=True):
        assert plane.unique().tolist() == pytest.approx([value], abs=1e-6)


def test_triplets(batch):
    """The same whether |E| is made here or given as the unit of f."""
    unit = expected_amplitude(*(batch[k] for k in (keys.F_INPUT, keys.MEASURED, keys.EPSILON, keys.S)))
    x = assemble_channels(batch, ["f", "triplets"], unit)
    torch.testing.assert_close(x[:, 1:], assemble_channels(batch, ["triplets"]))
    torch.testing.assert_close(x[:, 0] * unit, batch[keys.F_INPUT])
    expected = triplet_sums(x[:, 0], batch[keys.MEASURED], batch[keys.S], GRID.lower)
    torch.testing.assert_close(x[:, 1], expected)


def test_a_listed_channel_is_not_repeated():
    assert input_channels({"channels": ["s", "f"], "cell": True}).count("s") == 1
    assert input_channels({"channels": ["s", "f"], "cell": False}) == ("s", "f")
    assert input_channels({"channels": ["f"]}) == ("f",)


@pytest.mark.parametrize("names", [["f", "phase"], ["f", "f"], []])
def test_unknown_channels(names):
    with pytest.raises(UserError, match="choose from f, measured"):
        input_channels({"channels": names})
