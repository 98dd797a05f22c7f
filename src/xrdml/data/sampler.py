"""Shuffling that can go on in the middle of an epoch."""

from __future__ import annotations

from collections.abc import Iterator

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
    start
        Batches already seen, over all epochs: the epoch that they end in begins after them.
    rank, world
        This process and the number of processes; each takes every `world`-th index, and all take
        equally many, the first ones twice where they do not share out evenly.
    """

    def __init__(self, size: int, batch_size: int, seed: int, start: int = 0, rank: int = 0, world: int = 1):
        self.size, self.batch_size, self.seed = size, batch_size, seed
        self.rank, self.world = rank, world
        self._first_epoch, self._skip = divmod(start, -(-len(self) // batch_size))
        self._epoch = self._first_epoch

    def __len__(self) -> int:
        return -(-self.size // self.world)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order; Lightning calls this before each epoch."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng((self.seed, self._epoch)).permutation(self.size)
        order = np.resize(order, len(self) * self.world)[self.rank :: self.world]
        skip = self._skip * self.batch_size if self._epoch == self._first_epoch else 0
        yield from order[skip:].tolist()
