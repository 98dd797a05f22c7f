"""Random molecules, assembled from building blocks and embedded in space by RDKit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from xrdml.xrd_simulator import _fragments as blocks
from xrdml.xrd_simulator._centrosymmetric import inverted, is_joined_twice, joined_twice

N_ATOMS = (5, 35)
"""Fewest and most non-H atoms."""
N_MEDIAN, N_SPREAD = 18.0, 0.42
"""Log-normal distribution of the number of non-H atoms, cut at `N_ATOMS`."""
P_HALOGEN, P_SULFUR_PHOSPHORUS = 0.30, 0.10
"""Molecules that may take halides, and sulfur or phosphorus, besides those in rings."""
P_TERMINAL, P_LINKER = 0.30, 0.35
P_CENTROSYMMETRIC = 0.20
"""Molecules with a centre of inversion."""
P_WITHOUT_ACCEPTOR = 0.4
"""Share kept of the molecules without C=O, N=O, S=O or C≡N: three in four published crystals hold one."""
SHRINKAGE = 0.992
"""Bonds as X-rays see them / bonds of the force field: libration shortens, and MMFF94 is a little long.
Of the 40 commonest kinds of bonds in 183 published crystals."""
X_H = {6: 0.96, 7: 0.88, 8: 0.84}
"""X–H distances in Å as X-rays see them (SHELXL's riding values), not those between nuclei."""
MAX_ATTEMPTS = 100
FORCE_FIELD_STEPS = 50

_CAPS = {6: (0, 0, 6), 7: (0, 0, 6), 8: (0, 6), 14: (6,), 15: (6, 8), 16: (6, 6, 7)}
_CAPS_CARBONYL = (0, 6, 6, 8, 8, 7)
_OXYGEN, _NITROGEN, _PHOSPHORUS, _SULFUR = 8, 7, 15, 16


@dataclass(frozen=True)
class Molecule:
    """One molecule with its hydrogen atoms.

    Attributes
    ----------
    smiles
        Canonical, without stereochemistry: equal for equal constitution.
    numbers
        Atomic numbers, (n,) uint8, hydrogen last.
    positions
        Cartesian coordinates in Å of each conformer about its centre, (k, n, 3).
    """

    smiles: str
    numbers: NDArray[np.uint8]
    positions: NDArray[np.float64]


def sample(seed: int, i: int, conformers: int = 1) -> Molecule:
    """Molecule i: a pure function of its arguments.

    Parameters
    ----------
    conformers
        How many to embed; fewer come back only where ETKDG finds fewer.

    Raises
    ------
    RuntimeError
        No molecule in a hundred attempts, which no seed is known to do.
    """
    rng = np.random.default_rng((seed, i))
    with _quiet_rdkit():
        for _ in range(MAX_ATTEMPTS):
            graph = symmetric_graph(rng) if rng.random() < P_CENTROSYMMETRIC else random_graph(rng)
            embedding_seed = int(rng.integers(2**31 - 1))
            molecule = None if graph is None else _embed(graph, conformers, embedding_seed)
            if molecule is not None:
                return molecule
    raise RuntimeError(f"molecule {i} of seed {seed}: none in {MAX_ATTEMPTS} attempts")


def solvent(smiles: str) -> Molecule:
    """A small molecule in one conformer."""
    molecule = _embed(Chem.MolFromSmiles(smiles), 1, 0)
    if molecule is None:
        raise ValueError(f"{smiles} cannot be embedded")
    return molecule


@contextmanager
def _quiet_rdkit() -> Iterator[None]:
    """RDKit prints a line for every graph that it refuses, which is how bad attempts are found."""
    with rdBase.BlockLogs():
        yield


@cache
def _fragment(smiles: str) -> tuple[Chem.Mol, int]:
    """A building block and its number of non-H atoms."""
    mol = Chem.MolFromSmiles(smiles)
    return mol, sum(atom.GetAtomicNum() > 0 for atom in mol.GetAtoms())


@cache
def _sizes(table: tuple[str, ...]) -> NDArray[np.int64]:
    return np.array([_fragment(smiles)[1] for smiles in table])


def _draw(rng: np.random.Generator, table: tuple[str, ...], room: int) -> tuple[Chem.Mol, int] | None:
    fitting = np.flatnonzero(_sizes(table) <= room)
    return _fragment(table[rng.choice(fitting)]) if len(fitting) else None


def random_graph(rng: np.random.Generator) -> Chem.Mol | None:
    """A constitution without hydrogen atoms, or None where an attempt came to nothing."""
    return _checked(rng, _grown(rng, _draw_size(rng)))


def symmetric_graph(rng: np.random.Generator) -> Chem.Mol | None:
    """The same of two equal halves about a middle, either of which may be missing a bond to the other."""
    half = _grown(rng, max(1, _draw_size(rng) // 2 - int(rng.integers(4))))
    half = None if half is None else _sanitized(half)
    site = None if half is None else _choose_site(rng, half)
    return None if half is None or site is None else _checked(rng, joined_twice(rng, half, site))


def _draw_size(rng: np.random.Generator) -> int:
    return int(np.clip(round(rng.lognormal(np.log(N_MEDIAN), N_SPREAD)), *N_ATOMS))


def _checked(rng: np.random.Generator, mol: Chem.Mol | None) -> Chem.Mol | None:
    whole = None if mol is None else _sanitized(mol)
    if whole is None or not N_ATOMS[0] <= whole.GetNumAtoms() <= N_ATOMS[1]:
        return None
    keep = rng.random() < P_WITHOUT_ACCEPTOR or any(whole.HasSubstructMatch(x) for x in _acceptors())
    return whole if keep else None


@cache
def _acceptors() -> tuple[Chem.Mol, ...]:
    return tuple(Chem.MolFromSmarts(x) for x in ("[#6,#7,#15,#16]=O", "C#N"))


def _grown(rng: np.random.Generator, room: int) -> Chem.Mol | None:
    """Building blocks joined to about `room` non-H atoms, and capped."""
    halogen, sulfur = rng.random() < P_HALOGEN, rng.random() < P_SULFUR_PHOSPHORUS
    drawn = _draw(rng, _core(rng), room) or _draw(rng, blocks.TERMINAL, room)
    if drawn is None:
        return None
    mol, size = drawn
    room -= size
    while room > 0:
        drawn = _draw(rng, _next_table(rng, room, halogen, sulfur), room)
        if drawn is None:
            continue
        fragment, size = drawn
        joined = _attach(rng, mol, fragment)
        if joined is None:
            break
        mol = joined
        room -= size
    # Blocks that do not join leave less than was drawn, and caps come on top of it.
    return _capped(rng, mol)


def _core(rng: np.random.Generator) -> tuple[str, ...]:
    weights, tables = zip(*blocks.CORES, strict=True)
    return tables[rng.choice(len(weights), p=weights)]


def _next_table(rng: np.random.Generator, room: int, halogen: bool, sulfur: bool) -> tuple[str, ...]:
    """Which kind of building block comes next."""
    kind, special = rng.random(2)
    if kind < P_TERMINAL or room < 4:
        if halogen and special < 0.6:
            return blocks.HALIDE
        return blocks.SULFUR_PHOSPHORUS_TERMINAL if sulfur and special > 0.7 else blocks.TERMINAL
    if kind < P_TERMINAL + P_LINKER:
        return blocks.SULFUR_PHOSPHORUS_LINKER if sulfur and special < 0.6 else blocks.LINKER
    return _core(rng)


def _attach(rng: np.random.Generator, mol: Chem.Mol, fragment: Chem.Mol) -> Chem.Mol | None:
    """Join a fragment by one single bond, or None where no allowed pair of sites was found."""
    n = mol.GetNumAtoms()
    for _ in range(10):
        here, there = _choose_site(rng, mol), _choose_site(rng, fragment)
        if here is None or there is None:
            return None
        joined = Chem.RWMol(Chem.CombineMols(mol, fragment))
        ends = [_bonding_atom(joined, index) for index in (here, there + n)]
        if not _may_bond(rng, *ends):
            continue
        for end in ends:
            _take_hydrogen(end)
        joined.AddBond(ends[0].GetIdx(), ends[1].GetIdx(), Chem.BondType.SINGLE)
        for index in sorted((here, there + n), reverse=True):
            if joined.GetAtomWithIdx(index).GetAtomicNum() == 0:
                joined.RemoveAtom(index)
        sane = _sanitized(joined)
        if sane is not None:
            return sane
    return None


def _choose_site(rng: np.random.Generator, mol: Chem.Mol) -> int | None:
    """A dummy atom where there is one, else an atom whose hydrogen may be replaced."""
    dummies = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() == 0]
    if dummies:
        return int(rng.choice(dummies))
    sites = [
        atom
        for atom in mol.GetAtoms()
        if atom.GetAtomicNum() in (6, 7, 8, 16) and atom.GetTotalNumHs() and not atom.GetFormalCharge()
    ]
    if not sites:
        return None
    # Acids, alcohols and amides are found whole in crystals more often than substituted.
    weight = np.array([1.0 if atom.GetAtomicNum() == 6 else 0.25 for atom in sites])
    return sites[rng.choice(len(sites), p=weight / weight.sum())].GetIdx()


def _bonding_atom(mol: Chem.Mol, site: int) -> Chem.Atom:
    atom = mol.GetAtomWithIdx(site)
    return atom if atom.GetAtomicNum() else atom.GetNeighbors()[0]


def _may_bond(rng: np.random.Generator, a: Chem.Atom, b: Chem.Atom) -> bool:
    """Bonds between hetero atoms are those of S and P acids alone; few carbons bear two hetero atoms."""
    hetero = [atom for atom in (a, b) if atom.GetAtomicNum() != 6]
    if len(hetero) == 2:
        acid = [atom.GetAtomicNum() == _PHOSPHORUS or atom.GetDegree() >= 4 for atom in hetero]
        light = [atom.GetAtomicNum() in (_NITROGEN, _OXYGEN) for atom in hetero]
        return (acid[0] and light[1]) or (acid[1] and light[0])
    if len(hetero) == 1:
        carbon = a if hetero[0].GetIdx() == b.GetIdx() else b
        crowded = not carbon.GetIsAromatic() and any(n.GetAtomicNum() > 6 for n in carbon.GetNeighbors())
        return not crowded or _is_carbonyl(carbon) or rng.random() < 0.15
    return True


def _is_carbonyl(atom: Chem.Atom) -> bool:
    return any(
        bond.GetBondType() == Chem.BondType.DOUBLE and bond.GetOtherAtom(atom).GetAtomicNum() in (8, 16)
        for bond in atom.GetBonds()
    )


def _take_hydrogen(atom: Chem.Atom) -> None:
    """RDKit counts the H of [nH] apart from the others."""
    if atom.GetNumExplicitHs():
        atom.SetNumExplicitHs(atom.GetNumExplicitHs() - 1)


def _capped(rng: np.random.Generator, mol: Chem.Mol) -> Chem.RWMol:
    """Close what is still open by H, CH₃, OH or NH₂."""
    out = Chem.RWMol(mol)
    dummies = [atom for atom in out.GetAtoms() if atom.GetAtomicNum() == 0]
    for dummy in sorted(dummies, key=lambda atom: atom.GetIdx(), reverse=True):
        neighbor = dummy.GetNeighbors()[0]
        caps = _CAPS_CARBONYL if _is_carbonyl(neighbor) else _CAPS[neighbor.GetAtomicNum()]
        cap = int(rng.choice(caps))
        if cap:
            dummy.SetAtomicNum(cap)
            continue
        if neighbor.GetIsAromatic() and neighbor.GetAtomicNum() == _NITROGEN:
            neighbor.SetNumExplicitHs(1)
        out.RemoveAtom(dummy.GetIdx())
    return out


def _sanitized(mol: Chem.Mol) -> Chem.Mol | None:
    """The molecule with valences and aromaticity checked, or None where it is impossible."""
    out = Chem.Mol(mol)
    try:
        Chem.SanitizeMol(out)
    except (Chem.AtomValenceException, Chem.KekulizeException):
        return None
    return out


def _embed(graph: Chem.Mol, conformers: int, seed: int) -> Molecule | None:
    mol = Chem.AddHs(graph)
    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed = seed  # type: ignore[assignment]  # RDKit's stubs are wrong here
    parameters.maxIterations = 20  # type: ignore[assignment]
    if not rdDistGeom.EmbedMultipleConfs(mol, conformers, parameters):
        return None
    if not rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
        return None
    rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(mol, numThreads=1, maxIters=FORCE_FIELD_STEPS)
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()], dtype=np.uint8)
    found = [conformer.GetPositions() * SHRINKAGE for conformer in mol.GetConformers()]
    symmetric = is_joined_twice(mol)
    if symmetric:
        found = [x for x in (inverted(mol, x) for x in found) if x is not None]
    if not found:
        return None
    positions = np.stack(found)
    for bond in mol.GetBonds():
        ends = sorted((bond.GetBeginAtom(), bond.GetEndAtom()), key=lambda atom: atom.GetAtomicNum())
        if ends[0].GetAtomicNum() == 1 and ends[1].GetAtomicNum() in X_H:
            h, x = ends[0].GetIdx(), ends[1].GetIdx()
            to_h = positions[:, h] - positions[:, x]
            length = np.linalg.norm(to_h, axis=1, keepdims=True)
            positions[:, h] = positions[:, x] + to_h * X_H[ends[1].GetAtomicNum()] / length
    order = np.argsort(numbers == 1, kind="stable")
    numbers, positions = numbers[order], positions[:, order]
    center = 0.0 if symmetric else positions[:, numbers > 1].mean(1, keepdims=True)
    return Molecule(Chem.MolToSmiles(graph, isomericSmiles=False), numbers, positions - center)
