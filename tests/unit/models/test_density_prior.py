"""The density prior's network."""

from __future__ import annotations

import pytest
import torch

from xrdml.data.density import conditions
from xrdml.models.density_prior import DensityPrior

CELL = (6.0, 8.0, 10.0, 90.0, 100.0, 90.0)


@pytest.fixture(scope="module")
def network() -> DensityPrior:
    torch.manual_seed(0)
    return DensityPrior(1, 8).eval()


def told(shape: tuple[int, ...], n: int = 1) -> torch.Tensor:
    return conditions(torch.full((n,), 0.5), torch.full((n,), 1.5), [CELL] * n, shape)


@pytest.mark.parametrize("shift", [(4, 0, 0), (0, 8, 0), (4, 12, 8)])
def test_a_shifted_map_gives_the_shifted_answer(network, shift):
    x = torch.randn(1, 1, 12, 16, 20)
    with torch.no_grad():
        expected = network(x, told(x.shape[2:])).roll(shift, (1, 2, 3))
        found = network(x.roll(shift, (2, 3, 4)), told(x.shape[2:]))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("shape", [(8, 8, 8), (8, 12, 40), (20, 16, 12)])
def test_grids_of_multiples_of_four_are_taken(network, shape):
    with torch.no_grad():
        assert network(torch.randn(2, 1, *shape), told(shape, 2)).shape == (2, *shape)


def test_other_grids_are_refused(network):
    with pytest.raises(ValueError, match="multiples of 4, got \\(8, 10, 12\\)"):
        network(torch.randn(1, 1, 8, 10, 12), told((8, 10, 12)))


def test_every_parameter_learns(network):
    x = torch.randn(2, 1, 8, 12, 8)
    network(x, told((8, 12, 8), 2)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    network.zero_grad()


def test_the_answer_depends_on_level_limit_and_metric(network):
    x = torch.randn(1, 1, 8, 12, 8)
    base = told((8, 12, 8))
    with torch.no_grad():
        reference = network(x, base)
        for i in range(base.shape[1]):
            other = base.clone()
            other[0, i] += 0.1
            assert (network(x, other) - reference).abs().max() > 1e-6, i


def test_conditions_are_level_limit_spacings_and_cosines():
    found = conditions(torch.tensor([0.25]), torch.tensor([1.8]), [CELL], (12, 16, 20))[0]
    expected = [0.25, 1.8, 0.5, 0.5, 0.5, 0.0, -0.17364818, 0.0]
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-6, rtol=0)
