"""Atoms in SHELX `.res` files: written for SHELXL and the viewers, read from SHELXT and SHELXL."""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path

import gemmi
import numpy as np

from xrdml.crystal.cell import Cell
from xrdml.crystal.cif import DEFAULT_U_ISO
from xrdml.crystal.files import read_text, write_text
from xrdml.crystal.shelx import FOOTER, elements_of, header, logical_lines, parse_shelx
from xrdml.crystal.structure import Structure
from xrdml.errors import UserError

MAX_LABEL = 4
"""Characters that SHELX takes for the name of an atom."""

FIXED = 10
"""A parameter p that is not to be refined is written as 10 + p."""

_NAMES = """
ABIN ACTA AFIX ANIS ANSC ANSR BASF BEDE BIND BLOC BOND BUMP CELL CGLS CHIV CONF CONN DAMP DANG DEFS
DELU DFIX DISP EADP END EQIV EXTI EXYZ FEND FLAT FMAP FRAG FREE FVAR GRID HFIX HKLF HTAB ISOR L.S.
LAST LATT LAUE LIST LONE MERG MOLE MORE MOVE MPLA NCSY NEUT OMIT PART PLAN PRIG REM RENU RESI RIGU
RTAB SADI SAME SFAC SHEL SIMU SIZE SPEC STIR SUMP SWAT SYMM TEMP TIME TITL TWIN TWST UNIT WGHT WIGL
WPDB XNPD ZERR
"""
INSTRUCTIONS = frozenset(_NAMES.split())
"""Names that are no atoms."""


def atom_labels(structure: Structure) -> list[str]:
    """C1, C2, O1, …: element and running number in the order of the atoms.

    Raises
    ------
    UserError
        More atoms of one element than four characters can name.
    """
    seen: Counter[str] = Counter()
    labels = []
    for number in structure.numbers:
        symbol = gemmi.Element(int(number)).name
        seen[symbol] += 1
        labels.append(f"{symbol}{seen[symbol]}")
    longest = max(labels, key=len, default="")
    if len(longest) > MAX_LABEL:
        raise UserError(f"atom {longest}: SHELX takes {MAX_LABEL} characters; the structure is too large")
    return labels


def write_res(
    path: str | Path,
    structure: Structure,
    *,
    title: str,
    wavelength: float,
    contents: dict[str, float] | None = None,
    scale: float = 1.0,
    remarks: list[str] | None = None,
) -> None:
    """Write atoms as a `.res` for HKLF 4 data, ready to be refined by SHELXL.

    Occupancies are fixed (10+), and those on special positions are divided by the order of the
    site. Elements come in the order of `contents`, then those that only the atoms have.

    Parameters
    ----------
    title, wavelength, contents
        As :func:`xrdml.crystal.shelx.header` takes them; without `contents`, UNIT counts the atoms.
    scale
        |Fo| of the reflection file = scale · |Fc|: SHELX' overall scale factor, FVAR.
    remarks
        Lines of comment below the title.

    Raises
    ------
    UserError
        The file cannot be written, or SHELX cannot name so many atoms.
    """
    elements = {**structure.cell_contents(), **(contents or {})}
    elements = {name: elements[name] for name in dict.fromkeys([*(contents or {}), *elements])}
    first, *others = header(
        title=title,
        cell=structure.cell,
        wavelength=wavelength,
        symmetry=structure.symmetry,
        contents=elements,
    )
    order = {name: i for i, name in enumerate(elements, 1)}
    lines = [first, *(f"REM {remark}"[:80] for remark in remarks or []), *others]
    lines += ["L.S. 4", "FMAP 2", "PLAN 20", f"FVAR {scale:.5f}"]
    for label, number, x, sof, u in zip(
        atom_labels(structure),
        structure.numbers,
        structure.frac,
        structure.weight,
        structure.u_iso,
        strict=True,
    ):
        kind = order[gemmi.Element(int(number)).name]
        xyz = "".join(f"{value:11.6f}" for value in x)
        lines.append(f"{label:<4} {kind:2d}{xyz} {FIXED + sof:10.5f} {u:9.5f}")
    write_text(path, "\n".join([*lines, *FOOTER]) + "\n")


def read_res(path: str | Path) -> Structure:
    """Atoms of a SHELX `.res` or `.ins`.

    Anisotropic displacements become U(eq), those that ride on another atom a multiple of its U;
    peaks (Q1, …) and rigid fragments (FRAG) are left out.

    Raises
    ------
    UserError
        A file that cannot be read, has no CELL or no atoms, or an atom that makes no sense.
    """
    text = read_text(path)
    about = parse_shelx(text, path)
    if about.cell is None or about.symmetry is None:
        raise UserError("no CELL instruction; is this a SHELX .ins or .res file?", path=path)
    elements: list[str] = []
    variables: list[float] = []
    rows: list[list[float]] = []
    carrier_u = DEFAULT_U_ISO
    in_fragment = False
    for line, content in logical_lines(text):
        name, words = content[:4].strip().upper(), content.split()
        in_fragment = name == "FRAG" or (in_fragment and name != "FEND")
        try:
            if name == "SFAC":
                elements += elements_of(words[1:])
            elif name == "FVAR":
                variables += [float(word) for word in words[1:]]
            elif not (in_fragment or name in INSTRUCTIONS or re.match(r"\+|Q\d", words[0])):
                z = gemmi.Element(elements[int(words[1]) - 1]).atomic_number
                x1, x2, x3, sof, *u_values = (_value(word, variables) for word in words[2:12])
                u = _u_iso(u_values, about.cell, carrier_u)
                if not _rides(u_values):
                    carrier_u = u
                rows.append([z, x1, x2, x3, u, sof])
        except (ValueError, IndexError):
            raise UserError(
                f"'{content.strip()[:40]}' is neither an instruction nor an atom", path=path, line=line
            ) from None
    if not rows:
        raise UserError("holds no atoms", path=path)
    table = np.array(rows)
    frac = np.ascontiguousarray(table[:, 1:4])
    return Structure(
        about.cell,
        about.symmetry.name,
        table[:, 0].astype(np.uint8),
        frac,
        np.ascontiguousarray(table[:, 4]),
        table[:, 5] * about.symmetry.site_order(frac, about.cell),
    )


def _value(word: str, variables: list[float]) -> float:
    """A parameter as SHELX codes it: p, 10 + p where fixed, 10·m + p for p times free variable m.

    A negative m stands for p times (variable − 1).
    """
    value = float(word)
    m = int(math.copysign((abs(value) + 5) // 10, value))
    p = value - 10 * m
    if abs(m) <= 1:
        return p
    variable = variables[abs(m) - 1]
    return p * variable if m > 0 else p * (variable - 1)


def _rides(u: list[float]) -> bool:
    """−1.2 stands for 1.2 times U of the atom that carries this one."""
    return len(u) == 1 and -5 < u[0] < -0.5


def _u_iso(u: list[float], cell: Cell, carrier_u: float) -> float:
    """U(iso) or U(eq) in Å² from one or six values."""
    if len(u) == 6:
        u11, u22, u33, u23, u13, u12 = u
        value = gemmi.UnitCell(*cell).calculate_u_eq(gemmi.SMat33d(u11, u22, u33, u12, u13, u23))
    else:
        value = -u[0] * carrier_u if _rides(u) else u[0]
    return value if value > 0 else DEFAULT_U_ISO
