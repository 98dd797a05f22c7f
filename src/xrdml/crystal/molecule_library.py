"""The molecule library: hundreds of thousands of molecules in one compact file, read without RDKit."""

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

FORMAT = "xrdml molecules"
FORMAT_VERSION = 1
QUANTUM = 0.005
"""Å: coordinates are whole multiples of it; their rounding is a tenth of a thermal displacement at 10 K."""

_GIVE = "give one made by `xrdml molecules`"
_REMEDY = "make it again with `xrdml molecules`, or copy it again from where it came"
_DATASETS = ("n_atoms", "numbers", "steps", "smiles")
_COMPRESSION: dict[str, Any] = {
    "compression": "gzip", "compression_opts": 9, "shuffle": True, "fletcher32": True, "chunks": True,
}  # fmt: skip

Molecule = tuple[str, NDArray[np.uint8], NDArray[np.float64]]
"""SMILES without stereochemistry, atomic numbers (n,), Cartesian coordinates in Å (n, 3)."""


def write_library(path: str | Path, molecules: Iterable[Molecule], attributes: dict[str, Any]) -> None:
    """Write a library, whole or not at all; equal input gives equal bytes.

    Parameters
    ----------
    molecules
        Hydrogen included and last; up to 255 atoms, within 160 Å.
    attributes
        How they were made; anything JSON holds.

    Raises
    ------
    UserError
        The file cannot be written; the previous one stays.
    """
    smiles, numbers, positions = zip(*molecules, strict=True)
    steps = np.concatenate([np.rint(x / QUANTUM).astype(np.int16) for x in positions])
    # Neighbours in the list are mostly neighbours in space: differences compress by a fifth more.
    steps = np.diff(steps, axis=0, prepend=np.zeros((1, 3), np.int16))
    columns = {
        "n_atoms": np.array([len(n) for n in numbers], np.uint8),
        "numbers": np.concatenate(numbers).astype(np.uint8),
        "steps": steps,
        "smiles": np.frombuffer("\n".join(smiles).encode("ascii"), np.uint8),
    }
    with replace_when_done(path) as temporary, PatientFile(temporary, "r+") as disk:
        with h5py.File(disk, "w") as file:
            for name, column in columns.items():
                file.create_dataset(name, data=column, **_COMPRESSION)
            file.attrs["format"] = FORMAT
            file.attrs["format_version"] = FORMAT_VERSION
            file.attrs["attributes"] = json.dumps(attributes, sort_keys=True)
        disk.check()


class MoleculeLibrary:
    """A library in memory, about 0.2 kB a molecule; pickling carries the path alone.

    Attributes
    ----------
    path
        The file.
    attributes
        How it was made.
    n_atoms
        Atoms of each molecule, hydrogen included, (len(self),).

    Raises
    ------
    UserError
        The file is missing, damaged, foreign, or of a newer format.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.is_file():
            raise UserError("no such file; make a library with `xrdml molecules`", path=path)
        if not h5py.is_hdf5(self.path):
            raise UserError(f"this is no HDF5 file; {_GIVE}", path=path)
        try:
            with h5py.File(self.path, "r", locking=False) as file:
                check_format(file, self.path, FORMAT, FORMAT_VERSION, holds="molecules", remedy=_GIVE)
                self._read(file)
        except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError):
            raise UserError(f"this file is damaged or incomplete; {_REMEDY}", path=path) from None

    def _read(self, file: h5py.File) -> None:
        n_atoms, self._numbers, steps, smiles = (file[name][...] for name in _DATASETS)
        self.attributes: dict[str, Any] = json.loads(file.attrs["attributes"])
        self.n_atoms = n_atoms.astype(np.int64)
        self._steps = np.cumsum(steps, axis=0, dtype=np.int16)
        self._offset = np.concatenate([[0], np.cumsum(self.n_atoms)])
        self._smiles = smiles.tobytes().decode("ascii").split("\n")
        if not self._offset[-1] == len(self._numbers) == len(self._steps):
            raise ValueError(self._offset[-1])
        if len(self._smiles) != len(self.n_atoms):
            raise ValueError(len(self._smiles))

    def __len__(self) -> int:
        return len(self.n_atoms)

    @property
    def n_solvents(self) -> int:
        """How many of the first molecules are solvents."""
        return int(self.attributes["n_solvents"])

    def __getitem__(self, i: int) -> Molecule:
        """Molecule i, its coordinates to `QUANTUM`."""
        if not 0 <= i < len(self):
            raise IndexError(f"{self.path}: molecule {i} of {len(self)}")
        atoms = slice(self._offset[i], self._offset[i + 1])
        return self._smiles[i], self._numbers[atoms], self._steps[atoms].astype(np.float64) * QUANTUM

    def __reduce__(self):
        return MoleculeLibrary, (self.path,)
