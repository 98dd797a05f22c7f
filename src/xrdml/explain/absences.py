"""Does attention tell systematic absences from ordinary reflections? With the controls that answer needs.

For one crystal and block every reflection receives some mean attention from the ordinary ones. Cliff's δ
compares the absences with the ordinary reflections: the chance that an absence receives more, less the chance
that it receives less; 0 where the two are alike, −1 where every absence receives less than all others. It is
taken within shells of resolution, so that a network that looks at low angles first gives 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrdml.crystal.statistics import shell_edges, shell_index
from xrdml.data.tensors import TensorBatch
from xrdml.explain.attention import Tokens, queries_and_keys, received, tokens_of, transformer_of
from xrdml.training.network import Network

SHELLS = 8

Array = NDArray[np.float64]


@dataclass(frozen=True)
class BlockEffect:
    """One crystal and one block; heads together.

    Attributes
    ----------
    delta
        Cliff's δ within shells, their mean weighted by their numbers of absences.
    ratio
        Mean attention to an absence / mean attention to an ordinary reflection of the same shell.
    delta_heads
        δ of every head alone, (heads,).
    share
        Of all attention, what goes to absences.
    """

    delta: float
    ratio: float
    delta_heads: Array
    share: float


def cliffs_delta(a: Array, b: Array) -> float:
    """P(a > b) − P(a < b) over all pairs of a (n,) and b (m,); NaN where one is empty."""
    if not len(a) or not len(b):
        return float("nan")
    ordered = np.sort(b)
    below, up_to = np.searchsorted(ordered, a, "left"), np.searchsorted(ordered, a, "right")
    return float((below + up_to - len(b)).sum() / (len(a) * len(b)))


def within_shells(
    value: Array, chosen: NDArray[np.bool_], others: NDArray[np.bool_], shell: NDArray[np.intp]
) -> tuple[float, float]:
    """δ and ratio of the values (N,) of `chosen` against `others`, compared shell by shell."""
    deltas, weights, mine, theirs = [], [], 0.0, 0.0
    for i in np.unique(shell[chosen]):
        a, b = value[chosen & (shell == i)], value[others & (shell == i)]
        if len(b):
            deltas.append(cliffs_delta(a, b))
            weights.append(len(a))
            mine += a.sum()
            theirs += len(a) * b.mean()
    if not deltas:
        return float("nan"), float("nan")
    return float(np.average(deltas, weights=weights)), float(mine / theirs) if theirs > 0 else float("nan")


@torch.no_grad()
def effects(network: Network, batch: TensorBatch, chosen: Tensor | None = None) -> list[BlockEffect]:
    """The effect in every block for one crystal.

    Parameters
    ----------
    chosen
        Positions to compare with the other ordinary reflections instead of the absences, flat (G,):
        for the control in a group where they are ordinary reflections themselves.
    """
    model = transformer_of(network)
    tokens = tokens_of(model, batch)
    mine = tokens.absent if chosen is None else chosen[tokens.position]
    others = tokens.ordinary & ~mine
    rows = others.nonzero()[:, 0]
    shell = shells(tokens)
    a, b = mine.cpu().numpy(), others.cpu().numpy()
    out = []
    for q, k in queries_and_keys(model, lambda: network(batch)):
        heads = received(q, k, rows).cpu().numpy().astype(np.float64)
        mean = heads.mean(0)
        delta, ratio = within_shells(mean, a, b, shell)
        each = np.array([within_shells(h, a, b, shell)[0] for h in heads])
        out.append(BlockEffect(delta, ratio, each, float(mean[a].sum() / len(mean))))
    return out


def shells(tokens: Tokens) -> NDArray[np.intp]:
    """Shell of equal volume of every token, (N,)."""
    inverse_d2 = 4 * tokens.s.cpu().numpy().astype(np.float64) ** 2
    reflections = (tokens.ordinary | tokens.absent).cpu().numpy()
    return shell_index(inverse_d2, shell_edges(float(inverse_d2[reflections].max() ** -0.5), SHELLS))
