"""Grad-CAM and sensitivity of functions whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from crystals import random_structure
from xrdml.crystal.grid import HklGrid
from xrdml.data import keys
from xrdml.data.tensors import Limits, simulated_tensors
from xrdml.explain.grad_cam import grad_cam, shares
from xrdml.explain.sensitivity import Response, fixed_unit, influence, tensor_response
from xrdml.physics.structure_factors import collate
from xrdml.training.network import Network

torch.set_num_threads(1)
GRID = HklGrid((-7, 0, 0), (7, 6, 8))
LIMITS = Limits(2.2, 1.5)


@pytest.fixture(scope="module")
def batch():
    return simulated_tensors(collate([random_structure(seed=1)]), GRID, LIMITS)


def flat(mask):
    return mask[0].flatten().nonzero()[:, 0]


class Linear(nn.Module):
    """F = f · A, with few entries of A that are not zero."""

    def __init__(self, entries: dict[tuple[int, int], float]):
        super().__init__()
        self.entries = entries

    def forward(self, batch):
        f = batch[keys.F_INPUT].flatten(1)
        out = torch.zeros_like(f)
        for (j, i), a in self.entries.items():
            out = out.index_add(1, torch.tensor([i]), a * f[:, [j]])
        return out.reshape(batch[keys.F_INPUT].shape)


def test_influence_of_a_network_that_copies_one_reflection(batch):
    j, i = int(flat(batch[keys.MEASURED])[5]), int(flat(batch[keys.PREDICT])[9])
    found = influence(Linear({(j, i): 2.5}), batch, probes=2).flatten()
    assert found[j] == pytest.approx(2.5)
    found[j] = 0
    assert (found == 0).all()


def test_influence_of_a_linear_model_is_the_norm_of_its_columns(batch):
    m, p = flat(batch[keys.MEASURED]).tolist(), flat(batch[keys.PREDICT]).tolist()
    entries = {(m[0], p[0]): 3.0, (m[0], p[1]): -4.0, (m[1], p[0]): 1.0, (m[2], m[2]): 7.0}
    found = influence(Linear(entries), batch, probes=200).flatten()
    assert found[m[0]] == pytest.approx(5.0, rel=0.15)  # √(3² + 4²), from random signs
    assert found[m[1]] == pytest.approx(1.0)
    assert found[m[2]] == 0  # what it copies onto itself is measured, not predicted


def test_change_of_a_linear_model_is_that_of_its_input(batch):
    m, p = flat(batch[keys.MEASURED]).tolist(), flat(batch[keys.PREDICT]).tolist()
    f = batch[keys.F_INPUT].flatten().tolist()
    response = tensor_response(Linear({(m[3], p[4]): 2.0}), batch, levels=(0.01, 0.1), draws=300)
    change = response.change.reshape(2, -1)
    assert response.output.reshape(-1)[p[4]] == pytest.approx(2 * f[m[3]])
    assert change[:, p[4]] == pytest.approx([0.01 * 2 * f[m[3]], 0.1 * 2 * f[m[3]]], rel=0.1)
    assert np.delete(change, p[4], 1).max() == 0


def test_gain_of_a_copy_is_one_and_of_a_constant_nought(batch):
    copy = tensor_response(lambda b: b[keys.F_INPUT], batch, levels=(0.05,), draws=50)
    d, ratio = copy.by_shell(LIMITS.high, 4)
    assert (np.diff(d) < 0).all()
    assert ratio[0, 0] == pytest.approx(0.05, rel=0.1)
    assert np.isnan(ratio[0, -1])  # it draws nothing there
    constant = tensor_response(lambda b: torch.ones_like(b[keys.F_INPUT]), batch, levels=(0.05,), draws=2)
    assert (constant.by_shell(LIMITS.high, 4)[1] == 0).all()


def test_noise_is_on_measured_reflections_alone(batch):
    change = tensor_response(lambda b: b[keys.F_INPUT], batch, levels=(0.1,), draws=5).change[0]
    measured = batch[keys.MEASURED][0].numpy()
    assert (change[~measured] == 0).all()
    assert (change[measured] > 0).all()


def test_shells_by_hand():
    response = Response(
        np.array([0.1]),
        output=np.array([3.0, 4.0, 10.0, 99.0]),
        change=np.array([[0.3, 0.4, 5.0, 99.0]]),
        inverse_d2=np.array([0.1, 0.2, 0.9, 0.9]),
        counted=np.array([True, True, True, False]),
    )
    _, ratio = response.by_shell(1.0, 2)
    assert ratio[0].tolist() == pytest.approx([0.1, 0.5])


def small(name, **options):
    torch.manual_seed(0)
    config = {"name": name, "width": 3, "channels": ["f", "measured"], **options}
    return Network(config).eval().requires_grad_(False)


def first_only(network: Network, channel: int) -> None:
    """Only one channel of the first block reaches the output, unchanged: F = A_channel."""
    model = network.model
    kernel = torch.zeros(1, 3, 1, 1, 1)
    kernel[0, channel] = 1.0
    model.out = nn.Conv3d(3, 1, 1, bias=False)
    model.out.weight = nn.Parameter(kernel)
    model.up1 = _Tail(3)
    for unit in ("up1_1", "up1_2"):
        if hasattr(model, "fourier"):
            nn.init.zeros_(model.fourier[unit].widen.weight)
            nn.init.zeros_(model.fourier[unit].widen.bias)


class _Tail(nn.Module):
    """The last n channels: what comes over the shortcut from the first block."""

    def __init__(self, n: int):
        super().__init__()
        self.n = n

    def forward(self, x):
        return x[:, -self.n :]


@pytest.mark.parametrize(
    ("name", "options"), [("unet", {}), ("fft_unet", {}), ("fft_unet", {"form": "full_sphere"})]
)
def test_grad_cam_where_the_output_is_one_channel(batch, name, options):
    """Then ∂Y/∂A is 1 at the wanted positions of that channel, α its mean, and the map α · A."""
    network = small(name, **options)
    kept = {}
    layer = network.model.down1 if name == "unet" else network.model.fourier["down1_2"]
    hook = layer.register_forward_hook(lambda _, __, out: kept.update(a=out.detach().clone()))
    network(batch)
    hook.remove()
    channel = int(kept["a"][0].flatten(1).amax(1).argmax())
    first_only(network, channel)
    a = kept["a"][0, channel]
    wanted = batch[keys.PREDICT][0]
    front = [n % 4 if options else 0 for n in GRID.lower]
    inside = tuple(slice(b, b + n) for b, n in zip(front, GRID.shape, strict=True))
    alpha = float(wanted.sum()) / a.numel()
    expected = (alpha * a).clamp_min(0)[inside]
    assert expected.max() > 0
    assert torch.allclose(grad_cam(network, batch), expected, atol=1e-6)


def test_grad_cam_asks_for_one_reflection(batch):
    network = small("unet")
    first_only(network, 0)
    wanted = torch.zeros_like(batch[keys.PREDICT][0])
    wanted[7, 3, 4] = True
    one, all_of_them = grad_cam(network, batch, wanted), grad_cam(network, batch)
    n = batch[keys.PREDICT].sum()
    assert torch.allclose(one * n, all_of_them, atol=1e-5)


@pytest.mark.parametrize("quantity", ["f", "e", "e_ridge"])
def test_gradients_in_every_quantity(batch, quantity):
    """With |E| as the network's quantity its unit is held, whatever it is made from."""
    network = small("unet", quantity=quantity)
    run = fixed_unit(network, batch)
    assert torch.allclose(run(batch), network(batch))
    assert influence(run, batch, probes=1).max() > 0
    assert grad_cam(network, batch).isfinite().all()


def test_grad_cam_refuses_other_networks(batch):
    model = {"name": "xrd_transformer", "width": 4, "heads": 1, "blocks": 1, "channels": ["f"]}
    with pytest.raises(TypeError, match="XRDTransformer"):
        grad_cam(Network(model), batch)


def test_shares_by_hand(batch):
    s = batch[keys.S][0]
    ones = torch.ones_like(s)
    found = shares(ones, batch, LIMITS.low, LIMITS.high)
    d = 1 / (2 * s.double())
    assert found.measured == pytest.approx(float((d >= 2.2).float().mean()), abs=1e-3)
    assert found.predicted == pytest.approx(float(((d >= 1.5) & (d < 2.2)).float().mean()), abs=1e-3)
    assert found.measured + found.predicted + found.beyond == pytest.approx(1)
    inside = (batch[keys.MEASURED] | batch[keys.ABSENT])[0].float() * (d >= 2.2)
    assert shares(inside, batch, LIMITS.low, LIMITS.high).measured == pytest.approx(1)
