"""Crystals packed while training goes on: worker processes fill a reservoir, batches are drawn from it."""

from __future__ import annotations

import multiprocessing as mp
import os
import queue
import signal
from typing import Any

import torch
from torch.utils.data import Dataset

from xrdml.crystal.molecular_options import MolecularOptions
from xrdml.crystal.molecule_library import MoleculeLibrary
from xrdml.crystal.structure import Structure
from xrdml.data.dataset import Structures
from xrdml.errors import UserError
from xrdml.physics.molecular import make_crystals

BLOCK = 16
"""Crystals of a worker at a time, unless told otherwise."""
WAITING = 4
"""Blocks a worker may be ahead of the reservoir."""


class Reservoir(Dataset[Structure]):
    """Training crystals that change: each batch takes in what workers have packed since the last.

    The reservoir starts with crystals that are there already, and each packed one takes the place of the
    oldest, so that nobody ever waits for the packing. Block k of the workers is a pure function of
    (seed, k); which of them have arrived at a certain step depends on the speed of the machine.

    Parameters
    ----------
    start
        Crystals to begin with; their number is the size of the reservoir.
    options
        What to pack.
    seed
        Of the packing.
    workers
        Processes that pack, each with one thread.
    rank, world
        This process and the number of processes; each packs crystals of its own.
    block
        Crystals that a worker packs together.
    """

    def __init__(
        self,
        start: Structures,
        options: MolecularOptions,
        seed: int,
        workers: int = 1,
        rank: int = 0,
        world: int = 1,
        block: int = BLOCK,
    ):
        self._start = start
        self._fresh: dict[int, Structure] = {}
        self.packed = 0
        context = mp.get_context("spawn")
        self._queue: Any = context.Queue(maxsize=WAITING * workers)
        self.processes = [
            context.Process(
                target=_pack_forever,
                args=(self._queue, options, seed, rank * workers + k, workers * world, block),
                daemon=True,
            )
            for k in range(workers)
        ]
        for process in self.processes:
            process.start()

    def __len__(self) -> int:
        return len(self._start)

    def __getitem__(self, i: int) -> Structure:
        return self._fresh[i] if i in self._fresh else self._start[i]

    def __getitems__(self, indices: list[int]) -> list[Structure]:
        """A batch; a DataLoader without workers asks for it."""
        self.refresh()
        return [self[i] for i in indices]

    def refresh(self) -> int:
        """Take in what is ready, without waiting; returns how many crystals were.

        Raises
        ------
        UserError
            A worker cannot pack, or has died.
        """
        new = 0
        while True:
            try:
                block = self._queue.get_nowait()
            except queue.Empty:
                break
            if isinstance(block, str):
                raise UserError(block)
            for crystal in block:
                self._fresh[self.packed % len(self)] = crystal
                self.packed += 1
                new += 1
        for process in self.processes:
            if not process.is_alive():
                raise UserError(
                    f"a process that packs crystals ended with status {process.exitcode}; go on with "
                    "ckpt=last, with fewer data.library_workers if memory was short"
                )
        return new

    def close(self) -> None:
        """End the workers."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.join()
        self._queue.close()
        self._queue.cancel_join_thread()


def _pack_forever(out: Any, options: MolecularOptions, seed: int, number: int, step: int, size: int) -> None:
    """Put blocks of crystals, or what is wrong, into the queue until the parent ends."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    os.nice(5)  # training comes first
    parent = os.getppid()
    molecules = MoleculeLibrary(options.library)
    while os.getppid() == parent:
        try:
            crystals = make_crystals(molecules, options, seed, range(number * size, (number + 1) * size))
        except UserError as error:
            out.put(str(error))
            return
        if not _put(out, crystals, parent):
            return
        number += step


def _put(out: Any, crystals: list[Structure], parent: int) -> bool:
    """Wait for a place in the queue, unless the parent has gone."""
    while os.getppid() == parent:
        try:
            out.put(crystals, timeout=1.0)
            return True
        except queue.Full:
            continue
    return False
