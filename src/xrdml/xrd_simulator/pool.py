"""Worker processes that hold cctbx or torch, seen from the side that must not."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xrdml.errors import UserError

SECONDS_TO_STOP = 5.0


@dataclass(frozen=True)
class Shard:
    """Crystals start … stop − 1, in a file of their own."""

    start: int
    stop: int
    path: Path


class Worker:
    """A fresh interpreter; nothing of the parent's `__main__` or modules comes with it."""

    def __init__(self, module: str, attributes: dict[str, Any]):
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 — closed by `stop`
        self.process = subprocess.Popen(
            # -P: a random.py in the user's folder must not stand for the library's.
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C reaches the parent alone, which then ends its workers
        )
        self.pending = b""
        self.send(attributes)

    def send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has died: reading from it says so, with the reason

    def give(self, shard: Shard) -> None:
        self.send({"start": shard.start, "stop": shard.stop, "path": str(shard.path)})

    def receive(self) -> list[dict[str, Any]] | None:
        """Messages that have come, or None when there will be no more."""
        assert self.process.stdout is not None
        data = os.read(self.process.stdout.fileno(), 65536)
        if not data:
            return None
        *lines, self.pending = (self.pending + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def why_it_died(self) -> str:
        code = self.process.wait()
        if code < 0:
            return f"signal {signal.Signals(-code).name}; out of memory?"
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit status {code}"

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            try:
                if stream is not None:
                    stream.close()
            except BrokenPipeError:
                pass


def run_shards(
    shards: Sequence[Shard],
    attributes: dict[str, Any],
    module: str,
    workers: int,
    made: Callable[[int], None],
) -> None:
    """Let worker processes write the shards; none is left running, however this ends.

    Parameters
    ----------
    attributes
        Of the data set, as JSON: recipe, seed, options, tensors.
    module
        What a worker runs: one that ends in :func:`xrdml.xrd_simulator._serve.serve`.
    made
        Called with the number of crystals made since the last call.

    Raises
    ------
    UserError
        A crystal cannot be made, a file cannot be written, or a worker died. Finished shards stay.
    """
    waiting = list(reversed(shards))
    team: list[Worker] = []
    with selectors.DefaultSelector() as selector:
        try:
            for _ in range(min(workers, len(shards))):
                worker = Worker(module, attributes)
                team.append(worker)
                assert worker.process.stdout is not None
                selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
                worker.give(waiting.pop())
            unfinished = len(shards)
            while unfinished:
                for key, _ in selector.select():
                    worker = key.data
                    messages = worker.receive()
                    if messages is None:
                        raise UserError(
                            f"a worker process ended ({worker.why_it_died()}); finished parts are kept: "
                            "run the same command again to go on, with fewer --workers if memory was short"
                        )
                    for message in messages:
                        if "error" in message:
                            raise UserError(message["error"])
                        made(message.get("made", 0))
                        if "shard" in message:
                            unfinished -= 1
                            if waiting:
                                worker.give(waiting.pop())
        finally:
            for worker in team:
                worker.stop()
