"""A worker process: ``python -m xrdml.physics._worker``, started by `xrdml.xrd_simulator.pool`.

Makes the crystals of the recipe `molecular` by torch, from a library of molecules.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from xrdml.crystal.molecular_options import MolecularOptions
from xrdml.crystal.molecule_library import MoleculeLibrary
from xrdml.crystal.store import write_store
from xrdml.crystal.structure import Structure
from xrdml.physics.molecular import make_crystals
from xrdml.xrd_simulator._serve import serve

BLOCK = 40
"""Crystals packed together. A block is always made whole, so that crystal i depends on the seed and i alone
however many are asked for."""


def make_shard(
    path: Path, start: int, stop: int, attributes: dict[str, Any], made: Callable[[int], None]
) -> None:
    """Write crystals start … stop − 1 to a dataset file of their own."""
    torch.set_num_threads(1)
    options = MolecularOptions.from_json(attributes["options"])
    library = MoleculeLibrary(options.library)
    structures: list[Structure] = []
    for first in range(start // BLOCK * BLOCK, stop, BLOCK):
        block = make_crystals(library, options, attributes["seed"], range(first, first + BLOCK))
        wanted = block[max(start - first, 0) : stop - first]
        structures += wanted
        made(len(wanted))
    write_store(path, structures, attributes)


if __name__ == "__main__":
    sys.exit(serve(make_shard))
