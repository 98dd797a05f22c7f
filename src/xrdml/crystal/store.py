"""The dataset file: crystals as coordinates in HDF5, with the thesis' tensors where asked for."""

from __future__ import annotations

import json
import operator
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from xrdml.crystal._hdf5_format import check_format
from xrdml.crystal._output import PatientFile
from xrdml.crystal.files import replace_when_done
from xrdml.crystal.grid import HklGrid
from xrdml.crystal.labels import Labels, read_labels, write_labels
from xrdml.crystal.scattering import MAX_ATOMIC_NUMBER
from xrdml.crystal.structure import Structure
from xrdml.errors import UserError

FORMAT = "xrdml structures"
FORMAT_VERSION = 1

# name: (dtype, trailing shape, rows per chunk). Coordinates are float64, so that a special position
# such as 1/3 2/3 z or x −x z is still one after reading; displacements need no such care.
_PER_CRYSTAL: dict[str, tuple[str, tuple[int, ...], int]] = {
    "cell": ("<f8", (6,), 4096),  # Å, degrees
    "space_group": ("<u2", (), 4096),  # row of the table of names in the attribute `space_groups`
    "n_atoms": ("<u4", (), 4096),
}
_PER_ATOM: dict[str, tuple[str, tuple[int, ...], int]] = {
    "numbers": ("<u1", (), 16384),  # atomic numbers
    "frac": ("<f8", (3,), 16384),  # fractional coordinates
    "u_iso": ("<f4", (), 16384),  # Å²
    "occupancy": ("<f4", (), 16384),
}
_TENSORS = ("low", "high")
_BLOCK = 512
_TENSOR_BLOCK = 16
_GIVE = "give a dataset made by `xrdml simulate`"
_REMEDY = "make it again with `xrdml simulate`, or copy it again from where it came"
_DAMAGED = f"this file is damaged or incomplete; {_REMEDY}"


@dataclass(frozen=True)
class TensorLayout:
    """What the pair of tensors of a crystal holds.

    Attributes
    ----------
    grid
        Miller indices of the cells.
    d_min_low, d_min_high
        Resolution limits of the two tensors in Å.
    """

    grid: HklGrid
    d_min_low: float
    d_min_high: float

    def to_json(self) -> dict[str, Any]:
        return {"grid": str(self.grid), "d_min_low": self.d_min_low, "d_min_high": self.d_min_high}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> TensorLayout:
        return cls(HklGrid.parse(value["grid"]), float(value["d_min_low"]), float(value["d_min_high"]))


TensorPair = tuple[NDArray[np.float32], NDArray[np.float32]]
"""|F| to d_min_low and to d_min_high, each of the grid's shape."""


def write_store(
    path: str | Path,
    structures: Iterable[Structure],
    attributes: dict[str, Any],
    tensors: tuple[TensorLayout, Iterable[TensorPair]] | None = None,
    labels: Labels | None = None,
) -> None:
    """Write a dataset file, whole or not at all; equal input gives equal bytes.

    Parameters
    ----------
    structures
        Read once, block by block: may be far larger than memory.
    attributes
        How the crystals were made; anything JSON holds.
    tensors
        The layout and one pair for each crystal, in the same order.
    labels
        Where each crystal comes from and its family, in the same order.

    Raises
    ------
    UserError
        The file cannot be written; the previous one stays.
    """
    with replace_when_done(path) as temporary, PatientFile(temporary, "r+") as disk:
        with h5py.File(disk, "w", rdcc_nbytes=16 * 2**20) as file:
            for name, (dtype, shape, rows) in {**_PER_CRYSTAL, **_PER_ATOM}.items():
                _create(file, name, dtype, shape, rows)
            names: dict[str, int] = {}
            for block in _blocks(structures, _BLOCK):
                _append_structures(file, block, names)
                disk.check()
            file.attrs["format"] = FORMAT
            file.attrs["format_version"] = FORMAT_VERSION
            file.attrs["space_groups"] = json.dumps(list(names))
            file.attrs["attributes"] = json.dumps(attributes, sort_keys=True)
            if tensors is not None:
                _write_tensors(file, disk, *tensors)
            if labels is not None:
                if len(labels) != len(file["cell"]):
                    raise ValueError(f"{len(labels)} labels for {len(file['cell'])} crystals")
                write_labels(file, labels)
        disk.check()


def _blocks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while block := list(islice(iterator, size)):
        yield block


def _create(file: h5py.File, name: str, dtype: str, shape: tuple[int, ...], rows: int) -> None:
    file.create_dataset(
        name,
        shape=(0, *shape),
        maxshape=(None, *shape),
        chunks=(rows, *shape),
        dtype=dtype,
        compression="gzip",
        compression_opts=1 if name in _TENSORS else 4,
        shuffle=name not in _TENSORS,  # tensors are mostly zeros, which shuffling only scatters
        fletcher32=True,
    )


def _append(dataset: h5py.Dataset, rows: NDArray) -> None:
    n = len(dataset)
    dataset.resize(n + len(rows), axis=0)
    dataset[n:] = rows


def _append_structures(file: h5py.File, block: list[Structure], names: dict[str, int]) -> None:
    _append(file["cell"], np.array([s.cell for s in block]))
    _append(
        file["space_group"],
        np.array([names.setdefault(s.space_group, len(names)) for s in block], dtype="u2"),
    )
    _append(file["n_atoms"], np.array([len(s) for s in block], dtype="u4"))
    for name in _PER_ATOM:
        _append(file[name], np.concatenate([getattr(s, name) for s in block]))


def _write_tensors(
    file: h5py.File, disk: PatientFile, layout: TensorLayout, pairs: Iterable[TensorPair]
) -> None:
    for name in _TENSORS:
        _create(file, name, "<f4", layout.grid.shape, 1)
    # One small buffer for all: fresh memory for each block costs more than the compression.
    buffer = np.empty((len(_TENSORS), _TENSOR_BLOCK, *layout.grid.shape), dtype="<f4")
    for block in _blocks(pairs, _TENSOR_BLOCK):
        for i, pair in enumerate(block):
            buffer[:, i] = pair
        for name, rows in zip(_TENSORS, buffer, strict=True):
            _append(file[name], rows[: len(block)])
        disk.check()
    if len(file["low"]) != len(file["cell"]):
        raise ValueError(f"{len(file['low'])} pairs of tensors for {len(file['cell'])} crystals")
    file.attrs["tensors"] = json.dumps(layout.to_json(), sort_keys=True)


class StructureStore:
    """Read access to a dataset file.

    Opening reads the description alone; the first crystal reads all coordinates into memory
    (0.25 GB for 400 000 crystals), after which any crystal takes microseconds. Tensors are read from
    the file one crystal at a time. Pickling carries the path alone.

    Attributes
    ----------
    path
        The file.
    attributes
        How it was made: recipe, options, seed, versions; with `format` and `format_version`.
    tensor_layout
        Of the tensors, or None where the file has none.
    labels
        Names and families of the crystals, or None where the file has none.

    Raises
    ------
    UserError
        The file is missing, empty, damaged, truncated, foreign, or of a newer format.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._columns: dict[str, NDArray] | None = None
        self._file: h5py.File | None = None
        self._owner = 0
        with self._open() as file:
            try:
                self._read_description(file)
            except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError):
                raise UserError(_DAMAGED, path=self.path) from None

    def _open(self) -> h5py.File:
        try:
            if self.path.stat().st_size == 0:
                raise UserError(f"this file is empty; {_REMEDY}", path=self.path)
            with open(self.path, "rb"):
                pass
        except OSError as error:
            raise UserError(
                f"cannot be read ({error.strerror}); make a dataset with `xrdml simulate`", path=self.path
            ) from None
        if not h5py.is_hdf5(self.path):
            raise UserError(f"this is no HDF5 file; {_GIVE}", path=self.path)
        try:
            # Files are only ever replaced whole, so that a lock protects nothing, and it fails on some
            # network drives.
            return h5py.File(self.path, "r", locking=False)
        except OSError:
            raise UserError(_DAMAGED, path=self.path) from None

    def _read_description(self, file: h5py.File) -> None:
        version = check_format(file, self.path, FORMAT, FORMAT_VERSION, holds="crystals", remedy=_GIVE)
        self.attributes: dict[str, Any] = {
            **json.loads(file.attrs["attributes"]),
            "format": FORMAT,
            "format_version": version,
        }
        self._space_groups: list[str] = json.loads(file.attrs["space_groups"])
        self._length = len(file["cell"])
        lengths = {len(file[name]) for name in _PER_CRYSTAL}
        self.tensor_layout: TensorLayout | None = None
        if "tensors" in file.attrs:
            self.tensor_layout = TensorLayout.from_json(json.loads(file.attrs["tensors"]))
            lengths |= {len(file[name]) for name in _TENSORS}
            shapes = {file[name].shape[1:] for name in _TENSORS}
            if shapes != {self.tensor_layout.grid.shape}:
                raise ValueError(shapes)
        self.labels = read_labels(file)
        lengths |= {len(self.labels)} if self.labels is not None else set()
        if len(lengths) != 1 or len({len(file[name]) for name in _PER_ATOM}) != 1:
            raise ValueError(lengths)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Structure]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, i: int) -> Structure:
        """Crystal i, counted from 0; negative numbers count from the end."""
        i = self._check_index(i)
        if self._columns is None:
            self._columns = self._read_columns()
        columns = self._columns
        atoms = slice(int(columns["offset"][i]), int(columns["offset"][i + 1]))
        a, b, c, alpha, beta, gamma = columns["cell"][i].tolist()
        return Structure(
            cell=(a, b, c, alpha, beta, gamma),
            space_group=self._space_groups[columns["space_group"][i]],
            numbers=columns["numbers"][atoms],
            frac=columns["frac"][atoms],
            u_iso=columns["u_iso"][atoms].astype(np.float64),
            occupancy=columns["occupancy"][atoms].astype(np.float64),
        )

    def _check_index(self, i: int) -> int:
        i = operator.index(i)
        if not -self._length <= i < self._length:
            raise IndexError(f"{self.path}: crystal {i} of {self._length}")
        return i % self._length

    def _read_columns(self) -> dict[str, NDArray]:
        with self._open() as file:
            try:
                columns = {name: file[name][...] for name in (*_PER_CRYSTAL, *_PER_ATOM)}
            except (OSError, KeyError, RuntimeError):
                raise UserError(_DAMAGED, path=self.path) from None
        columns["offset"] = np.concatenate([[0], np.cumsum(columns["n_atoms"], dtype=np.int64)])
        good = (
            columns["offset"][-1] == len(columns["numbers"])
            and (columns["space_group"] < len(self._space_groups)).all()
            and (columns["numbers"] <= MAX_ATOMIC_NUMBER).all()
            and all(np.isfinite(columns[name]).all() for name in ("cell", "frac", "u_iso", "occupancy"))
        )
        if not good:
            raise UserError(_DAMAGED, path=self.path)
        for column in columns.values():
            column.flags.writeable = False
        return columns

    def tensors(self, i: int) -> TensorPair:
        """|F| of crystal i to `d_min_low` and to `d_min_high`: two float32 arrays of the grid's shape.

        Both are divided by the largest |F| with d ≥ d_min_low; 0 where no reflection is.

        Raises
        ------
        UserError
            The file has no tensors, or is damaged.
        """
        i = self._check_index(i)
        if self.tensor_layout is None:
            raise UserError("has coordinates but no tensors; make it with --tensors", path=self.path)
        # A forked process must not share the file position of its parent's handle.
        if self._file is None or self._owner != os.getpid():
            self._file, self._owner = self._open(), os.getpid()
        try:
            return self._file["low"][i], self._file["high"][i]
        except (OSError, KeyError, RuntimeError):
            raise UserError(_DAMAGED, path=self.path) from None

    def close(self) -> None:
        """Close the file and free the memory; the next access opens it again."""
        if self._file is not None and self._owner == os.getpid():
            self._file.close()
        self._file = self._columns = None

    def __enter__(self) -> StructureStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self):
        return StructureStore, (self.path,)
