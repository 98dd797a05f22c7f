"""What a command says, and how loudly: results, warnings, errors, `-v`, `-q` and colour.

Results go to standard output; warnings, errors, progress and what `-v` adds go to standard error.
Colour is for terminals alone, and not where NO_COLOR is set (https://no-color.org) or TERM is dumb.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TextIO

_RESET, _DIM = "\033[0m", "\033[2m"
_COLOURS = {
    "solved": "\033[32m",
    "NOT SOLVED": "\033[33m",
    "warning": "\033[33m",
    "error": "\033[31m",
}
LABEL_WIDTH = 11
"""Columns of the name that begins a line of a summary."""

_quiet = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`-v` and `-q`, alike for every command."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "-v", "--verbose", action="store_true", help="say on standard error what is read, done and written"
    )
    group.add_argument(
        "-q", "--quiet", action="store_true", help="print warnings and errors alone, and no progress"
    )


@contextmanager
def console(command: str, *, verbose: bool, quiet: bool, product: bool = False) -> Iterator[None]:
    """Run a command at the loudness that was asked for.

    Parameters
    ----------
    command
        Its name, which begins every line on standard error that `-v` or a warning adds.
    product
        What it prints is what it was called for, and is printed even where `quiet`.
    """
    global _quiet
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that knows no Å must not end the command.
            stream.reconfigure(errors="replace")
    log, handler = logging.getLogger("xrdml"), logging.StreamHandler()
    handler.setFormatter(_Lines(command))
    before, level = _quiet, log.level
    _quiet = quiet
    log.addHandler(handler)
    log.setLevel(logging.INFO if verbose else logging.WARNING)
    try:
        if quiet and not product:
            with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
                yield
        else:
            yield
    finally:
        _quiet = before
        log.setLevel(level)
        log.removeHandler(handler)


class _Lines(logging.Formatter):
    """One line a message, as the errors of the command line."""

    def __init__(self, command: str):
        super().__init__()
        self.command = command

    def format(self, record: logging.LogRecord) -> str:
        text = printable(record.getMessage())
        if record.levelno >= logging.WARNING:
            text = f"{coloured('warning', 'warning', sys.stderr)}: {text}"
        return f"xrdml {self.command}: {text}"


def is_quiet() -> bool:
    """Whether progress and other company are unwanted."""
    return _quiet


def has_colour(stream: TextIO) -> bool:
    """Whether a stream is a terminal that may be given colours."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and stream.isatty()


def coloured(text: str, style: str, stream: TextIO) -> str:
    """The text in the colour of `style`, or as it is."""
    return f"{_COLOURS[style]}{text}{_RESET}" if has_colour(stream) else text


def printable(text: str) -> str:
    """The text without control characters: a title or a file name must not command the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)


def say(*lines: str) -> None:
    """Print lines of a result.

    The label that begins a line of a summary (`LABEL_WIDTH` columns) is dim on a terminal, and a
    verdict has its colour.
    """
    for line in map(printable, lines):
        print(_painted(line) if has_colour(sys.stdout) else line)


def _painted(line: str) -> str:
    label, rest = line[:LABEL_WIDTH], line[LABEL_WIDTH:]
    is_label = label.endswith(" ") and label.strip().isalpha()
    for verdict in ("NOT SOLVED", "solved"):
        if verdict in line:
            start = line.index(verdict)
            before, after = line[:start], line[start + len(verdict) :]
            return f"{before}{_COLOURS[verdict]}{verdict}{_RESET}{after}"
    return f"{_DIM}{label}{_RESET}{rest}" if is_label else line


def warn(line: str) -> None:
    """Print one warning about a result."""
    sys.stdout.flush()
    print(f"{coloured('warning', 'warning', sys.stderr)}    {printable(line)}", file=sys.stderr)


def fail(command: str, message: str) -> None:
    """Print why a command ended."""
    sys.stdout.flush()
    print(
        f"{coloured(f'xrdml {command}:', 'error', sys.stderr)} {printable(message).replace(chr(10), ' ')}",
        file=sys.stderr,
    )
