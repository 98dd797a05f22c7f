"""What the recipe `molecular` draws from: plain numbers, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xrdml.crystal.grid import GridTooSmall, HklGrid
from xrdml.crystal.molecule_library import MoleculeLibrary
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import symmetry
from xrdml.errors import UserError

SPACE_GROUPS = {
    "P 1 21/c 1": 0.36, "P -1": 0.20, "P 21 21 21": 0.13, "P 1 21 1": 0.12, "C 1 2/c 1": 0.07,
    "P b c a": 0.04, "P n a 21": 0.03, "C 1 2 1": 0.03, "P 1": 0.02,
}  # fmt: skip
"""Relative frequencies, about those of organic crystals."""


@dataclass(frozen=True)
class MolecularOptions:
    """Distributions of the recipe `molecular`.

    Attributes
    ----------
    space_groups
        {extended Hermann–Mauguin symbol: relative frequency}: triclinic, orthorhombic, or monoclinic
        with unique axis b.
    grid, d_min
        Only crystals of which all unique reflections with d ≥ d_min (Å) lie in the grid; None for any.
    library
        File of molecules.
    library_seed, library_size
        What the molecules of the file are.
    """

    space_groups: dict[str, float] = field(default_factory=lambda: dict(SPACE_GROUPS))
    grid: HklGrid | None = None
    d_min: float = 0.8
    library: str = ""
    library_seed: int = 0
    library_size: int = 0

    def __post_init__(self) -> None:
        for name in self.space_groups:
            group = symmetry(name)
            diagonal = (group.rotations * (1 - np.eye(3, dtype=int)) == 0).all()
            x, _, z = np.diagonal(group.rotations, axis1=1, axis2=2).T
            if not (
                diagonal
                and group.crystal_system in ("triclinic", "monoclinic", "orthorhombic")
                and (group.crystal_system != "monoclinic" or (x == z).all())
            ):
                raise UserError(
                    f"molecules cannot be packed in {group.name}; give triclinic or orthorhombic groups, "
                    "or monoclinic ones with unique axis b"
                )

    @classmethod
    def make(
        cls, space_groups: Sequence[str], library: Path, *, grid: HklGrid | None, d_min: float = 0.8
    ) -> MolecularOptions:
        """Options for space groups by any usual name, equally often, and a library that exists.

        Raises
        ------
        UserError
            A space group that is unknown or cannot be packed, or no library at that place.
        """
        names = {symmetry(name).name: 1.0 for name in space_groups}
        if not names:
            raise UserError("no space group given; write e.g. --space-groups P21,C2")
        molecules = MoleculeLibrary(library)
        seed, size = int(molecules.attributes["seed"]), len(molecules)
        return cls(names, grid, d_min, str(library.resolve()), seed, size)

    def admits(self, structure: Structure) -> bool:
        """Whether its reflections lie in the grid."""
        if self.grid is None:
            return True
        try:
            self.grid.check_fits(structure.cell, structure.symmetry, self.d_min)
        except GridTooSmall:
            return False
        return True

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "grid": None if self.grid is None else str(self.grid)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> MolecularOptions:
        return cls(**{**value, "grid": None if value["grid"] is None else HklGrid.parse(value["grid"])})
