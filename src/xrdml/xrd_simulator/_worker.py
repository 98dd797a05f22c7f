"""A worker process: ``python -m xrdml.xrd_simulator._worker``, started by `pool`.

Makes the crystals of the recipe `random_atoms` by cctbx.
"""

from __future__ import annotations

from xrdml.xrd_simulator import _cctbx_first  # noqa: F401

# isort: split

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from xrdml.crystal.store import TensorLayout, write_store
from xrdml.xrd_simulator import random_atoms
from xrdml.xrd_simulator._serve import serve
from xrdml.xrd_simulator.options import RandomAtomsOptions
from xrdml.xrd_simulator.tensors import tensor_pair


def make_shard(
    path: Path, start: int, stop: int, attributes: dict[str, Any], made: Callable[[int], None]
) -> None:
    """Write crystals start … stop − 1 to a dataset file of their own.

    Parameters
    ----------
    attributes
        Of the whole data set: seed, options and tensor layout are taken from here.
    made
        Called with 1 after each crystal.
    """
    options = RandomAtomsOptions.from_json(attributes["options"])
    layout = TensorLayout.from_json(attributes["tensors"]) if attributes["tensors"] else None
    samples = (random_atoms.sample(attributes["seed"], i, options) for i in range(start, stop))

    def counted(items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            yield item
            made(1)

    if layout is None:
        write_store(path, counted(samples), attributes)
    else:
        structures = list(samples)
        pairs = (tensor_pair(structure, layout) for structure in structures)
        write_store(path, structures, attributes, (layout, counted(pairs)))


if __name__ == "__main__":
    sys.exit(serve(make_shard))
