"""A worker process: ``python -m xrdml.data._powder_worker``, started by `xrdml.xrd_simulator.pool`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from xrdml.crystal.store import StructureStore
from xrdml.data.powder_options import PowderOptions, column_names, column_values
from xrdml.data.powder_patterns import make_patterns
from xrdml.data.powder_set import digest
from xrdml.data.powder_store import Block, write_patterns
from xrdml.xrd_simulator._serve import serve

BATCH = 20
"""Crystals computed together: it divides the size of a shard, so that batches are the same in every run."""


def make_shard(
    path: Path, start: int, stop: int, attributes: dict[str, Any], made: Callable[[int], None]
) -> None:
    """Write patterns start … stop − 1 to a file of their own."""
    torch.set_num_threads(1)
    options = PowderOptions.from_json(attributes["options"])
    crystals = StructureStore(attributes["source"])
    blocks: list[Block] = []
    for first in range(start, stop, BATCH):
        indices = range(first, min(first + BATCH, stop))
        patterns = make_patterns([crystals[i] for i in indices], options, attributes["seed"], indices)
        parameters = np.array([column_values(pattern.measurement) for pattern in patterns])
        blocks.append((np.stack([pattern.counts for pattern in patterns]), parameters))
        made(len(patterns))
    attributes = {**attributes, "crystals": digest(crystals, start, stop)}
    write_patterns(path, options.scan.two_theta, column_names(options.shape), blocks, attributes)


if __name__ == "__main__":
    sys.exit(serve(make_shard))
