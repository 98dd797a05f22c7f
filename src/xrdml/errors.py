"""The one exception that is meant for the user's eyes."""

from __future__ import annotations

from pathlib import Path


class UserError(Exception):
    """Bad input, with what to do about it.

    The command line prints the message as one line and exits with status 2. Give the file, the
    line and the value where they exist, and end with what to do.

    Parameters
    ----------
    message
        What is wrong and what to do.
    path, line
        Where it is wrong; `line` counts from 1. Prefixed to the message as ``path:line:``.
    """

    def __init__(self, message: str, *, path: str | Path | None = None, line: int | None = None):
        where = "" if path is None else f"{path}:" + (f"{line}:" if line is not None else "") + " "
        super().__init__(where + " ".join(message.split()))
        self.path = path
        self.line = line
