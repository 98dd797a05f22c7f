"""Which crystals hold the same molecule, and which are the same crystal measured again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import gemmi
import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.cif import Model
from xrdml.crystal.molecular_graph import graph_name, is_solvent
from xrdml.crystal.periodic import CellAtoms

OVERLAP = 0.8
"""Å; of two atoms nearer than this one at most is there at a time."""

CELL_TOLERANCE = 0.03, 3.0
"""Lengths (share) and angles (°) of reduced cells between 90 K and room temperature differ by less."""

CONTENT_TOLERANCE = 0.05
"""Non-H atoms in the cell (share of all) that may differ between two models of a crystal."""

LONGEST_BOND = 4.5
"""Å; no two covalent radii with the tolerance reach farther."""

_LARGEST_FAMILY = 2**31


@dataclass(frozen=True)
class Fingerprint:
    """What two crystals are compared by.

    Attributes
    ----------
    molecules
        Names of the connectivities (:func:`xrdml.crystal.molecular_graph.graph_name`), sorted; without
        solvents and counter-ions where a larger molecule is there.
    endless
        Whether some bonds go on for ever: a chain, layer or network.
    group
        Number of the space group.
    niggli
        Reduced cell: a, b, c in Å; α, β, γ in degrees.
    contents
        Atoms in the cell without H, {symbol: count}.
    """

    molecules: tuple[str, ...]
    endless: bool
    group: int
    niggli: tuple[float, ...]
    contents: dict[str, float]

    def is_same_crystal(self, other: Fingerprint) -> bool:
        """Same group, reduced cell and contents, as after a second measurement."""
        if self.group != other.group or set(self.contents) != set(other.contents):
            return False
        share, degrees = CELL_TOLERANCE
        a, b = np.array(self.niggli), np.array(other.niggli)
        total = sum(self.contents.values())
        different = sum(abs(n - other.contents[symbol]) for symbol, n in self.contents.items())
        return bool(
            (np.abs(a[:3] / b[:3] - 1) < share).all()
            and (np.abs(a[3:] - b[3:]) < degrees).all()
            and different <= CONTENT_TOLERANCE * total
        )


def fingerprint(model: Model) -> Fingerprint:
    """Of one crystal; of disorder the major part counts."""
    structure = model.structure
    atoms = CellAtoms(structure, major_part(model), LONGEST_BOND, model.part)
    small = gemmi.SmallStructure()
    small.cell.set(*structure.cell)
    gruber = gemmi.GruberVector(small.cell, structure.symmetry.centring)
    gruber.niggli_reduce(epsilon=1e-3)
    contents = {symbol: n for symbol, n in structure.cell_contents().items() if symbol != "H"}
    return Fingerprint(
        _defining(list(_molecules(atoms))),
        bool(atoms.molecules.endless.any()),
        structure.symmetry.number,
        tuple(gruber.cell_parameters()),
        contents,
    )


def major_part(model: Model) -> NDArray[np.bool_]:
    """Non-H atoms without the minor parts of a disorder, (n,)."""
    s = model.structure
    keep = s.numbers > 1
    groups: dict[tuple[str, bool], set[int]] = defaultdict(set)
    for assembly, part in zip(model.assembly, model.part.tolist(), strict=True):
        if part:
            groups[assembly, part < 0].add(part)
    assembly_of = np.array(model.assembly, dtype=object)
    for (assembly, negative), parts in groups.items():
        inside = (assembly_of == assembly) & ((model.part < 0) == negative)
        share = {part: s.occupancy[inside & (model.part == part)].mean() for part in parts}
        largest = max(sorted(parts, key=abs), key=lambda part: share[part])
        for part in parts:
            if part != largest and share[part] <= 0.5:
                keep &= ~(inside & (model.part == part))
    # Disorder without groups: what overlaps with an atom of higher occupancy goes.
    atoms = CellAtoms(s, keep, OVERLAP)
    first, second = atoms.atom[atoms.pairs.first], atoms.atom[atoms.pairs.second]
    near = {(i, j) for i, j in zip(first.tolist(), second.tolist(), strict=True) if i != j}
    rank = {i: k for k, i in enumerate(np.argsort(-s.occupancy, kind="stable").tolist())}
    for i, j in sorted(near, key=lambda pair: rank[pair[0]]):
        if keep[i] and rank[i] < rank[j]:
            keep[j] = False
    return keep


def _molecules(atoms: CellAtoms) -> Iterator[tuple[str, int]]:
    """Name and number of atoms of each molecule, symmetry images once."""
    number, bonds = atoms.molecules.number, atoms.bonds
    seen = set()
    for n in range(len(atoms.molecules.endless)):
        rows = np.flatnonzero(number == n)
        source = frozenset(atoms.atom[rows].tolist())
        if source in seen:
            continue
        seen.add(source)
        own = (number[bonds.first] == n) & (bonds.first < bonds.second)
        place = {row: k for k, row in enumerate(rows.tolist())}
        pairs = zip(bonds.first[own].tolist(), bonds.second[own].tolist(), strict=True)
        edges = {(place[i], place[j]) for i, j in pairs}
        yield graph_name(atoms.numbers[rows].tolist(), sorted(edges)), len(rows)


def _defining(molecules: list[tuple[str, int]]) -> tuple[str, ...]:
    """Names of those that are no mere company."""
    largest = max((n for _, n in molecules), default=0)
    return tuple(sorted({name for name, n in molecules if n == largest or not is_solvent(name, n)}))


def families(fingerprints: Sequence[Fingerprint]) -> NDArray[np.int64]:
    """A number for each crystal, (n,), equal where molecules are shared, over any number of steps.

    The number follows from the molecules themselves: more crystals change it only where they join
    families that were apart.
    """
    group = list(range(len(fingerprints)))

    def root(i: int) -> int:
        while group[i] != i:
            group[i] = group[group[i]]
            i = group[i]
        return i

    first: dict[str, int] = {}
    for i, found in enumerate(fingerprints):
        for name in found.molecules:
            group[root(i)] = root(first.setdefault(name, i))
    for i, j in same_crystals(fingerprints):
        group[root(i)] = root(j)
    least: dict[int, str] = {}
    for i, found in enumerate(fingerprints):
        for name in found.molecules:
            least[root(i)] = min(least.get(root(i), name), name)
    return np.array([int(least.get(root(i), "0"), 16) % _LARGEST_FAMILY for i in range(len(group))], np.int64)


def same_crystals(fingerprints: Sequence[Fingerprint]) -> Iterator[tuple[int, int]]:
    """Pairs i < j of one crystal."""
    alike: dict[tuple, list[int]] = defaultdict(list)
    for i, found in enumerate(fingerprints):
        # Every reduced a within the tolerance of another falls into its bin or the next.
        step = int(np.log(found.niggli[0]) / CELL_TOLERANCE[0])
        for bin_ in (step, step + 1):
            alike[found.group, *sorted(found.contents), bin_].append(i)
    pairs = {pair for rows in alike.values() for pair in combinations(rows, 2)}
    return (pair for pair in sorted(pairs) if fingerprints[pair[0]].is_same_crystal(fingerprints[pair[1]]))
