"""Crystals for training: which of a file, and in which part of the split."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from xrdml.crystal.grid import GridTooSmall, HklGrid
from xrdml.crystal.labels import Labels
from xrdml.crystal.structure import Structure
from xrdml.errors import UserError

_GOLDEN = (5**0.5 - 1) / 2


class Structures(Protocol):
    """What a :class:`xrdml.crystal.store.StructureStore` and a list have in common."""

    def __len__(self) -> int: ...

    def __getitem__(self, i: int, /) -> Structure: ...


class CrystalDataset(Dataset[Structure]):
    """Some crystals of a collection, in the order of `indices`.

    Parameters
    ----------
    structures
        A :class:`xrdml.crystal.store.StructureStore` or a list.
    indices
        Which of them, (n,).
    """

    def __init__(self, structures: Structures, indices: NDArray[np.integer]):
        self.structures, self.indices = structures, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, i: int) -> Structure:
        return self.structures[int(self.indices[i])]


def split(
    n: int, val_fraction: float, test_fraction: float, labels: Labels | None = None
) -> dict[str, NDArray[np.int64]]:
    """Share out 0…n−1 to ``train``, ``val`` and ``test``.

    With `labels`, families stay together and ``test`` is what they say, whatever `test_fraction`.

    The part of an index depends on the index alone, so that a file can grow and no crystal ever
    moves from training to test. The multiples of the golden ratio spread evenly over any run of
    indices and any periodic order of space groups.
    """
    if val_fraction < 0 or test_fraction < 0 or val_fraction + test_fraction >= 1:
        raise UserError(
            f"data.val_fraction={val_fraction:g} and data.test_fraction={test_fraction:g} must be at "
            "least 0 and leave something to train on"
        )
    if labels is None:
        position = (np.arange(n) * _GOLDEN) % 1
        test = position < test_fraction
        val = ~test & (position < test_fraction + val_fraction)
    else:
        test = labels.is_test
        val = ~test & ((labels.families * _GOLDEN) % 1 < val_fraction)
    return {
        "train": np.flatnonzero(~test & ~val),
        "val": np.flatnonzero(val),
        "test": np.flatnonzero(test),
    }


def fitting(structures: Structures, grid: HklGrid, d_min: float) -> NDArray[np.bool_]:
    """Which crystals have a cell of the grid for every unique reflection to d_min, (n,).

    Raises
    ------
    UserError
        None does.
    """
    found = np.array([_fits(structures[i], grid, d_min) for i in range(len(structures))], bool)
    if not found.any():
        raise UserError(
            f"none of {len(found)} crystals fits the grid {grid} to {d_min:g} Å; "
            "give larger bounds with data.grid=, or a larger data.d_min_high="
        )
    return found


def _fits(structure: Structure, grid: HklGrid, d_min: float) -> bool:
    # Axis lengths settle most crystals in microseconds; the rest is counted out.
    enough = HklGrid.for_crystal(structure.cell, structure.symmetry, d_min)
    if grid.contains(np.array([enough.lower, enough.upper])).all():
        return True
    try:
        grid.check_fits(structure.cell, structure.symmetry, d_min)
    except GridTooSmall:
        return False
    return True
