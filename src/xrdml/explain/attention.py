"""Who looks at whom: the attention of XRD_Transformer, a few rows of the matrix at a time.

The matrix of one block has heads × N² numbers, 460 million for the thesis' 10 764 tokens; it is never held as
a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from xrdml.data import keys
from xrdml.data.tensors import TensorBatch
from xrdml.models.xrd_transformer import XRDTransformer
from xrdml.training.network import Network

ROWS = 128
"""Rows of the matrix at a time: 22 MB with 4 heads and 10 764 tokens."""


@dataclass(frozen=True)
class Tokens:
    """Which position of the tensor each token stands for; all (N,), positions in C order.

    Attributes
    ----------
    position
        Row of the flattened tensor.
    hkl
        Miller indices, (N, 3).
    measured, predict, absent
        Masks of :mod:`xrdml.data.keys`; tokens in none of them are no reflections of the crystal.
    s
        1/2d in Å⁻¹.
    """

    position: Tensor
    hkl: Tensor
    measured: Tensor
    predict: Tensor
    absent: Tensor
    s: Tensor

    @property
    def ordinary(self) -> Tensor:
        """Reflections that are no absences."""
        return self.measured | self.predict


@dataclass(frozen=True)
class Links:
    """The strongest links of each head, (heads, n), falling; `query` and `key` are rows of the tokens.

    Attributes
    ----------
    strength
        Attention times the number of tokens: 1 is even attention.
    """

    strength: Tensor
    query: Tensor
    key: Tensor


def tokens_of(model: XRDTransformer, batch: TensorBatch) -> Tokens:
    """The tokens that the network makes of a batch of one crystal."""
    masks = {k: batch[k].flatten() for k in (keys.MEASURED, keys.PREDICT, keys.ABSENT)}
    inside = masks[keys.MEASURED] | masks[keys.PREDICT] | masks[keys.ABSENT]
    if model.tokens == "all":
        inside = torch.ones_like(inside)
    position = inside.nonzero()[:, 0]
    hkl = torch.from_numpy(batch[keys.GRID].hkl).to(position.device)[position]
    m, p, a = (mask[position] for mask in masks.values())
    return Tokens(position, hkl, m, p, a, batch[keys.S].flatten()[position])


@torch.no_grad()
def queries_and_keys(model: XRDTransformer, run: Callable[[], Any]) -> list[tuple[Tensor, Tensor]]:
    """q and k of every block, each (heads, N, width / heads), while `run` sends one crystal through."""
    found: list[tuple[Tensor, Tensor]] = []

    def keep(heads: int) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_: nn.Module, __: Any, out: Tensor) -> None:
            q, k, _v = out[0].unflatten(-1, (3, heads, -1)).permute(1, 2, 0, 3)
            found.append((q.float(), k.float()))

        return hook

    handles = [block.qkv.register_forward_hook(keep(block.heads)) for block in model.blocks]  # type: ignore[union-attr, arg-type]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return found


def rows_of_attention(q: Tensor, k: Tensor, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """softmax(q·kᵀ/√d) for the tokens `rows` (n,), in parts: (their rows (c,), (heads, c, N))."""
    for part in rows.split(ROWS):
        yield part, torch.softmax(q[:, part] @ k.transpose(1, 2) * k.shape[-1] ** -0.5, -1)


@torch.no_grad()
def received(q: Tensor, k: Tensor, rows: Tensor) -> Tensor:
    """Mean attention of the tokens `rows` to every token, times N: (heads, N), 1 where it is even."""
    total = torch.zeros(q.shape[:2], device=q.device)
    for _, part in rows_of_attention(q, k, rows):
        total += part.sum(1)
    return total * (k.shape[1] / len(rows))


@torch.no_grad()
def strongest(q: Tensor, k: Tensor, rows: Tensor, n: int) -> Links:
    """The n strongest links of each head from `rows` to other tokens."""
    heads, total = q.shape[:2]
    n = min(n, len(rows) * (total - 1))
    best = Links(
        torch.full((heads, n), -1.0, device=q.device),
        *torch.zeros(2, heads, n, dtype=torch.long, device=q.device),
    )
    for part, attention in rows_of_attention(q, k, rows):
        attention.scatter_(2, part.expand(heads, -1)[..., None], -1.0)  # a token's link to itself is none
        value, place = attention.flatten(1).topk(min(n, attention[0].numel()), 1)
        values = torch.cat([best.strength, value * total], 1)
        queries = torch.cat([best.query, part[place // total]], 1)
        looked_at = torch.cat([best.key, place % total], 1)
        strength, order = values.topk(n, 1)
        best = Links(strength, queries.gather(1, order), looked_at.gather(1, order))
    return best


@torch.no_grad()
def link_histogram(q: Tensor, k: Tensor, rows: Tensor, chosen: Tensor, edges: Tensor) -> Tensor:
    """How many links from `rows` to the tokens of a mask (N,) have log₁₀(N · attention) between the
    edges (m + 1,), the outer bins open: (heads, m)."""
    counts = torch.zeros(len(q), len(edges) - 1, dtype=torch.long, device=q.device)
    inner = edges[1:-1].to(q.device)
    for _, part in rows_of_attention(q, k, rows):
        values = (part[..., chosen] * k.shape[1]).clamp_min(1e-30).log10().flatten(1)
        for head, bins in enumerate(torch.bucketize(values, inner)):
            counts[head] += torch.bincount(bins, minlength=counts.shape[1])
    return counts


def transformer_of(network: Network) -> XRDTransformer:
    """The transformer in a network.

    Raises
    ------
    TypeError
        It is of another kind.
    """
    if not isinstance(network.model, XRDTransformer):
        raise TypeError(f"expected an XRDTransformer, got {type(network.model).__name__}")
    return network.model
