"""Progress of a search on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def best_so_far() -> Iterator[Callable[[str, float], None]]:
    """A function that shows what is going on and the best R so far.

    One changing line on a terminal; elsewhere a line now and then.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain()
        return
    with console.status("starting") as status:
        yield lambda what, r: status.update(f"{what}, best R {r:.3f}")


def _plain() -> Callable[[str, float], None]:
    last = time.monotonic()

    def show(what: str, r: float) -> None:
        nonlocal last
        if time.monotonic() - last > SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            print(f"{what}, best R {r:.3f}", file=sys.stderr, flush=True)

    return show
