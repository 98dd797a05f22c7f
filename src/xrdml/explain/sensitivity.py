"""What noise in the input does to the output, position by position and shell by shell.

The noise is a relative error of every measured |F|: f (1 + σ n), n normal. Beside it, `influence` is what a
small change at each position of the input does to all predicted reflections together, by gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrdml.crystal.statistics import shell_edges, shell_index
from xrdml.data import keys
from xrdml.data.tensors import TensorBatch
from xrdml.training.network import Network

Array = NDArray[np.float64]

LEVELS = (0.01, 0.03, 0.1, 0.3)
DRAWS = 8
SHELLS = 12


@dataclass(frozen=True)
class Response:
    """Output and its change under noise at the positions of any grid.

    Attributes
    ----------
    levels
        σ, (L,).
    output
        |F| without noise, (…).
    change
        Root mean square over draws of the change of |F| at each level, (L, …).
    inverse_d2
        1/d² in Å⁻² of every position, (…).
    counted
        Positions that are reflections, (…) bool.
    """

    levels: Array
    output: Array
    change: Array
    inverse_d2: Array
    counted: NDArray[np.bool_]

    def by_shell(self, d_min: float, n: int = SHELLS) -> tuple[Array, Array]:
        """Middle of each of n shells of equal volume in Å, (n,), and rms change / rms output in it at
        each level, (L, n); NaN in empty shells."""
        edges = shell_edges(d_min, n)
        shell = shell_index(self.inverse_d2[self.counted], edges)
        power = np.bincount(shell, self.output[self.counted] ** 2, minlength=n)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = [
                np.sqrt(np.bincount(shell, c[self.counted] ** 2, minlength=n) / power) for c in self.change
            ]
        return ((edges[1:] + edges[:-1]) / 2) ** -0.5, np.array(ratio)


@torch.no_grad()
def respond(
    run: Callable[[Tensor], Tensor],
    f: Tensor,
    noise: Callable[[float, torch.Generator], Tensor],
    levels: tuple[float, ...] = LEVELS,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Output and rms change of it, (…) and (levels, …).

    Parameters
    ----------
    run
        From an input to |F|.
    f
        The input without noise.
    noise
        The input with noise of a level.
    """
    clean = run(f)
    generator = torch.Generator().manual_seed(seed)
    change = [
        torch.stack([run(noise(level, generator)) - clean for _ in range(draws)]).square().mean(0).sqrt()
        for level in levels
    ]
    return clean, torch.stack(change)


def tensor_response(
    network: Callable[[TensorBatch], Tensor],
    batch: TensorBatch,
    levels: tuple[float, ...] = LEVELS,
    draws: int = DRAWS,
) -> Response:
    """Response of a tensor network on a batch of one crystal; all arrays (H, K, L)."""
    f = batch[keys.F_INPUT]

    def noise(level: float, generator: torch.Generator) -> Tensor:
        return f * (1 + level * torch.randn(f.shape, generator=generator).to(f.device))

    def run(x: Tensor) -> Tensor:
        return network({**batch, keys.F_INPUT: x})[0].float()

    output, change = respond(run, f, noise, levels, draws)
    counted = (batch[keys.MEASURED] | batch[keys.PREDICT])[0]
    return Response(
        np.array(levels),
        output.double().cpu().numpy(),
        change.double().cpu().numpy(),
        4 * batch[keys.S][0].double().cpu().numpy() ** 2,
        counted.cpu().numpy(),
    )


def fixed_unit(network: Network, batch: TensorBatch) -> Callable[[TensorBatch], Tensor]:
    """The network with the unit of |E| that it takes from a batch held as it is.

    Gradients are then of what it learned, and not of its normalisation.
    """
    with torch.no_grad():
        unit = network.unit(batch)

    def run(changed: TensorBatch) -> Tensor:
        raw = network.predict(changed, unit)
        return raw if unit is None else raw.float() * unit

    return run


def influence(
    network: Callable[[TensorBatch], Tensor], batch: TensorBatch, probes: int = 16, seed: int = 0
) -> Tensor:
    """√Σ_i (∂F_i/∂f_j)² over the reflections i to predict, for every input position j, (H, K, L).

    The sum is estimated from random signs v: the mean of (Jᵀv)_j² is Σ_i J_ij² (Hutchinson, 1989).
    """
    f = batch[keys.F_INPUT].clone().requires_grad_()
    out = network({**batch, keys.F_INPUT: f}).float()
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros_like(f)
    for _ in range(probes):
        signs = torch.randint(0, 2, out.shape, generator=generator).to(out) * 2 - 1
        (gradient,) = torch.autograd.grad(out, f, signs * batch[keys.PREDICT], retain_graph=True)
        total += gradient.square()
    return (total / probes).sqrt()[0].detach()
