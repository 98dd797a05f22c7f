"""Attention of layers with set weights, and the statistics on it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from crystals import random_structure
from xrdml.crystal.grid import HklGrid
from xrdml.data.tensors import Limits, simulated_tensors
from xrdml.explain.absences import cliffs_delta, effects, within_shells
from xrdml.explain.attention import (
    link_histogram,
    queries_and_keys,
    received,
    rows_of_attention,
    strongest,
    tokens_of,
)
from xrdml.physics.structure_factors import collate
from xrdml.training.network import Network

torch.set_num_threads(1)
GRID = HklGrid((-6, 0, 0), (6, 6, 8))
MODEL = {
    "name": "xrd_transformer",
    "width": 8,
    "blocks": 2,
    "heads": 2,
    "dropout": 0.0,
    "grid": str(GRID),
    "channels": ["f", "absent"],
}


def batch_of(group="P 1 21 1"):
    return simulated_tensors(collate([random_structure(group, seed=3)]), GRID, Limits(2.2, 1.5))


def made(**options) -> Network:
    torch.manual_seed(0)
    return Network({**MODEL, **options}).eval().requires_grad_(False)


def q_and_k(n, heads=2, d=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(heads, n, d, generator=generator), torch.randn(heads, n, d, generator=generator)


@pytest.mark.parametrize("tokens", ["all", "sphere"])
def test_the_attention_is_what_the_network_used(tokens):
    """softmax(q·k) from the hooks, times v, is what torch's own attention hands on."""
    network, batch = made(tokens=tokens), batch_of()
    handed, values = [], []
    for block in network.model.blocks:
        block.proj.register_forward_pre_hook(lambda _, args: handed.append(args[0][0]))
        block.qkv.register_forward_hook(
            lambda _, __, out: values.append(out[0].unflatten(-1, (3, 2, 4))[:, 2])
        )
    pairs = queries_and_keys(network.model, lambda: network(batch))
    assert len(pairs) == 2
    n = len(tokens_of(network.model, batch).position)
    for (q, k), out, v in zip(pairs, handed, values, strict=True):
        assert q.shape == (2, n, 4)
        rows = torch.arange(n)
        attention = torch.cat([a for _, a in rows_of_attention(q, k, rows)], 1)
        seen = torch.einsum("hij,jhd->ihd", attention, v).flatten(1)
        assert torch.allclose(seen, out, atol=1e-5)


def test_tokens_stand_where_the_tensor_says():
    batch, network = batch_of(), made(tokens="sphere")
    tokens = tokens_of(network.model, batch)
    assert (tokens.hkl.numpy() == GRID.hkl[tokens.position.numpy()]).all()
    # P2₁: 0 k 0 with odd k is absent, and nothing else.
    h, k, l = tokens.hkl.T
    assert (tokens.absent == ((h == 0) & (l == 0) & (k % 2 == 1))).all()
    assert tokens.absent.sum() == 3
    assert tokens.ordinary.sum() == batch["known"].sum()
    assert len(tokens_of(made().model, batch).position) == math.prod(GRID.shape)


def test_received_attention_by_hand():
    """Two tokens; the second key is ahead by ln 3 for every query: ¼ and ¾ of the attention."""
    q = torch.ones(1, 2, 1)
    k = torch.tensor([[[0.0], [math.log(3)]]])
    assert received(q, k, torch.arange(2))[0].tolist() == pytest.approx([0.5, 1.5])


def test_parts_of_rows_and_all_at_once_agree():
    q, k = q_and_k(300)
    rows = torch.arange(0, 300, 2)
    whole = torch.softmax(q @ k.transpose(1, 2) / 2, -1)[:, rows]
    assert torch.allclose(received(q, k, rows), whole.mean(1) * 300, atol=1e-4)
    chosen = torch.arange(300) % 5 == 0
    edges = torch.linspace(-3, 3, 13)
    expected = [np.histogram(np.log10(w[:, chosen] * 300).clip(-3, 3), edges)[0] for w in whole.numpy()]
    assert link_histogram(q, k, rows, chosen, edges).tolist() == np.array(expected).tolist()


def test_strongest_links_are_found_across_parts():
    q, k = q_and_k(300, seed=1)
    rows = torch.arange(300)
    links = strongest(q, k, rows, 5)
    whole = torch.softmax(q @ k.transpose(1, 2) / 2, -1) * 300
    whole[:, rows, rows] = -1  # no token is linked to itself
    value, place = whole.flatten(1).topk(5, 1)
    assert torch.allclose(links.strength, value, rtol=1e-4)
    assert (links.query == place // 300).all()
    assert (links.key == place % 300).all()


def test_strongest_asked_for_more_than_there_are():
    q, k = q_and_k(3)
    links = strongest(q, k, torch.arange(3), 8)
    assert links.strength.shape == (2, 6)
    assert (links.strength > 0).all()
    assert (links.query != links.key).all()


def test_cliffs_delta_by_hand():
    assert cliffs_delta(np.array([1.0, 4.0]), np.array([2.0, 3.0])) == 0
    assert cliffs_delta(np.array([4.0, 5.0]), np.array([2.0, 3.0])) == 1
    assert cliffs_delta(np.array([2.0]), np.array([2.0, 3.0, 1.0, 5.0])) == pytest.approx((1 - 2) / 4)
    assert math.isnan(cliffs_delta(np.array([]), np.array([1.0])))


def test_shells_are_compared_with_themselves():
    """Absences lie where everything is large: over all δ would be 1, within shells it is 0."""
    value = np.array([9.0, 9.0, 9.0, 1.0, 1.0, 1.0])
    absent = np.array([True, False, False, False, False, False])
    shell = np.array([0, 0, 0, 1, 1, 1])
    assert cliffs_delta(value[absent], value[~absent]) > 0.5
    assert within_shells(value, absent, ~absent, shell) == (0.0, 1.0)


def set_to_see_absences(network: Network, strength: float) -> None:
    """Weights with which every query looks at keys whose channel `absent` is 1."""
    model = network.model
    for p in model.parameters():
        p.zero_()
    model.project.weight[0, 1] = 1.0  # channel absent → first component
    model.project.bias[1] = 1.0
    for block in model.blocks:
        block.norm1.weight.fill_(1.0)
        block.qkv.bias[0] = block.qkv.bias[4] = 1.0  # q of both heads is (1, 0, 0, 0)
        block.qkv.weight[8, 0] = block.qkv.weight[12, 0] = strength  # k of both heads is the first component


@pytest.mark.parametrize(("strength", "delta"), [(3.0, 1.0), (-3.0, -1.0), (0.0, 0.0)])
def test_effect_of_attention_with_set_weights(strength, delta):
    network, batch = made(), batch_of()
    set_to_see_absences(network, strength)
    for effect in effects(network, batch):
        assert effect.delta == delta
        assert effect.delta_heads.tolist() == [delta, delta]
        assert (effect.ratio > 1) == (strength > 0)
        if strength == 0:
            assert effect.ratio == pytest.approx(1)
            assert effect.share == pytest.approx(3 / math.prod(GRID.shape))


def test_control_in_a_group_without_absences():
    """What knows absences by the mask sees nothing special at the same places of P2."""
    network, absent = made(), batch_of()["absent"].flatten()
    set_to_see_absences(network, 3.0)
    for effect in effects(network, batch_of("P 1 2 1"), absent):
        assert effect.delta == 0
        assert effect.ratio == pytest.approx(1)


def test_attention_of_torch_is_meant():
    """The scale 1/√d is that of torch."""
    q, k = q_and_k(7)
    attention = torch.cat([a for _, a in rows_of_attention(q, k, torch.arange(7))], 1)
    identity = torch.eye(7).expand(2, 7, 7)
    assert torch.allclose(attention, F.scaled_dot_product_attention(q, k, identity), atol=1e-6)
