"""The crystals that are explained, from any file, with all that is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.cif import blocks_with_atoms, read_document, read_structure
from xrdml.crystal.files import read_text
from xrdml.crystal.load import is_cif
from xrdml.crystal.problem import FillProblem
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Symmetry, symmetry_from_operations
from xrdml.data.structures import read_structures
from xrdml.errors import UserError
from xrdml.evaluate.known import known_crystals
from xrdml.evaluate.reference import check_same_cell
from xrdml.infer.case import CrystalRequest, load_case
from xrdml.infer.pipeline import true_amplitudes

D_LIMIT = 1.5
"""Å, to which crystals with known atoms count as measured unless `cut` says otherwise."""


@dataclass(frozen=True)
class Subject:
    """One crystal.

    Attributes
    ----------
    name
        How tables call it.
    problem
        What is measured and what is missing.
    f_true
        |F| of `problem.missing`, (p,), on the scale of the measured ones, NaN where unknown; None
        where nothing beyond the measured ones is known.
    structure
        Its atoms; None where no file gave them.
    """

    name: str
    problem: FillProblem
    f_true: NDArray[np.float64] | None
    structure: Structure | None


class Crystals(Sequence[Subject]):
    """Crystals by number; |F| are calculated when one is asked for.

    Parameters
    ----------
    structures
        With their names.
    d_limit, d_min
        Measured to, and wanted to, Å.
    """

    def __init__(self, structures: Sequence[tuple[str, Structure]], d_limit: float, d_min: float):
        self._structures, self._limits = structures, (d_limit, d_min)
        self._get = lru_cache(maxsize=256)(self._make)

    def __len__(self) -> int:
        return len(self._structures)

    def __getitem__(self, i):
        return self._get(i)

    def _make(self, i: int) -> Subject:
        name, structure = self._structures[i]
        return subject_of(name, structure, *self._limits)


def subject_of(name: str, structure: Structure, d_limit: float = D_LIMIT, d_min: float = 0.8) -> Subject:
    """A crystal with calculated |F|.

    Raises
    ------
    UserError
        Too few reflections.
    """
    for crystal in known_crystals([(name, structure)], d_limit, d_min):
        return Subject(name, crystal.problem, crystal.f_true, structure)
    raise UserError(f"{name} has too few reflections to {d_limit:g} Å; give a larger cell or a smaller --cut")


def open_subjects(
    crystal: dict[str, Any], subset: str = "all", limit: int | None = None, d_min: float = 0.8
) -> Sequence[Subject]:
    """The crystals of a dataset file or of a folder of CIFs, or the one of a CIF or an `.hkl`.

    Parameters
    ----------
    crystal
        Fields of :class:`xrdml.infer.case.CrystalRequest` that were given, `input` and `cut` among
        them. Of a CIF with atoms the |F| are calculated.
    subset, limit
        Of a dataset or folder, as :func:`xrdml.data.structures.read_structures` takes them.

    Raises
    ------
    UserError
        Nothing there that can be read, or options that do not fit.
    """
    path, cut = Path(crystal["input"]), crystal["cut"]
    d_limit = D_LIMIT if cut is None else cut
    if not 0.4 <= d_min < d_limit <= 10:
        raise UserError(
            f"--cut {d_limit:g}, --d-min {d_min:g}: need 0.4 ≤ d-min < cut ≤ 10 Å; change one of them"
        )
    if path.is_dir() or (path.is_file() and h5py.is_hdf5(path)):
        return Crystals(read_structures(path, subset, limit), d_limit, d_min)
    text = read_text(path)
    if is_cif(text) and any(blocks_with_atoms(read_document(path, text))):
        return Crystals([(path.stem, read_structure(path))], d_limit, d_min)
    return [_measured(crystal, d_min)]


def _measured(crystal: dict[str, Any], d_min: float) -> Subject:
    path = Path(crystal["input"])
    case = load_case(CrystalRequest(**{**crystal, "out": path.parent}), d_min)
    truth = None if crystal["cut"] is None else true_amplitudes(case.problem, case.merged)
    return Subject(path.stem, case.problem, truth, _atoms_beside(crystal, case.problem))


def _atoms_beside(crystal: dict[str, Any], problem: FillProblem) -> Structure | None:
    """The atoms of --cif, where it has any."""
    path = crystal["cif"]
    if path is None or not any(blocks_with_atoms(read_document(path, read_text(path)))):
        return None
    structure = read_structure(path)
    check_same_cell(structure, problem.cell, path)
    return structure


def without_absences(structure: Structure) -> Structure:
    """The same atoms in the primitive group of the same point group that has no translations.

    P2₁ becomes P2, C2/c becomes P2/m: the asymmetric unit of reciprocal space is the same, and
    reflections that were absent no longer are.
    """
    return replace(structure, space_group=_symmorphic(structure.symmetry).name)


def _symmorphic(group: Symmetry) -> Symmetry:
    return symmetry_from_operations([_triplet(r) for r in np.unique(group.rotations, axis=0)])


def _triplet(rotation: NDArray[np.integer]) -> str:
    rows = []
    for row in rotation.tolist():
        terms = [f"{'+' if n > 0 else '-'}{axis}" for n, axis in zip(row, "xyz", strict=True) if n]
        rows.append("".join(terms))
    return ",".join(rows)
