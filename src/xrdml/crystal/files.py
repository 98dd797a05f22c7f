"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from xrdml.errors import UserError

log = logging.getLogger("xrdml")

UNFINISHED = ".unfinished"
_PART = "part-"


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
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.{_PART}", suffix=path.suffix, dir=path.parent)
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
        log.info("written: %s", path)
    except OSError as error:
        raise UserError(
            f"cannot write this file ({error.strerror or error}); it was left as it was", path=path
        ) from None
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def remove_leftovers(directory: Path, name: str = "*") -> None:
    """Remove temporary files that killed runs left for `name`; call it only where no other run writes."""
    for path in directory.glob(f".{name}.{_PART}*"):
        path.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replace_when_done(path) as temporary:
        # A name of a file need not be UTF-8; a report that quotes it is.
        temporary.write_text(text, encoding="utf-8", errors="replace")


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


class OnlyRunIn:
    """Keeps other runs from writing the same results while a `with` block runs.

    A mark in the directory says that the results are ours while no report does: a run that was killed
    may be repeated, and its files are not taken for the user's.

    Raises
    ------
    UserError
        Another run holds the directory. The system frees the lock of a run that died.
    """

    def __init__(self, directory: str | Path):
        self._directory = Path(directory)
        self._handle = os.open(directory, os.O_RDONLY)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            raise UserError(
                "another run is writing here; wait for it, or choose another --out", path=directory
            ) from None

    def __enter__(self) -> OnlyRunIn:
        try:
            remove_leftovers(self._directory)
            write_text(self._directory / UNFINISHED, "")
        except UserError:
            os.close(self._handle)
            raise
        return self

    def __exit__(self, *error: object) -> None:
        done = (self._directory / "report.json").exists() or len(os.listdir(self._directory)) == 1
        if error == (None, None, None) or done:
            (self._directory / UNFINISHED).unlink(missing_ok=True)
        os.close(self._handle)


def check_overwriting(directory: Path, names: Iterable[str], inputs: Iterable[Path | None]) -> None:
    """Refuse to write over an input, or over a file that no report or mark beside it says is ours.

    Raises
    ------
    UserError
        One of `names` in `directory` would be lost.
    """
    given = {path.resolve() for path in inputs if path is not None}
    ours = any((directory / name).exists() for name in ("report.json", UNFINISHED))
    for target in (directory / name for name in names):
        if target.exists() and (target.resolve() in given or not ours):
            raise UserError(
                "would be overwritten and is not a result of xrdml; choose another --out", path=target
            )


MAX_TEXT_BYTES = 1 << 30
"""Ten million reflections are 330 MB; anything above 1 GiB is not a crystallographer's text file."""


def read_text(path: str | Path) -> str:
    """Read a text file: UTF-8 with or without byte-order mark, else Latin-1; line ends become ``\\n``.

    Raises
    ------
    UserError
        No such file, not a file, not readable, empty, too large, or binary.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise UserError("no such file; check the name", path=path)
        if not path.is_file():
            raise UserError("is not a file; give the name of a text file", path=path)
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise UserError("is larger than 1 GiB; this is no reflection list and no structure", path=path)
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot be read ({reason}); check the name and the permissions", path=path) from None
    if not data.strip():
        raise UserError("is empty", path=path)
    if b"\0" in data:
        raise UserError("is a binary file (or UTF-16); give plain text", path=path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    log.info("read: %s", path)
    return text.replace("\r\n", "\n").replace("\r", "\n")
