"""A worker process: ``python -m xrdml.xrd_simulator._worker``, started by `pool`.

Speaks JSON, one object a line. In: the description of the run, then one shard after another,
``{"start": 0, "stop": 200, "path": "…"}``. Out: ``{"made": 17}`` now and then, ``{"shard": "…"}`` for
each finished one, or ``{"error": "…"}`` and the end.
"""

from __future__ import annotations

from xrdml.xrd_simulator import _cctbx_first  # noqa: F401

# isort: split

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from xrdml.crystal.store import TensorLayout, write_store
from xrdml.errors import UserError
from xrdml.xrd_simulator import random_atoms
from xrdml.xrd_simulator.options import RandomAtomsOptions
from xrdml.xrd_simulator.tensors import tensor_pair

SECONDS_BETWEEN_REPORTS = 0.2


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


class _Reporter:
    def __init__(self, out: TextIO):
        self.out = out
        self.count = 0
        self.last = time.monotonic()

    def send(self, message: dict[str, Any]) -> None:
        self.out.write(json.dumps(message) + "\n")
        self.out.flush()

    def made(self, n: int) -> None:
        self.count += n
        if time.monotonic() - self.last > SECONDS_BETWEEN_REPORTS:
            self.flush()

    def flush(self) -> None:
        self.send({"made": self.count})
        self.count, self.last = 0, time.monotonic()


def _tasks(lines: TextIO) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in iter(lines.readline, ""))


def main() -> int:
    # Anything a library prints must not get between the messages.
    reporter = _Reporter(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)
    tasks = _tasks(sys.stdin)
    make = partial(make_shard, attributes=next(tasks), made=reporter.made)
    try:
        for task in tasks:
            make(Path(task["path"]), task["start"], task["stop"])
            reporter.flush()
            reporter.send({"shard": task["path"]})
    except BrokenPipeError:  # whoever wanted the crystals has gone
        os.dup2(2, reporter.out.fileno())
        return 1
    except UserError as error:
        reporter.send({"error": str(error)})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
