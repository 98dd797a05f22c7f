"""Shuffling that can go on in the middle of an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from torch.utils.data import Sampler


class ResumableShuffle(Sampler[int]):
    """Every index once an epoch, in an order that follows from (seed, epoch) alone.

    Parameters
    ----------
    size
        Number of samples.
    batch_size
        Samples a batch; the start is counted in batches.
    seed
        Of the order.
    seen
        Says how many batches were seen already, over all epochs; the epoch that they end in begins
        after them. Asked when an epoch begins, because a trainer may ask for its loader before it has
        read the checkpoint.
    rank, world
        This process and the number of processes; each takes every `world`-th index, and all take
        equally many, the first ones twice where they do not share out evenly.
    """

    def __init__(
        self, size: int, batch_size: int, seed: int, seen: Callable[[], int], rank: int = 0, world: int = 1
    ):
        self.size, self.batch_size, self.seed, self.seen = size, batch_size, seed, seen
        self.rank, self.world = rank, world
        self._chosen: int | None = None

    def __len__(self) -> int:
        return -(-self.size // self.world)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order; Lightning calls this before each epoch."""
        self._chosen = epoch

    def __iter__(self) -> Iterator[int]:
        reached, batches = divmod(self.seen(), -(-len(self) // self.batch_size))
        epoch = reached if self._chosen is None else self._chosen
        order = np.random.default_rng((self.seed, epoch)).permutation(self.size)
        order = np.resize(order, len(self) * self.world)[self.rank :: self.world]
        skip = batches * self.batch_size if epoch == reached else 0
        yield from order[skip:].tolist()
