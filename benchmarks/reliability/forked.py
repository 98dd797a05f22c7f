"""Commands in children of a process that has imported everything: killed at work, not while they import."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """How a command ended: status (negative: signal), seconds, peak memory in MB, and what it said."""

    code: int
    seconds: float
    peak: float
    said: str


def prepare() -> None:
    """Import what the commands import; one thread, so that forking is safe."""
    import torch

    import xrdml.evaluate.figures
    import xrdml.infer.pipeline
    import xrdml.infer.solve
    import xrdml.training.fit  # noqa: F401

    torch.set_num_threads(1)


def start(words: list[str], log: Path, cwd: Path | None = None) -> int:
    """Start a command; its process id. What it says goes to the end of `log`."""
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        if cwd is not None:
            os.chdir(cwd)
        from xrdml.cli.main import main

        code = main(words)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 98
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(code)


def run(words: list[str], log: Path, cwd: Path | None = None) -> Ended:
    """Run a command to its end; `said` is what is new in `log`."""
    before = log.stat().st_size if log.exists() else 0
    started = time.monotonic()
    _, status, usage = os.wait4(start(words, log, cwd), 0)
    said = log.read_bytes()[before:].decode(errors="replace") if log.exists() else ""
    return Ended(os.waitstatus_to_exitcode(status), time.monotonic() - started, usage.ru_maxrss / 1024, said)
