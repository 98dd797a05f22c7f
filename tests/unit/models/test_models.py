"""Every network of configs/model: built, trained on one batch, saved and loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from crystals import complaint, random_structure
from xrdml.crystal.grid import HklGrid
from xrdml.data import keys
from xrdml.data.tensors import Limits, simulated_tensors
from xrdml.models import build_model, model_names
from xrdml.models.unet import UNet
from xrdml.models.weights import load_weights, save_weights
from xrdml.physics.structure_factors import collate
from xrdml.training.losses import loss
from xrdml.training.network import Network, complete, load_network

CONFIGS = sorted((Path(__file__).parents[3] / "configs" / "model").glob("*.yaml"))
# Threads that wait for each other make such small convolutions forty times slower on a busy machine.
torch.set_num_threads(1)

SMALL_CELL = (5.1, 6.2, 7.3, 90.0, 103.0, 90.0)


@pytest.fixture(scope="module")
def batch():
    """Two small crystals on a grid whose sides are no multiples of 4."""
    structures = [random_structure(cell=SMALL_CELL, n=6, seed=i) for i in range(2)]
    return simulated_tensors(collate(structures), HklGrid((-3, 0, 0), (3, 4, 5)), Limits(2.5, 1.5))


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_model(path, batch, tmp_path):
    torch.manual_seed(0)
    config = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    if "width" in config:
        config["width"] = 32 if "heads" in config else 8
    if "blocks" in config:
        config["blocks"] = 2
    if "dropout" in config:
        config["dropout"] = 0.0  # it is there to prevent learning by heart
    network = Network(config)
    assert config["name"] in model_names()
    prediction = network(batch)
    assert prediction.shape == batch[keys.F_TARGET].shape
    first = loss(prediction, batch, "mse", "extension")
    first.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())

    goal = 0.1 * batch[keys.F_TARGET][batch[keys.PREDICT]].var()
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    # Tokens know only their own reflection until attention has learned to look: that takes longer.
    for _ in range(1500 if "heads" in config else 500):
        optimizer.zero_grad()
        value = loss(network(batch), batch, "mse", "extension")
        if value < goal:
            break
        value.backward()
        optimizer.step()
    assert value < goal, "one batch can be learned by heart"

    save_weights(tmp_path, {"model": config, "note": "é"}, network.model.state_dict())
    loaded, described = load_network(tmp_path)
    assert described["note"] == "é"
    assert not any(p.requires_grad for p in loaded.parameters())
    expected = network.eval()(batch)
    # Half precision keeps 11 bits of each weight.
    torch.testing.assert_close(loaded(batch), expected, atol=0.01, rtol=0.01)


def test_the_thesis_parameter_count():
    assert parameters(UNet(in_channels=1, width=64)) == pytest.approx(5.64e6, rel=0.001)


@pytest.mark.parametrize("shape", [(26, 18, 23), (1, 1, 1), (8, 4, 12), (5, 7, 2)])
def test_unet_takes_any_grid(shape):
    assert UNet(2, 4).eval()(torch.rand(1, 2, *shape)).shape == (1, *shape)


def test_padding_of_the_unet_is_zeros():
    """A grid that is a multiple of 4 and holds zeros at its ends gives what the cropped one gives."""
    network = UNet(1, 4).eval()
    x = torch.zeros(1, 1, 8, 4, 8)
    x[..., :5, :3, :6] = torch.rand(5, 3, 6)
    cropped = network(x[..., :5, :3, :6])
    torch.testing.assert_close(cropped, network(x)[..., :5, :3, :6])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "resnet", "channels": ["f"]}, "unknown model 'resnet'; choose from"),
        ({"name": "unet", "channels": []}, "model.channels"),
        ({"name": "unet", "channels": "f"}, "model.channels"),
        ({"name": "unet", "channels": ["f"], "depth": 3}, "has no option 'depth'; its options are width"),
        ({"name": "unet", "channels": ["f"], "width": "wide"}, "model.width=wide must be of type int"),
        ({"name": "unet", "channels": ["f"], "width": True}, "model.width=True must be of type int"),
        ({"name": "unet", "channels": ["f"], "width": 0}, "width must be at least 1"),
    ],
)
def test_bad_model_options(config, message):
    assert message in complaint(build_model, config)


def test_completing_puts_back_what_was_measured(batch):
    full = complete(torch.randn_like(batch[keys.F_TARGET]), batch)
    assert torch.equal(full[batch[keys.MEASURED]], batch[keys.F_INPUT][batch[keys.MEASURED]])
    assert (full[batch[keys.PREDICT]] >= 0).all()
    assert (full[batch[keys.PREDICT]] > 0).any()
    assert (full[~(batch[keys.MEASURED] | batch[keys.PREDICT])] == 0).all()


def test_half_precision_on_disk(tmp_path):
    """Kernels are halved; variances of a normalisation, which half precision cannot hold, are not."""
    config = {"name": "unet", "channels": ["f"], "width": 4}
    state = build_model(config).state_dict()
    state["down1.1.running_var"].fill_(1e-9)
    save_weights(tmp_path / "a", {"model": config}, state)
    _, loaded = load_weights(tmp_path / "a")
    assert loaded["down1.1.running_var"].eq(1e-9).all()
    for name, value in state.items():
        expected = value.half().float() if value.ndim > 1 else value
        assert torch.equal(loaded[name], expected), name
    kernels = sum(v.numel() for v in state.values() if v.ndim > 1)
    assert (tmp_path / "a" / "model.safetensors").stat().st_size < 2 * kernels + 12_000
