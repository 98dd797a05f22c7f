"""The check that an HDF5 file is one of ours, and not newer than this version."""

from __future__ import annotations

import math
from pathlib import Path

import h5py

from xrdml.errors import UserError

_LARGEST_RATIO = 1100
"""Deflate makes data smaller by 1032 at most: without this, a damaged shape asks for terabytes of memory."""


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
        No version, or one that is no number, or a dataset that cannot fit into the file: damaged.
    """
    _check_sizes(file, path)
    if file.attrs.get("format") != name:
        raise UserError(f"this HDF5 file holds no {holds} of this project; {remedy}", path=path)
    version = int(file.attrs["format_version"])
    if version > newest:
        raise UserError(
            f"format {version} is newer than {newest}, the newest this xrdml reads; update xrdml", path=path
        )
    return version


def _check_sizes(file: h5py.File, path: Path) -> None:
    """Raise ValueError for a damaged shape before memory is asked for."""
    size = path.stat().st_size

    def is_impossible(_: str, item: h5py.Dataset | h5py.Group) -> bool | None:
        if not isinstance(item, h5py.Dataset):
            return None
        chunk = math.prod(item.chunks or ()) * item.dtype.itemsize
        return max(item.nbytes, chunk) > _LARGEST_RATIO * size or None

    if any(file.attrs.get_id(name).get_storage_size() > size for name in file.attrs):
        raise ValueError("an attribute is larger than the file")
    if file.visititems(is_impossible):
        raise ValueError("a dataset is larger than the file can hold")
