"""What a file says about a crystal, besides its reflections and atoms."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi

from xrdml.crystal.cell import Cell
from xrdml.crystal.hklf import Hklf
from xrdml.crystal.scattering import MAX_ATOMIC_NUMBER
from xrdml.crystal.symmetry import Symmetry
from xrdml.errors import UserError


@dataclass(frozen=True)
class AboutCrystal:
    """Header of a SHELX file or a CIF; None where it says nothing.

    Attributes
    ----------
    title
        One line; may be empty.
    wavelength
        Å.
    contents
        Atoms in the cell, {element symbol: number}; deuterium counts as hydrogen.
    hklf
        How the reflections that belong to the file are meant.
    """

    title: str = ""
    cell: Cell | None = None
    symmetry: Symmetry | None = None
    wavelength: float | None = None
    contents: dict[str, float] | None = None
    hklf: Hklf | None = None


def element_symbol(text: str) -> str:
    """``CL`` → ``Cl``; deuterium becomes H.

    Raises
    ------
    UserError
        No element of that name, or one without scattering factors.
    """
    element = gemmi.Element(text)
    if not 1 <= element.atomic_number <= MAX_ATOMIC_NUMBER:
        raise UserError(f"'{text[:20]}' is no element; write symbols such as C, H, Cl")
    return "H" if element.atomic_number == 1 else element.name
