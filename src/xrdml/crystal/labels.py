"""Where the crystals of a dataset file come from, and which of them must stay together."""

from __future__ import annotations

import json
from dataclasses import dataclass

import h5py
import numpy as np
from numpy.typing import NDArray

_FAMILY, _HELD_OUT, _NAMES = "family", "held_out", "names"
FOLDS = 5
"""One family of so many is for testing."""


@dataclass(frozen=True)
class Labels:
    """One entry a crystal, in the order of the file.

    Attributes
    ----------
    names
        Where each comes from, for tables and messages.
    families
        Crystals of the same molecule have the same number, (n,) int64, at least 0.
    held_out
        Whether a crystal must never be trained on, (n,) bool; the same within a family.
    """

    names: list[str]
    families: NDArray[np.int64]
    held_out: NDArray[np.bool_]

    def __post_init__(self) -> None:
        lengths = {len(self.names), len(self.families), len(self.held_out)}
        if len(lengths) != 1:
            raise ValueError(f"names, families and held_out have lengths {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def is_test(self) -> NDArray[np.bool_]:
        """Held out, or in every fifth family, (n,): all crystals of a family or none."""
        return self.held_out | (self.families % FOLDS == 0)


def write_labels(file: h5py.File, labels: Labels) -> None:
    """Add them to a dataset file."""
    columns = {
        _FAMILY: labels.families.astype("<i8"),
        _HELD_OUT: labels.held_out.astype("<u1"),
        # JSON, because a file name may hold anything, line ends too.
        _NAMES: np.frombuffer(json.dumps(labels.names).encode(), "<u1"),
    }
    for name, column in columns.items():
        file.create_dataset(
            name, data=column, chunks=True, maxshape=(None,), compression="gzip", fletcher32=True
        )


def read_labels(file: h5py.File) -> Labels | None:
    """What :func:`write_labels` wrote; None for a file without.

    Raises
    ------
    OSError, KeyError, ValueError
        A damaged file.
    """
    if _FAMILY not in file:
        return None
    names = json.loads(file[_NAMES][...].tobytes())
    return Labels(names, file[_FAMILY][...].astype(np.int64), file[_HELD_OUT][...].astype(bool))
