"""A measured crystal from whatever files a crystallographer has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from xrdml.crystal.about import AboutCrystal
from xrdml.crystal.cell import Cell, d_spacing
from xrdml.crystal.cif import about_block, read_cif, read_document
from xrdml.crystal.cif_reflections import read_cif_reflections
from xrdml.crystal.files import read_text
from xrdml.crystal.formula import contents_of_cell, parse_formula
from xrdml.crystal.hklf import Hklf, check_code, parse_hklf
from xrdml.crystal.reflections import Reflections
from xrdml.crystal.shelx import parse_shelx, read_shelx
from xrdml.crystal.symmetry import Symmetry, symmetry
from xrdml.errors import UserError

SIBLINGS = (".ins", ".res", ".cif")
SMALLEST_D = 0.2
"""Å; no laboratory source reaches it (Ag Kα ends at 0.28 Å), so the cell or the indices are wrong."""


@dataclass(frozen=True)
class Measurement:
    """Everything known about a measured crystal.

    Attributes
    ----------
    path
        The file with the reflections.
    reflections
        As measured, unmerged, on the scale of the file; in the indices of `cell`.
    cell, symmetry
        Of the crystal; they agree with each other.
    wavelength
        Å; None where no file gives one.
    contents
        Atoms in the cell, {element symbol: number}; None where no file gives them.
    title
        One line; may be empty.
    """

    path: Path
    reflections: Reflections
    cell: Cell
    symmetry: Symmetry
    wavelength: float | None
    contents: dict[str, float] | None
    title: str


@dataclass(frozen=True)
class _Source:
    """A header and where it stands."""

    path: Path
    about: AboutCrystal


def load_measurement(
    path: str | Path,
    *,
    ins: str | Path | None = None,
    cif: str | Path | None = None,
    cell: Cell | None = None,
    space_group: str | None = None,
) -> Measurement:
    """Read reflections, and find cell, space group and the rest.

    Each piece comes from the first place that has it: `cell` and `space_group`; the files `ins`
    and `cif`; without them, ``<stem>.ins``, ``.res`` and ``.cif`` beside `path`; the CIF that
    holds the reflections; and only where cell or space group are still missing, what follows the
    reflections in the `.hkl`. Where both are given as options, no file beside `path` is looked at.

    Parameters
    ----------
    path
        HKLF 4 (or 3, if the `.ins` says so), or a CIF that holds reflections.

    Raises
    ------
    UserError
        A file that cannot be used, a missing cell or space group, or ones that contradict each other.
    """
    path = Path(path)
    sources = list(_named(ins, cif))
    if not sources and (cell is None or space_group is None):
        sources = list(_beside(path))
    text = read_text(path)
    if is_cif(text):
        sources.append(_Source(path, read_cif(path)) if _has_cell(text) else _Source(path, AboutCrystal()))
        reflections = read_cif_reflections(path)
    else:
        hklf, where = _first(sources, "hklf")
        hklf = hklf or Hklf()
        check_code(hklf.code, where)
        reflections, trailing = parse_hklf(text, path, hklf=hklf.code)
        try:
            reflections = hklf.apply(reflections)
        except UserError as error:
            raise UserError(str(error), path=where) from None
        known = (cell or _first(sources, "cell")[0]) and (space_group or _first(sources, "symmetry")[0])
        if trailing.strip() and not known:
            line = text[: len(text) - len(trailing)].count("\n") + 1
            sources.append(_Source(path, _trailing(trailing, path, line)))

    about_cell, cell_from = (cell, None) if cell is not None else _first(sources, "cell")
    if space_group is not None:
        group, group_from = symmetry(space_group), None
    else:
        group, group_from = _first(sources, "symmetry")
    if about_cell is None:
        raise UserError(
            "the cell is not known; give --cell a,b,c,alpha,beta,gamma, --ins or --cif", path=path
        )
    if group is None:
        raise UserError("the space group is not known; give --space-group, --ins or --cif", path=path)
    try:
        group.check_cell(about_cell)
    except UserError as error:
        raise UserError(str(error), path=cell_from or group_from or path) from None
    _check_resolution(reflections, about_cell, path)
    return Measurement(
        path,
        reflections,
        about_cell,
        group,
        _first(sources, "wavelength")[0],
        _first(sources, "contents")[0],
        next((s.about.title for s in sources if s.about.title), ""),
    )


def with_formula(measurement: Measurement, formula: str | None, z: int | None) -> Measurement:
    """The measurement with the contents that a formula gives, or as it is.

    Parameters
    ----------
    formula, z
        One unit, and the number of units in the cell; None for what the volume suggests.

    Raises
    ------
    UserError
        A formula that cannot be read, or a z without one.
    """
    if formula is None:
        if z is not None:
            raise UserError("--z says how many units of --formula the cell holds; give --formula as well")
        return measurement
    if z is not None and z < 1:
        raise UserError(f"--z {z}: give 1 or more")
    contents = contents_of_cell(parse_formula(formula), measurement.cell, measurement.symmetry, z)
    return replace(measurement, contents=contents)


def is_cif(text: str) -> bool:
    """Whether the first line that is neither blank nor a comment opens a data block."""
    lines = (line.strip() for line in text[:100_000].split("\n"))
    first = next((line for line in lines if line and not line.startswith("#")), "")
    return first.lower().startswith("data_")


def _has_cell(text: str) -> bool:
    return "_cell_length_a" in text.lower()


def _first(sources: list[_Source], field: str):
    """The first value of a field that is not None, and the file it comes from."""
    for source in sources:
        value = getattr(source.about, field)
        if value is not None:
            return value, source.path
    return None, None


def _named(ins: str | Path | None, cif: str | Path | None) -> Iterator[_Source]:
    if ins is not None:
        yield _Source(Path(ins), read_shelx(ins))
    if cif is not None:
        yield _Source(Path(cif), read_cif(cif))


def _beside(path: Path) -> Iterator[_Source]:
    for suffix in SIBLINGS:
        other = path.with_suffix(suffix)
        if other != path and other.is_file():
            yield _Source(other, read_cif(other) if suffix == ".cif" else read_shelx(other))


def _trailing(text: str, path: Path, first_line: int) -> AboutCrystal:
    """Header from what follows the reflections: a `.res`, or CIF items with or without data_."""
    if not _has_cell(text):
        return parse_shelx(text, path, first_line)
    start = re.search(r"^(data_|loop_|_)", text, re.MULTILINE | re.IGNORECASE)
    items = text[start.start() :] if start else text
    first_line += text[: len(text) - len(items)].count("\n")
    if not is_cif(items):
        items, first_line = "data_hkl\n" + items, first_line - 1
    return about_block(read_document(path, items, first_line)[0], path)


def _check_resolution(reflections: Reflections, cell: Cell, path: Path) -> None:
    d = d_spacing(cell, reflections.hkl)
    worst = int(np.argmin(d))
    if d[worst] < SMALLEST_D:
        h, k, l = reflections.hkl[worst]
        raise UserError(
            f"reflection {h} {k} {l} would lie at {d[worst]:.3f} Å in the cell "
            f"{' '.join(f'{x:g}' for x in cell)}; give the cell that these indices belong to",
            path=path,
        )
