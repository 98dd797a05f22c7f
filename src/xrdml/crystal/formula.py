"""Chemical formulas, and how many of their units a cell holds."""

from __future__ import annotations

import math
import re
from itertools import product

import numpy as np

from xrdml.crystal.about import element_symbol
from xrdml.crystal.cell import Cell, volume
from xrdml.crystal.symmetry import Symmetry
from xrdml.crystal.wilson import VOLUME_PER_NON_H_ATOM
from xrdml.errors import UserError

_PART = re.compile(r"([A-Z][a-z]?)(\d+\.?\d*|\.\d+)?")


def parse_formula(text: str) -> dict[str, float]:
    """Read ``C12 H22 O11`` or ``C12H22O11``; deuterium counts as hydrogen.

    Raises
    ------
    UserError
        Something in it is no element with a number.
    """
    formula: dict[str, float] = {}
    for word in re.split(r"[\s,]+", text.strip()):
        parts = _PART.findall(word)
        if "".join(symbol + count for symbol, count in parts) != word or not word:
            raise UserError(
                f"formula '{text[:60]}': write it like 'C12 H22 O11', without brackets and charges"
            )
        for symbol, count in parts:
            element = element_symbol(symbol)
            formula[element] = formula.get(element, 0.0) + (float(count) if count else 1.0)
    formula = {element: n for element, n in formula.items() if n > 0}
    if not any(element != "H" for element in formula):
        raise UserError(f"formula '{text[:60]}' has no atom but hydrogen")
    return formula


def contents_of_cell(
    formula: dict[str, float], cell: Cell, symmetry: Symmetry, z: float | None = None
) -> dict[str, float]:
    """Atoms in the cell, {symbol: count}: the formula times Z.

    Without `z` it is the number nearest to volume / (18 Å³ × non-H atoms) that the symmetry
    allows: a multiple of the order of the group, or that order divided by that of a site symmetry.
    """
    if z is None:
        atoms = sum(n for element, n in formula.items() if element != "H")
        wanted = volume(cell) / (VOLUME_PER_NON_H_ATOM * atoms)
        z = min(_allowed(symmetry, cell, wanted), key=lambda n: abs(math.log(n / wanted)))
    return {element: n * z for element, n in formula.items()}


def _allowed(symmetry: Symmetry, cell: Cell, wanted: float) -> list[float]:
    below = max(1, math.floor(wanted / symmetry.order))
    orders = site_orders(symmetry, cell)
    return [symmetry.order * below, symmetry.order * (below + 1), *(symmetry.order / n for n in orders)]


def site_orders(symmetry: Symmetry, cell: Cell) -> list[int]:
    """Orders of the site symmetries that a group has, 1 first.

    Every symmetry element passes through points whose coordinates are multiples of 1/24.
    """
    axis = np.arange(24) / 24
    points = np.array(list(product(axis, axis, axis)))
    chunks = np.array_split(points, max(1, symmetry.order))
    found = np.concatenate([np.unique(symmetry.site_order(p, cell, tolerance=1e-3)) for p in chunks])
    return sorted({int(n) for n in found})
