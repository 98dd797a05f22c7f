"""A crystal structure as arrays: what every room passes to the next."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.cell import Cell
from xrdml.crystal.symmetry import Symmetry, symmetry


@dataclass(frozen=True)
class Structure:
    """The atoms of one asymmetric unit.

    Attributes
    ----------
    cell
        a, b, c in Å; α, β, γ in degrees.
    space_group
        Extended Hermann–Mauguin symbol that :func:`xrdml.crystal.symmetry.symmetry` takes.
    numbers
        Atomic numbers, (n,) uint8.
    frac
        Fractional coordinates, (n, 3) float64.
    u_iso
        Mean-square displacements in Å², (n,) float64: T = exp(−8π² U s²), s = sinθ/λ = 1/2d.
    occupancy
        Chemical occupancy as in a CIF, (n,) float64: 1 for a whole atom, also on a special
        position.
    """

    cell: Cell
    space_group: str
    numbers: NDArray[np.uint8]
    frac: NDArray[np.float64]
    u_iso: NDArray[np.float64]
    occupancy: NDArray[np.float64]

    def __post_init__(self) -> None:
        n = len(self.numbers)
        shapes = {"frac": (n, 3), "u_iso": (n,), "occupancy": (n,)}
        for name, expected in shapes.items():
            got = getattr(self, name).shape
            if got != expected:
                raise ValueError(f"{name}: expected shape {expected}, got {got}")

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def symmetry(self) -> Symmetry:
        return symmetry(self.space_group)

    @property
    def weight(self) -> NDArray[np.float64]:
        """Occupancy / order of the site symmetry, (n,): the weight of each image in a sum over
        all symmetry operations."""
        return self.occupancy / self.symmetry.site_order(self.frac, self.cell)

    def cell_contents(self) -> dict[str, float]:
        """Atoms of each element in the whole cell, {symbol: count}, C and H first, then by name."""
        counts: dict[str, float] = {}
        for z, w in zip(self.numbers, self.weight * self.symmetry.order, strict=True):
            symbol = gemmi.Element(int(z)).name
            counts[symbol] = counts.get(symbol, 0.0) + float(w)
        return dict(sorted(counts.items(), key=lambda item: ({"C": 0, "H": 1}.get(item[0], 2), item[0])))
