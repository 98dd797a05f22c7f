"""The file of a set of powder patterns: counts and parameters in HDF5."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from xrdml.crystal._hdf5_format import check_format
from xrdml.crystal._output import PatientFile
from xrdml.crystal.files import replace_when_done
from xrdml.errors import UserError

FORMAT = "xrdml powder"
FORMAT_VERSION = 1

Block = tuple[NDArray[np.uint32], NDArray[np.float64]]
"""Counts (n, n_points) and parameters (n, n_columns)."""

_GIVE = "give a set made by `xrdml powder`"
_ROWS = 16


def write_patterns(
    path: Path, two_theta: NDArray[np.float64], columns: list[str], blocks: Iterable[Block], attributes: dict
) -> None:
    """Write a set, whole or not at all; equal input gives equal bytes.

    Parameters
    ----------
    two_theta
        Degrees, (n_points,).
    columns
        Names of the parameters.
    attributes
        How the set was made; anything JSON holds.

    Raises
    ------
    UserError
        The file cannot be written; the previous one stays.
    """
    with replace_when_done(path) as temporary, PatientFile(temporary, "r+") as disk:
        with h5py.File(disk, "w") as file:
            file["two_theta"] = two_theta
            _create(file, "counts", "<u4", len(two_theta))
            _create(file, "parameters", "<f8", len(columns))
            n = 0
            for counts, parameters in blocks:
                n += len(counts)
                for name, rows in (("counts", counts), ("parameters", parameters)):
                    file[name].resize(n, axis=0)
                    file[name][n - len(counts) :] = rows
                disk.check()
            file.attrs["format"] = FORMAT
            file.attrs["format_version"] = FORMAT_VERSION
            file.attrs["columns"] = json.dumps(columns)
            file.attrs["attributes"] = json.dumps(attributes, sort_keys=True)
        disk.check()


def _create(file: h5py.File, name: str, dtype: str, width: int) -> None:
    file.create_dataset(
        name, shape=(0, width), maxshape=(None, width), chunks=(_ROWS, width), dtype=dtype,
        compression="gzip", compression_opts=4, shuffle=True, fletcher32=True,
    )  # fmt: skip


class PowderStore:
    """Read access to a set of powder patterns.

    Opening reads the description; patterns are read from the file when asked for.

    Attributes
    ----------
    path
        The file.
    attributes
        How it was made: options, seed, source, versions.
    two_theta
        Degrees, (n_points,).
    columns
        Names of the parameters.

    Raises
    ------
    UserError
        The file is missing, damaged, foreign, or of a newer format.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        with self._open() as file:
            try:
                check_format(file, self.path, FORMAT, FORMAT_VERSION, holds="powder patterns", remedy=_GIVE)
                self.attributes: dict[str, Any] = json.loads(file.attrs["attributes"])
                self.columns: list[str] = json.loads(file.attrs["columns"])
                self.two_theta: NDArray[np.float64] = file["two_theta"][...]
                self._length, width = file["counts"].shape
                if file["parameters"].shape != (self._length, len(self.columns)):
                    raise ValueError(file["parameters"].shape)
                if width != len(self.two_theta):
                    raise ValueError(width)
            except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError):
                raise self._damaged() from None

    def __len__(self) -> int:
        return self._length

    def read(self, start: int, stop: int) -> Block:
        """Patterns start … stop − 1: counts (n, n_points) uint32 and parameters (n, columns) float64."""
        with self._open() as file:
            try:
                return file["counts"][start:stop], file["parameters"][start:stop]
            except (OSError, KeyError, RuntimeError):
                raise self._damaged() from None

    def _open(self) -> h5py.File:
        if not self.path.is_file():
            raise UserError("no such file; make a set with `xrdml powder`", path=self.path)
        try:
            if not h5py.is_hdf5(self.path):
                raise UserError(f"this is no HDF5 file; {_GIVE}", path=self.path)
            return h5py.File(self.path, "r", locking=False)
        except OSError:
            raise self._damaged() from None

    def _damaged(self) -> UserError:
        return UserError(
            "this file is damaged or incomplete; make it again with `xrdml powder`, or copy it again",
            path=self.path,
        )
