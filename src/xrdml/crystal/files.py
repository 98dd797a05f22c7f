"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from xrdml.errors import UserError


@contextmanager
def replace_when_done(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` only if the block succeeds.

    Raises
    ------
    UserError
        The folder does not exist or cannot be written, or the disk is full; the previous file
        at `path` stays as it was.
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise UserError(f"cannot write here ({error.strerror}); choose another place", path=path) from None
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes files private
        with open(temporary, "rb") as done:
            os.fsync(done.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(
            f"cannot write this file ({error.strerror or error}); it was left as it was", path=path
        ) from None
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def write_text(path: str | Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replace_when_done(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def writable_directory(path: str | Path) -> Path:
    """Make a directory (with its parents) and check that files can be written there.

    Raises
    ------
    UserError
        It cannot be made or written.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UserError(
            f"cannot write to this directory ({error.strerror}); choose another", path=path
        ) from None
    return path
