"""Any file with crystals, molecules or reflections, one sample at a time, as numbers to compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gemmi
import h5py
import numpy as np
from numpy.typing import NDArray

from xrdml.crystal import molecule_library, store
from xrdml.crystal.cell import inverse_d_squared, volume
from xrdml.crystal.cif import blocks_with_atoms, read_document, read_model
from xrdml.crystal.files import read_text
from xrdml.crystal.load import is_cif
from xrdml.crystal.structure import Structure
from xrdml.crystal.wilson import fit_wilson, sum_f_squared
from xrdml.data.import_cifs import find_cifs
from xrdml.errors import UserError
from xrdml.evaluate.features import (
    D_MIN,
    Amplitudes,
    amplitudes,
    cell_features,
    displacement_features,
    distance_features,
    intensity_features,
    known_u,
    nearest_distances,
    one_three_distances,
    ordered_atoms,
    radial_curve,
)
from xrdml.infer.case import CrystalRequest, load_case

Array = NDArray[np.float64]

RADIAL_EDGES = np.linspace(0, D_MIN**-2, 17)
"""1/d² in Å⁻², of the shells of the radial curve."""

FEWEST_REFLECTIONS = 50
"""Centric or acentric reflections that a mean over them needs."""

_DALTON = 1.66054
"""Mass of 1 Å³ at 1 g/cm³ is 1 / this, in Da."""

_BOX = 30.0
"""Å added to the size of a molecule: nothing is near its own images."""


@dataclass(frozen=True)
class Sample:
    """One crystal, molecule or measurement.

    Attributes
    ----------
    values
        One number each: the features of :mod:`xrdml.evaluate.features` and some more; NaN where
        there is none.
    distances
        Many numbers each, in Å, Å² or 1: what histograms are made of, {name: (any,)}.
    radial
        :func:`xrdml.evaluate.features.radial_curve` in shells of `RADIAL_EDGES`; None for molecules.
    space_group
        Number in International Tables A; None for molecules.
    """

    values: dict[str, float]
    distances: dict[str, Array] = field(default_factory=dict)
    radial: Array | None = None
    space_group: int | None = None


@dataclass(frozen=True)
class Collection:
    """What a file holds.

    Attributes
    ----------
    kind
        crystals, molecules or reflections.
    total
        Samples in it.
    sample
        Function of the number of a sample; raises UserError for one that cannot be read.
    """

    kind: str
    total: int
    sample: Callable[[int], Sample]


def open_collection(path: Path, crystal: dict[str, Any]) -> Collection:
    """Find out what a file or folder is.

    Parameters
    ----------
    crystal
        Fields of :class:`xrdml.infer.case.CrystalRequest` that were given, for reflections.

    Raises
    ------
    UserError
        Missing, unreadable, or nothing of the kind.
    """
    if path.is_dir():
        files = find_cifs(path)
        return Collection("crystals", len(files), lambda i: from_structure(_first_structure(files[i])))
    if path.is_file() and h5py.is_hdf5(path):
        return _open_hdf5(path)
    text = read_text(path)
    if is_cif(text) and (blocks := list(blocks_with_atoms(read_document(path, text)))):
        return Collection(
            "crystals", len(blocks), lambda i: from_structure(read_model(blocks[i], path).structure)
        )
    measured = from_measurement(path, crystal)
    return Collection("reflections", 1, lambda _: measured)


def _first_structure(path: Path) -> Structure:
    block = next(blocks_with_atoms(read_document(path)), None)
    if block is None:
        raise UserError("holds no atoms with coordinates", path=path)
    return read_model(block, path).structure


def _open_hdf5(path: Path) -> Collection:
    try:
        with h5py.File(path, "r", locking=False) as file:
            kind = file.attrs.get("format")
    except OSError:
        raise UserError("this file is damaged or incomplete; make or copy it again", path=path) from None
    if kind == molecule_library.FORMAT:
        library = molecule_library.MoleculeLibrary(path)
        return Collection("molecules", len(library), lambda i: from_molecule(*library[i][1:]))
    crystals = store.StructureStore(path)
    return Collection("crystals", len(crystals), lambda i: from_structure(crystals[i]))


def from_structure(structure: Structure) -> Sample:
    """All that a structure says, |F| calculated."""
    atoms = ordered_atoms(structure)
    given = amplitudes(structure)
    mass = sum(gemmi.Element(symbol).weight * n for symbol, n in structure.cell_contents().items())
    return Sample(
        {
            **cell_features(structure),
            "density": mass * _DALTON / volume(structure.cell),
            **distance_features(atoms),
            **displacement_features(structure),
            **_of_amplitudes(given),
        },
        {
            "nearest": nearest_distances(atoms.pairs, len(atoms)),
            "bond": atoms.bonds.distance,
            "one_three": one_three_distances(atoms),
            "contact": nearest_distances(atoms.contacts, len(atoms)),
            "u": known_u(structure),
            **_by_centricity(given),
        },
        radial_curve(given, RADIAL_EDGES),
        structure.symmetry.number,
    )


def from_molecule(numbers: NDArray[np.uint8], positions: Array) -> Sample:
    """Distances within one molecule, coordinates (n, 3) in Å."""
    low, high = positions.min(0), positions.max(0)
    a, b, c = (high - low + _BOX).tolist()
    n = len(numbers)
    frac = (positions - low) / (a, b, c)
    alone = Structure((a, b, c, 90.0, 90.0, 90.0), "P 1", numbers, frac, np.zeros(n), np.ones(n))
    atoms = ordered_atoms(alone)
    return Sample(
        {**distance_features(atoms), "non_h_atoms": float((numbers > 1).sum())},
        {
            "nearest": nearest_distances(atoms.pairs, len(atoms)),
            "bond": atoms.bonds.distance,
            "one_three": one_three_distances(atoms),
        },
    )


def from_measurement(path: Path, crystal: dict[str, Any]) -> Sample:
    """Measured reflections to 0.8 Å, on the absolute scale of a Wilson plot; U is its overall one."""
    case = load_case(CrystalRequest(**{**crystal, "input": path, "out": path.parent}))
    m, problem = case.measurement, case.problem
    r = problem.measured
    fit = fit_wilson(r.hkl, r.intensity, m.cell, m.symmetry, m.contents)
    inverse_d2 = inverse_d_squared(m.cell, r.hkl)
    inside = inverse_d2 <= D_MIN**-2
    given = Amplitudes(
        problem.f_obs[inside] / np.sqrt(fit.scale),
        m.symmetry.epsilon(r.hkl[inside]),
        inverse_d2[inside],
        m.symmetry.is_centric(r.hkl[inside]),
        float(np.sqrt(sum_f_squared(fit.contents, np.zeros(1))[0])),
        max(problem.d_limit, D_MIN),
    )
    empty = Structure(m.cell, m.symmetry.name, *_no_atoms())
    values = cell_features(empty) | _of_amplitudes(given) | {"u_median": fit.b_iso / (8 * np.pi**2)}
    if m.contents is not None:
        atoms = sum(n for symbol, n in m.contents.items() if symbol != "H")
        values["volume_per_non_h"] = volume(m.cell) / atoms if atoms else np.nan
    return Sample(values, _by_centricity(given), radial_curve(given, RADIAL_EDGES), m.symmetry.number)


def _no_atoms() -> tuple[NDArray, ...]:
    return np.zeros(0, np.uint8), np.zeros((0, 3)), np.zeros(0), np.zeros(0)


def _by_centricity(given: Amplitudes) -> dict[str, Array]:
    return {"e_acentric": given.e[~given.centric], "e_centric": given.e[given.centric]}


def _of_amplitudes(given: Amplitudes) -> dict[str, float]:
    values = intensity_features(given)
    for name, e in _by_centricity(given).items():
        enough = len(e) >= FEWEST_REFLECTIONS
        values[f"e2_minus_1{name[1:]}"] = float(np.abs(e**2 - 1).mean()) if enough else np.nan
    return values


def spread_over(total: int, limit: int) -> Iterator[int]:
    """At most `limit` numbers from 0 to total − 1, evenly."""
    return iter(np.unique(np.linspace(0, total - 1, min(total, limit)).round().astype(int)).tolist())
