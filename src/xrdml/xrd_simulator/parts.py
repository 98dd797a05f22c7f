"""A long file made in parts: where the parts lie, who may work on them, and what may be resumed."""

from __future__ import annotations

import fcntl
import glob
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xrdml.crystal.files import remove_leftovers
from xrdml.errors import UserError

SUFFIX = ".parts"


def ranges(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    """Cut start … stop at multiples of `size`: the cuts do not depend on where a run began."""
    while start < stop:
        end = min(stop, (start // size + 1) * size)
        yield start, end
        start = end


@contextmanager
def alone_in(folder: Path, part: tuple[int, int] | None = None) -> Iterator[None]:
    """Make the folder of parts and keep other runs out of it; the system frees a dead run's lock.

    Parameters
    ----------
    part
        (i, n): keep out only runs that make the same part or all of them.

    Raises
    ------
    UserError
        The folder cannot be made, or another run holds it.
    """
    try:
        folder.mkdir(exist_ok=True)
        lock = open(folder / "lock", "w")  # noqa: SIM115 — held by the `with` below
        own = open(folder / ("lock" if part is None else "lock-{}-of-{}".format(*part)), "w")  # noqa: SIM115
    except OSError as error:
        raise UserError(f"cannot write here ({error.strerror}); choose another place", path=folder) from None
    with lock, own:
        try:
            fcntl.flock(lock, (fcntl.LOCK_EX if part is None else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            if part is not None:
                fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError("another run is making this file; wait for it", path=folder) from None
        if part is None:
            remove_leftovers(folder.parent, glob.escape(folder.name.removesuffix(SUFFIX)))
        yield


def check_same(old: dict[str, Any], new: dict[str, Any], remedy: str, path: Path) -> None:
    """Raise UserError that names what differs between how a file was made and what is wanted now."""
    before, now = _flat(old), _flat(new)
    different = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    if different:
        what = ", ".join(f"{key} {before.get(key, 'none')} (now {now.get(key, 'none')})" for key in different)
        raise UserError(f"was made with {what}; {remedy}", path=path)


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            out |= _flat(item, f"{prefix}{key}.")
        elif item is not None:
            out[prefix + key] = item
    return out
