"""The check that an HDF5 file is one of ours, and not newer than this version."""

from __future__ import annotations

from pathlib import Path

import h5py

from xrdml.errors import UserError


def check_format(file: h5py.File, path: Path, name: str, newest: int, *, holds: str, remedy: str) -> int:
    """The format version of an open file, from its attributes `format` and `format_version`.

    Parameters
    ----------
    name, newest
        The format, and the newest version of it that can be read.
    holds
        What a file of this format holds, for the message: ``crystals``.
    remedy
        What to do about a foreign file: ``give a dataset made by …``.

    Raises
    ------
    UserError
        Another format or a newer version.
    KeyError, TypeError, ValueError
        No version, or one that is no number: the file is damaged.
    """
    if file.attrs.get("format") != name:
        raise UserError(f"this HDF5 file holds no {holds} of this project; {remedy}", path=path)
    version = int(file.attrs["format_version"])
    if version > newest:
        raise UserError(
            f"format {version} is newer than {newest}, the newest this xrdml reads; update xrdml", path=path
        )
    return version
