"""Whether a published crystal is fit for a dataset, and if not, why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import gemmi
import numpy as np
from gemmi import cif

from xrdml.crystal.cell import volume
from xrdml.crystal.cif import Model, blocks_with_atoms, first_text, read_document, read_model
from xrdml.crystal.families import OVERLAP, Fingerprint, fingerprint
from xrdml.crystal.periodic import CellAtoms
from xrdml.errors import UserError

ORGANIC = ("H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Se", "Br", "I")

VOLUMES = 8.0, 40.0
"""Å³ per non-H atom; outside it atoms are missing, or the cell is not that of the atoms."""

MAX_DISORDER = 0.5
"""Share of non-H atoms on partly occupied sites above which a model is no picture of the molecule."""

MAX_CELL_ATOMS = 3000
"""Non-H atoms in the cell; proteins are not meant."""


@dataclass(frozen=True)
class Finding:
    """What became of one block of a CIF.

    Attributes
    ----------
    block
        Its name; empty where the file could not be read as a CIF.
    reason, detail
        Why it is left out, as a class and in words; both empty for a crystal to keep.
    notes
        What was changed or is missing in a crystal to keep.
    model, fingerprint
        Of a crystal to keep.
    quality
        The larger, the better among models of one crystal: U's known, order, hydrogen, −R1.
    """

    block: str
    reason: str = ""
    detail: str = ""
    notes: list[str] = field(default_factory=list)
    model: Model | None = None
    fingerprint: Fingerprint | None = None
    quality: tuple[float, ...] = ()


def examine_file(path: Path, elements: frozenset[str] = frozenset(ORGANIC)) -> Iterator[Finding]:
    """One finding for each block with atoms, at least one for a file.

    Parameters
    ----------
    elements
        Symbols that may occur, H included.
    """
    try:
        document = read_document(path)
    except UserError as error:
        yield Finding("", "unreadable", _without_path(error, path))
        return
    blocks = list(blocks_with_atoms(document))
    if not blocks:
        yield Finding(document[0].name, "no atoms", "no block has both a cell and coordinates")
    for block in blocks:
        try:
            yield _examine(block, path, elements)
        except UserError as error:
            yield Finding(block.name, "unreadable", _without_path(error, path))
        except (ArithmeticError, LookupError, ValueError, RuntimeError) as error:
            # One strange file among a hundred thousand must not end the import; the report names it.
            yield Finding(block.name, "unreadable", f"{type(error).__name__}: {str(error)[:80]}")


def _without_path(error: UserError, path: Path) -> str:
    return str(error).removeprefix(f"{path}:").strip()


def _examine(block: cif.Block, path: Path, elements: frozenset[str]) -> Finding:
    model = read_model(block, path)
    structure = model.structure
    heavy = structure.numbers > 1
    symbols = {gemmi.Element(int(z)).name for z in structure.numbers}
    if strange := sorted(symbols - elements):
        return Finding(block.name, "element", " ".join(strange))
    if "C" not in symbols:
        return Finding(block.name, "no carbon", " ".join(sorted(symbols)))
    partial = float(((structure.occupancy < 0.99) & heavy).sum() / heavy.sum())
    if partial > MAX_DISORDER:
        return Finding(block.name, "disorder", f"{partial:.0%} of the non-H atoms on partly occupied sites")
    in_cell = float((structure.weight * heavy).sum() * structure.symmetry.order)
    if in_cell > MAX_CELL_ATOMS:
        return Finding(block.name, "too large", f"{in_cell:.0f} non-H atoms in the cell")
    per_atom = volume(structure.cell) / in_cell
    if not VOLUMES[0] <= per_atom <= VOLUMES[1]:
        return Finding(
            block.name, "density", f"{per_atom:.1f} Å³ per non-H atom: atoms missing or wrong cell"
        )
    whole = CellAtoms(structure, heavy & (structure.occupancy >= 0.99), OVERLAP)
    if len(whole.pairs.distance):
        return Finding(block.name, "overlap", f"whole atoms {whole.pairs.distance.min():.2f} Å apart")
    found = fingerprint(model)
    if found.endless:
        return Finding(block.name, "polymer", "bonds that go on without end")
    known = 1 - model.without_u / (len(structure) + len(model.left_out))
    r1 = cif.as_number(first_text(block, ("_refine_ls_R_factor_gt", "_refine_ls_R_factor_all")))
    quality = (known, -partial, float(1 in structure.numbers), -r1 if np.isfinite(r1) else -1.0)
    return Finding(block.name, "", "", _notes(model), model, found, quality)


def _notes(model: Model) -> list[str]:
    s = model.structure
    notes = []
    if model.without_u:
        notes.append(f"U assumed for {model.without_u} of {len(s)} atoms")
    if not (s.numbers == 1).any():
        notes.append("no hydrogen")
    if n := int(((s.occupancy < 0.99) & (s.numbers > 1)).sum()):
        notes.append(f"{n} non-H atoms on partly occupied sites")
    if model.left_out:
        notes.append(f"left out atoms {' '.join(model.left_out[:10])}")
    return notes
