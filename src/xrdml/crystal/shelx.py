"""SHELX instruction files, `.ins` and `.res`: the header is read, and written for SHELXT."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import gemmi
import numpy as np

from xrdml.crystal.about import AboutCrystal, element_symbol
from xrdml.crystal.cell import Cell, parse_cell
from xrdml.crystal.files import read_text, write_text
from xrdml.crystal.hklf import Hklf
from xrdml.crystal.symmetry import Symmetry, symmetry_from_operations
from xrdml.crystal.wilson import estimated_contents
from xrdml.errors import UserError

LATTICES = {
    1: (),
    2: ("x+1/2,y+1/2,z+1/2",),
    3: ("x+2/3,y+1/3,z+1/3", "x+1/3,y+2/3,z+2/3"),
    4: ("x,y+1/2,z+1/2", "x+1/2,y,z+1/2", "x+1/2,y+1/2,z"),
    5: ("x,y+1/2,z+1/2",),
    6: ("x+1/2,y,z+1/2",),
    7: ("x+1/2,y+1/2,z",),
}
"""Centring operations of LATT 1–7: P, I, R (obverse, hexagonal axes), F, A, B, C."""

INVERSION = "-x,-y,-z"


def read_shelx(path: str | Path) -> AboutCrystal:
    """Header of a SHELX `.ins` or `.res`: TITL, CELL, LATT, SYMM, SFAC, UNIT, HKLF.

    Raises
    ------
    UserError
        A file that cannot be read, or an instruction that makes no sense.
    """
    about = parse_shelx(read_text(path), path)
    if about.cell is None:
        raise UserError("no CELL instruction; is this a SHELX .ins or .res file?", path=path)
    return about


def parse_shelx(text: str, path: str | Path, first_line: int = 1) -> AboutCrystal:
    """As :func:`read_shelx`, from text that starts at line `first_line` of `path`.

    `cell` and what depends on it stay None where there is no CELL. As in SHELXL, a missing LATT
    is LATT 1: primitive and centrosymmetric.

    Raises
    ------
    UserError
        An instruction that makes no sense.
    """
    title, cell, wavelength, lattice, hklf = "", None, None, 1, None
    operations: list[str] = []
    elements: list[str] = []
    counts: list[float] = []
    symmetry_line = unit_line = first_line
    for line, name, words in instructions(text, first_line):
        try:
            if name == "TITL":
                title = " ".join(words)
            elif name == "CELL":
                wavelength, cell = _cell(words)
            elif name == "LATT":
                lattice, symmetry_line = _lattice(words), line
            elif name == "SYMM":
                operations.append(" ".join(words).lower())
                symmetry_line = line
            elif name == "SFAC":
                elements += elements_of(words)
            elif name == "UNIT":
                counts += _numbers(words, "UNIT")
                unit_line = line
            elif name == "HKLF":
                hklf = _hklf(words)
        except UserError as error:
            raise UserError(str(error), path=path, line=line) from None
    if cell is None:
        return AboutCrystal(title=title, hklf=hklf)
    try:
        line = symmetry_line
        group = symmetry_from_operations(_all_operations(lattice, operations))
        line = unit_line
        contents = _contents(elements, counts)
    except UserError as error:
        raise UserError(str(error), path=path, line=line) from None
    return AboutCrystal(title, cell, group, wavelength, contents, hklf)


def find_hklf(text: str) -> Hklf | None:
    """The HKLF instruction of a SHELX file's text; None where there is none.

    Raises
    ------
    UserError
        An HKLF instruction that makes no sense.
    """
    found = [words for _, name, words in instructions(text) if name == "HKLF"]
    return _hklf(found[0]) if found else None


def instructions(text: str, first_line: int = 1) -> Iterator[tuple[int, str, list[str]]]:
    """Line number, four-letter name in capitals and words of each instruction, up to HKLF or END."""
    for number, line in logical_lines(text, first_line):
        yield number, line[:4].strip().upper(), line[4:].split()


def logical_lines(text: str, first_line: int = 1) -> Iterator[tuple[int, str]]:
    """Line number and text of instructions and atoms, up to HKLF or END.

    ``=`` at the end of a line continues it; ``!`` starts a comment; REM and lines that start with
    a blank are comments.
    """
    lines = enumerate(text.split("\n"), first_line)
    for number, line in lines:
        name = line[:4].strip().upper()
        if not name or line[0].isspace() or name == "REM":
            continue
        if name != "TITL":
            parts = [line.split("!")[0].rstrip()]
            while parts[-1].endswith("="):
                parts[-1] = parts[-1][:-1]
                parts.append(next(lines, (number, ""))[1].split("!")[0].rstrip())
            line = " ".join(parts)
        yield number, line
        if name in ("HKLF", "END"):
            return


def _numbers(words: list[str], name: str) -> list[float]:
    try:
        values = [float(w) for w in words]
    except ValueError:
        values = [math.nan]
    if not all(math.isfinite(v) for v in values):
        raise UserError(f"{name} {' '.join(words)[:60]}: numbers are expected")
    return values


def _cell(words: list[str]) -> tuple[float | None, Cell]:
    values = _numbers(words, "CELL")
    if len(values) != 7:
        raise UserError(f"CELL has {len(values)} numbers; give the wavelength, a, b, c, alpha, beta, gamma")
    return (values[0] if values[0] > 0 else None), parse_cell(values[1:])


def _lattice(words: list[str]) -> int:
    values = _numbers(words, "LATT") or [1.0]
    if values[0] not in (*LATTICES, *(-n for n in LATTICES)):
        raise UserError(f"LATT {words[0]}: give 1 to 7, negative if there is no centre of symmetry")
    return int(values[0])


def elements_of(words: list[str]) -> list[str]:
    """Elements that an SFAC instruction defines, in order."""
    # The long form defines one element: its symbol and 14 numbers.
    is_long = len(words) > 1 and re.fullmatch(r"[-+.\d].*", words[1])
    return [element_symbol(w) for w in (words[:1] if is_long else words)]


def _contents(elements: list[str], counts: list[float]) -> dict[str, float] | None:
    if counts and len(counts) != len(elements):
        raise UserError(f"UNIT has {len(counts)} numbers and SFAC {len(elements)} elements; make them agree")
    total: dict[str, float] = {}
    for element, count in zip(elements, counts, strict=False):
        if count > 0:
            total[element] = total.get(element, 0.0) + count
    return total or None


def _hklf(words: list[str]) -> Hklf:
    values = _numbers(words, "HKLF")
    # A negative code says that the reflections follow in the .ins itself.
    code = abs(int(values[0])) if values else 4
    scale = values[1] if len(values) > 1 else 1.0
    matrix = tuple(values[2:11]) if len(values) >= 11 else Hklf.matrix
    sigma_scale = values[11] if len(values) > 11 else 1.0
    if not scale > 0 or not sigma_scale > 0 or not np.linalg.det(np.reshape(matrix, (3, 3))) > 1e-6:
        raise UserError(
            f"HKLF {' '.join(words)[:60]}: scales and the determinant of the matrix must be positive"
        )
    return Hklf(code, scale, matrix, sigma_scale)


def _all_operations(lattice: int, operations: list[str]) -> list[str]:
    return [*operations, *LATTICES[abs(lattice)], *([INVERSION] if lattice > 0 else [])]


def latt_and_symm(symmetry: Symmetry) -> tuple[int, list[str]]:
    """The LATT number, and the SYMM operations in SHELX' sense, that stand for a space group.

    SHELX multiplies nothing out: SYMM holds one operation of each set that centring and inversion
    connect, without the identity. Where a centrosymmetric group has no centre at the origin
    (origin choice 1), LATT is negative and SYMM lists all.
    """
    operations = [
        gemmi.Op(_triplet(r, t)).wrap()
        for r, t in zip(symmetry.rotations, symmetry.translations, strict=True)
    ]
    present = {op.triplet() for op in operations}
    number = next(n for n in (4, 3, 2, 5, 6, 7, 1) if present.issuperset(LATTICES[n]))
    centred = INVERSION in present
    extra = [gemmi.Op(t) for t in ("x,y,z", *LATTICES[number])]
    if centred:
        extra += [op * gemmi.Op(INVERSION) for op in extra]
    known = {op.triplet() for op in extra}
    listed = []
    for op in operations:
        if op.triplet() not in known:
            listed.append(op.triplet())
            known |= {(e * op).wrap().triplet() for e in extra}
    return (number if centred else -number), listed


def _triplet(rotation: np.ndarray, translation: np.ndarray) -> str:
    op = gemmi.Op()
    op.rot = (rotation * gemmi.Op.DEN).tolist()
    op.tran = np.rint(translation * gemmi.Op.DEN).astype(int).tolist()
    return op.triplet()


FOOTER = ["HKLF 4", "END"]


def write_ins(
    path: str | Path,
    *,
    title: str,
    cell: Cell,
    wavelength: float,
    symmetry: Symmetry,
    contents: dict[str, float] | None = None,
) -> None:
    """Write a complete `.ins` for HKLF 4 data, which SHELXT reads as it is.

    Parameters
    ----------
    title, cell, wavelength, symmetry, contents
        As :func:`header` takes them.

    Raises
    ------
    UserError
        The file cannot be written.
    """
    lines = header(title=title, cell=cell, wavelength=wavelength, symmetry=symmetry, contents=contents)
    write_text(path, "\n".join([*lines, *FOOTER]) + "\n")


def header(
    *,
    title: str,
    cell: Cell,
    wavelength: float,
    symmetry: Symmetry,
    contents: dict[str, float] | None = None,
) -> list[str]:
    """The lines from TITL to UNIT.

    The number of formula units of ZERR is the number of asymmetric units; uncertainties of the
    cell are zero, as none are known.

    Parameters
    ----------
    title
        Cut to the 76 characters that SHELX takes.
    wavelength
        Å.
    contents
        Atoms in the cell; where not known, those of an average organic crystal of the same volume
        (one atom of C : N : O = 0.78 : 0.09 : 0.13 and one H for 18 Å³).
    """
    lattice, operations = latt_and_symm(symmetry)
    atoms = contents or estimated_contents(cell)
    numbers = " ".join(f"{x:.4f}" for x in cell[:3]) + " " + " ".join(f"{x:.3f}" for x in cell[3:])
    return [
        f"TITL {' '.join(title.split())}"[:80],
        f"CELL {wavelength:.5f} {numbers}",
        f"ZERR {symmetry.order} 0.0000 0.0000 0.0000 0.000 0.000 0.000",
        f"LATT {lattice}",
        *(f"SYMM {operation.upper().replace(',', ', ')}" for operation in operations),
        *_wrapped("SFAC", list(atoms)),
        *_wrapped("UNIT", [f"{max(1, round(count))}" for count in atoms.values()]),
    ]


def _wrapped(name: str, words: list[str]) -> list[str]:
    """An instruction in lines of at most 80 characters, continued by ``=``."""
    lines = textwrap.wrap(" ".join(words), 72)
    return [
        (f"{name} " if i == 0 else "     ") + line + (" =" if i + 1 < len(lines) else "")
        for i, line in enumerate(lines)
    ]
