"""CIF: cell, space group, contents and atoms."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import gemmi
import numpy as np
from gemmi import cif
from numpy.typing import NDArray

from xrdml.crystal.about import AboutCrystal, element_symbol
from xrdml.crystal.cell import Cell, parse_cell
from xrdml.crystal.files import read_text
from xrdml.crystal.hklf import Hklf
from xrdml.crystal.scattering import MAX_ATOMIC_NUMBER
from xrdml.crystal.shelx import find_hklf
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Symmetry, symmetry, symmetry_from_operations
from xrdml.errors import UserError

log = logging.getLogger(__name__)

DEFAULT_U_ISO = 0.05
"""Å², for atoms without a displacement parameter; refined organics have 0.02–0.08."""

_CELL = [
    f"_cell_{item}"
    for item in ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
]
_OPERATIONS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
_HM = ("_space_group_name_h-m_alt", "_symmetry_space_group_name_h-m", "_space_group_name_h-m_full")
_HALL = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
_SHELX_TEXT = ("_shelx_res_file", "_iucr_refine_instructions_details")


def read_document(path: str | Path, text: str | None = None, first_line: int = 1) -> cif.Document:
    """Parse a CIF, or `text` that was found in it from line `first_line` on.

    Raises
    ------
    UserError
        A file that cannot be read or is no CIF.
    """
    text = read_text(path) if text is None else text
    try:
        document = cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        place = re.match(r"string:(\d+)(?::\d+\(\d+\))?(?: in \S+)?: *(.*)", str(error), re.DOTALL)
        line = first_line + int(place[1]) - 1 if place else None
        reason = (place[2] if place else str(error))[:80]
        raise UserError(f"is no valid CIF ({reason}); correct it here", path=path, line=line) from None
    if not len(document):
        raise UserError("holds no data_ block; is this a CIF?", path=path)
    return document


def read_cif(path: str | Path) -> AboutCrystal:
    """Header of the first block that has a cell: cell, space group, wavelength, formula × Z, HKLF code.

    Raises
    ------
    UserError
        A file that cannot be read, has no cell, or contradicts itself.
    """
    block = _block_with_cell(read_document(path), path)
    return replace(about_block(block, path), hklf=hklf_of(block, path))


def hklf_of(block: cif.Block, path: str | Path) -> Hklf | None:
    """The HKLF instruction in the SHELX text that a block carries; None where there is none."""
    text = first_text(block, _SHELX_TEXT)
    try:
        return find_hklf(text) if text else None
    except UserError as error:
        raise UserError(f"data_{block.name}: {error}", path=path) from None


def about_block(block: cif.Block, path: str | Path) -> AboutCrystal:
    """What one block says; None for what it does not mention, and for the HKLF instruction.

    Raises
    ------
    UserError
        A cell or a space group that makes no sense.
    """
    wavelength = _first_number(block, "_diffrn_radiation_wavelength")
    try:
        return AboutCrystal(
            title=block.name,
            cell=_cell(block) if first_text(block, _CELL[:1]) else None,
            symmetry=_symmetry(block),
            wavelength=wavelength if wavelength and wavelength > 0 else None,
            contents=_contents(block),
        )
    except UserError as error:
        raise UserError(f"data_{block.name}: {error}", path=path) from None


def read_structure(path: str | Path) -> Structure:
    """Atoms of the first block with a cell and coordinates.

    Deuterium becomes H. Dummy atoms and atoms without coordinates or element are left out; a
    missing or non-positive U becomes 0.05 Å², a missing occupancy 1, U(eq) stands for anisotropic
    displacements; whatever was left out or filled in is logged.

    Raises
    ------
    UserError
        A file that cannot be read, or lacks a cell, a space group or atoms.
    """
    document = read_document(path)
    block = next(blocks_with_atoms(document), None)
    if block is None:
        name = _block_with_cell(document, path).name
        raise UserError(f"data_{name} holds no atoms with coordinates", path=path)
    found = read_model(block, path)
    if found.left_out:
        names = ", ".join(found.left_out)
        log.info("%s: left out %s: no coordinates, no element, or dummy", path, names)
    if found.without_u:
        log.info("%s: %d atoms have no U; %g Å² assumed", path, found.without_u, DEFAULT_U_ISO)
    return found.structure


def blocks_with_atoms(document: cif.Document) -> Iterator[cif.Block]:
    """The blocks of a CIF that hold a cell and coordinates."""
    return (block for block in document if _has_atoms(block))


@dataclass(frozen=True)
class Model:
    """The atoms of a block, with what a Structure has no place for.

    Attributes
    ----------
    structure
        As :func:`read_structure` returns it.
    part, assembly
        Disorder group and assembly of each atom: (n,) int64, 0 for none, and n texts, "" for none.
    left_out
        Labels of dummy atoms and of those without coordinates or element.
    without_u
        Number of atoms whose U is `DEFAULT_U_ISO` because the file has none.
    """

    structure: Structure
    part: NDArray[np.int64]
    assembly: list[str]
    left_out: list[str]
    without_u: int


def read_model(block: cif.Block, path: str | Path) -> Model:
    """The atoms of one block; see :func:`read_structure` for what is changed.

    Raises
    ------
    UserError
        No cell, no space group or no atoms, or ones that contradict each other.
    """
    about = about_block(block, path)
    if about.cell is None or about.symmetry is None:
        raise UserError(f"data_{block.name}: no space group; add _space_group_symop_operation_xyz", path=path)
    try:
        about.symmetry.check_cell(about.cell)
    except UserError as error:
        raise UserError(str(error), path=path) from None
    try:
        sites = gemmi.make_small_structure_from_block(block).sites
    except (ValueError, RuntimeError) as error:
        raise UserError(f"data_{block.name}: {str(error)[:80]}; correct it", path=path) from None
    dummies = _dummy_labels(block)
    expected = set(_formula(block))
    assemblies = _assemblies(block)
    atoms, part, assembly, left_out, without_u = [], [], [], [], 0
    for site in sites:
        number = _atomic_number(site, expected)
        xyz = site.fract.tolist()
        if number is None or site.label in dummies or not all(math.isfinite(x) and abs(x) < 100 for x in xyz):
            left_out.append(site.label)
            continue
        u_iso = site.u_iso
        if not u_iso > 0 and site.aniso.nonzero():
            u_iso = gemmi.UnitCell(*about.cell).calculate_u_eq(site.aniso)
        if not (u_iso > 0 and math.isfinite(u_iso)):
            u_iso, without_u = DEFAULT_U_ISO, without_u + 1
        occupancy = site.occ if math.isfinite(site.occ) and 0 <= site.occ <= 1.5 else 1.0
        atoms.append((number, *xyz, u_iso, occupancy))
        part.append(site.disorder_group)
        assembly.append(assemblies.get(site.label, ""))
    if not atoms:
        raise UserError(f"data_{block.name} holds no atoms with coordinates", path=path)
    table = np.array(atoms, dtype=np.float64)
    structure = Structure(
        about.cell,
        about.symmetry.name,
        table[:, 0].astype(np.uint8),
        np.ascontiguousarray(table[:, 1:4]),
        np.ascontiguousarray(table[:, 4]),
        np.ascontiguousarray(table[:, 5]),
    )
    return Model(structure, np.array(part, np.int64), assembly, left_out, without_u)


def _has_atoms(block: cif.Block) -> bool:
    tags = ("_atom_site_label", *(f"_atom_site_fract_{x}" for x in "xyz"))
    return bool(first_text(block, _CELL[:1])) and all(block.find_loop(tag) for tag in tags)


def _block_with_cell(document: cif.Document, path: str | Path) -> cif.Block:
    for block in document:
        if first_text(block, _CELL[:1]):
            return block
    raise UserError("no block of this CIF has a cell; add _cell_length_a and the others", path=path)


def first_text(block: cif.Block, tags: tuple[str, ...] | list[str]) -> str:
    """Value of the first tag that has one, out of its quotes; '' where there is none."""
    for tag in tags:
        for value in block.find_values(tag):
            if not cif.is_null(value) and cif.as_string(value).strip():
                return cif.as_string(value)
    return ""


def _first_number(block: cif.Block, tag: str) -> float | None:
    value = cif.as_number(first_text(block, (tag,)))
    return value if math.isfinite(value) else None


def _cell(block: cif.Block) -> Cell:
    texts = [first_text(block, (tag,)) for tag in _CELL]
    for tag, text in zip(_CELL, texts, strict=True):
        if not math.isfinite(cif.as_number(text)):
            raise UserError(f"{tag} is '{text[:40]}'; give a number")
    return parse_cell([cif.as_number(text) for text in texts])


def _symmetry(block: cif.Block) -> Symmetry | None:
    """The space group; operations count more than symbols, which leave the origin open."""
    hm, hall = first_text(block, _HM), first_text(block, _HALL)
    triplets = [cif.as_string(v).lower() for tag in _OPERATIONS for v in block.find_values(tag)]
    candidates = {
        "the symmetry operations": symmetry_from_operations(triplets) if triplets else None,
        f"the Hall symbol '{hall[:40]}'": _from_hall(hall),
        f"the symbol '{hm[:40]}'": _from_name(hm),
    }
    found = [(source, group) for source, group in candidates.items() if group is not None]
    if not found:
        return symmetry(hm) if hm else None
    (first, group), *others = found
    for other, other_group in others:
        if other_group.number != group.number:
            raise UserError(
                f"{first} ({group.name}) contradict {other} ({other_group.name}); "
                "correct one of them, or give --space-group"
            )
    return group


def _from_name(name: str) -> Symmetry | None:
    try:
        return symmetry(name) if name else None
    except UserError:
        return None


def _from_hall(hall: str) -> Symmetry | None:
    try:
        group = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(hall.replace("_", " "))) if hall else None
    except (ValueError, RuntimeError):
        return None
    return symmetry(group.xhm()) if group else None


def _formula(block: cif.Block) -> dict[str, float]:
    """Atoms of one formula unit, from _chemical_formula_sum; empty where it makes no sense."""
    formula: dict[str, float] = {}
    for symbol, count in re.findall(
        r"([A-Z][a-z]?)(\d*\.?\d*)", first_text(block, ("_chemical_formula_sum",))
    ):
        try:
            element = element_symbol(symbol)
        except UserError:
            return {}
        formula[element] = formula.get(element, 0.0) + (float(count) if count.strip(".") else 1.0)
    return {element: n for element, n in formula.items() if n > 0}


def _contents(block: cif.Block) -> dict[str, float] | None:
    """Atoms in the cell: the formula times _cell_formula_units_Z."""
    z = _first_number(block, "_cell_formula_units_z")
    formula = _formula(block)
    return {element: n * z for element, n in formula.items()} if formula and z and z > 0 else None


def _dummy_labels(block: cif.Block) -> set[str]:
    table = block.find("_atom_site_", ["label", "calc_flag"])
    return {row.str(0) for row in table if row.str(1).lower() == "dum"}


def _assemblies(block: cif.Block) -> dict[str, str]:
    """Disorder assembly of each label that has one."""
    table = block.find("_atom_site_", ["label", "disorder_assembly"])
    return {row.str(0): row.str(1) for row in table if not cif.is_null(row[1])}


def _atomic_number(site: gemmi.SmallStructure.Site, expected: set[str]) -> int | None:
    """From the type symbol or, where it is missing, from the letters that the label starts with.

    ``CA1`` may be calcium or a carbon: the formula (`expected`, if known) decides.
    """
    element = site.element
    if site.type_symbol in ("", site.label):
        letters = re.match(r"[A-Za-z]{0,2}", site.label)
        name = letters[0] if letters else ""
        candidates = [gemmi.Element(name)]
        if not name[1:].islower():
            candidates.append(gemmi.Element(name[:1]))
        known = [e for e in candidates if e.atomic_number > 0]
        element = next((e for e in known if e.name in expected), known[0] if known else gemmi.Element("X"))
    return element.atomic_number if 1 <= element.atomic_number <= MAX_ATOMIC_NUMBER else None
