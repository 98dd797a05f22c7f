"""Progress on standard error: a live line on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from xrdml.cli._console import is_quiet

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def status() -> Iterator[Callable[[str], None]]:
    """A function that shows what is going on."""
    from rich.console import Console

    console = Console(stderr=True)
    if is_quiet():
        yield lambda what: None
    elif not console.is_terminal:
        yield _plain()
    else:
        with console.status("starting") as shown:
            yield shown.update


@contextmanager
def best_so_far() -> Iterator[Callable[[str, float], None]]:
    """A function that shows what is going on and the best R so far."""
    with status() as show:
        yield lambda what, r: show(f"{what}, best R {r:.3f}")


def _plain() -> Callable[[str], None]:
    last = time.monotonic()

    def show(what: str) -> None:
        nonlocal last
        if time.monotonic() - last > SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            print(what, file=sys.stderr, flush=True)

    return show


@contextmanager
def progress(n: int, what: str = "crystals") -> Iterator[Callable[[int], None]]:
    """A function that is told how many of `n` were made since it was told last."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed or 0:.0f} {what}/s")

    console = Console(stderr=True)
    if is_quiet():
        yield lambda k: None
        return
    if not console.is_terminal:
        yield _PlainProgress(n, what)
        return
    columns = (BarColumn(), MofNCompleteColumn(), Speed(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=n)
        yield lambda k: bar.advance(task, k)


class _PlainProgress:
    def __init__(self, n: int, what: str):
        self.n, self.what = n, what
        self.done = 0
        self.started = self.last = time.monotonic()

    def __call__(self, k: int) -> None:
        self.done += k
        now = time.monotonic()
        if now - self.last > SECONDS_BETWEEN_LINES:
            self.last = now
            speed = self.done / (now - self.started)
            print(f"{self.done} of {self.n} {self.what}, {speed:.0f}/s", file=sys.stderr, flush=True)
