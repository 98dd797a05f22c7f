"""What every worker process says and hears.

JSON, one object a line. In: the description of the run, then one shard after another,
``{"start": 0, "stop": 200, "path": "…"}``. Out: ``{"made": 17}`` now and then, ``{"shard": "…"}`` for
each finished one, or ``{"error": "…"}`` and the end.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from xrdml.errors import UserError

SECONDS_BETWEEN_REPORTS = 0.2

MakeShard = Callable[[Path, int, int, dict[str, Any], Callable[[int], None]], None]
"""Writes crystals start … stop − 1 of the described run to a file, and reports how many it made."""


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


def serve(make_shard: MakeShard) -> int:
    """Make shards until there are no more; returns the exit status."""
    # Anything a library prints must not get between the messages.
    reporter = _Reporter(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)
    tasks = _tasks(sys.stdin)
    attributes = next(tasks)
    try:
        for task in tasks:
            make_shard(Path(task["path"]), task["start"], task["stop"], attributes, reporter.made)
            reporter.flush()
            reporter.send({"shard": task["path"]})
    except BrokenPipeError:  # whoever wanted the crystals has gone
        os.dup2(2, reporter.out.fileno())
        return 1
    except UserError as error:
        reporter.send({"error": str(error)})
        return 1
    return 0
