"""Random molecules with a centre of inversion: about one organic crystal in six has its molecule on one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from xrdml.xrd_simulator._fragments import CENTROSYMMETRIC

P_DIRECT = 0.12
"""Halves joined by a bond whose midpoint is the centre."""
LENGTH_TOLERANCE = 0.05
"""Å by which bonds across the centre may change when one half is replaced by the image of the other."""
CLASH = {True: 2.7, False: 1.7}
"""Å: nearest atoms four or more bonds apart, both non-H or not."""

_HALF, _CORE = "_half", "_core"


def joined_twice(rng: np.random.Generator, half: Chem.Mol, site: int) -> Chem.Mol:
    """Two copies of a molecule, bonded at atom `site` to both ends of a middle.

    Every atom remembers, as properties, its number in its half or in the middle.
    """
    direct = rng.random() < P_DIRECT
    core = Chem.Mol() if direct else Chem.MolFromSmiles(CENTROSYMMETRIC[rng.integers(len(CENTROSYMMETRIC))])
    n, m = half.GetNumAtoms(), core.GetNumAtoms()
    out = Chem.RWMol(Chem.CombineMols(Chem.CombineMols(half, half), core))
    for k in range(2 * n):
        out.GetAtomWithIdx(k).SetIntProp(_HALF, k)
    for k in range(m):
        out.GetAtomWithIdx(2 * n + k).SetIntProp(_CORE, k)
    open_ends = [2 * n + atom.GetIdx() for atom in core.GetAtoms() if atom.GetAtomicNum() == 0]
    inner = [out.GetAtomWithIdx(end).GetNeighbors()[0].GetIdx() for end in open_ends]
    bonds = [(site, site + n)] if direct else [(site, inner[0]), (site + n, inner[1])]
    for here, there in bonds:
        out.AddBond(here, there, Chem.BondType.SINGLE)
    for end in (site, site + n):
        atom = out.GetAtomWithIdx(end)
        atom.SetNumExplicitHs(max(atom.GetNumExplicitHs() - 1, 0))
    for end in sorted(open_ends, reverse=True):
        out.RemoveAtom(end)
    return out


def is_joined_twice(mol: Chem.Mol) -> bool:
    """Whether a molecule comes from :func:`joined_twice`."""
    return mol.GetNumAtoms() > 0 and bool(mol.GetAtomWithIdx(0).HasProp(_HALF))


def inverted(mol: Chem.Mol, positions: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Replace one half of a molecule by the image of the other.

    Parameters
    ----------
    mol
        From :func:`joined_twice`, with hydrogen.
    positions
        Coordinates of one conformer in Å, (n, 3).

    Returns
    -------
    Coordinates about the centre of inversion, (n, 3); None where the conformer is of another symmetry or
    its halves would clash.
    """
    best: tuple[float, NDArray[np.float64]] | None = None
    for twin in _twins(mol):
        kept = _one_side(mol, twin)
        heavy = [i for i in kept if mol.GetAtomWithIdx(i).HasProp(_CORE)] or _bridge(mol, twin)
        center = (positions[heavy] + positions[twin[heavy]]).mean(0) / 2
        out = positions - center
        out[twin[kept]] = -out[kept]
        change = max(
            (abs(_length(out, bond) - _length(positions, bond)) for bond in _crossing(mol, kept)), default=0.0
        )
        if best is None or change < best[0]:
            best = change, out
    if best is None or best[0] > LENGTH_TOLERANCE or _clashes(mol, best[1]):
        return None
    return best[1]


def _length(positions: NDArray[np.float64], bond: Chem.Bond) -> float:
    return float(np.linalg.norm(positions[bond.GetBeginAtomIdx()] - positions[bond.GetEndAtomIdx()]))


def _crossing(mol: Chem.Mol, kept: list[int]) -> list[Chem.Bond]:
    side = set(kept)
    return [b for b in mol.GetBonds() if (b.GetBeginAtomIdx() in side) != (b.GetEndAtomIdx() in side)]


def _bridge(mol: Chem.Mol, twin: NDArray[np.int64]) -> list[int]:
    """First end of the bond that joins the halves directly."""
    ends = ((b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds())
    return [next(i for i, j in ends if twin[i] == j)]


def _twins(mol: Chem.Mol) -> list[NDArray[np.int64]]:
    """Pairings of atoms under which the graph may have a centre of inversion, each (n,).

    The halves leave no choice; the middle may have several, of which some belong to mirrors or axes.
    """
    halves = {a.GetIntProp(_HALF): a.GetIdx() for a in mol.GetAtoms() if a.HasProp(_HALF)}
    middle = [a.GetIdx() for a in mol.GetAtoms() if a.HasProp(_CORE)]
    n = len(halves) // 2
    out = []
    for pairing in _core_pairings(mol, tuple(middle)):
        twin = np.arange(mol.GetNumAtoms())
        for k in range(n):
            twin[halves[k]], twin[halves[k + n]] = halves[k + n], halves[k]
        twin[middle] = pairing
        out.append(_with_hydrogen(mol, twin))
    return out


def _core_pairings(mol: Chem.Mol, middle: tuple[int, ...]) -> list[list[int]]:
    """Automorphisms of the middle that exchange its two ends and leave no atom in place."""
    if not middle:
        return [[]]
    place = {atom: k for k, atom in enumerate(middle)}
    ends = [place[i] for i in middle if any(x.HasProp(_HALF) for x in mol.GetAtomWithIdx(i).GetNeighbors())]
    core = _part(mol, middle)
    found = []
    for match in core.GetSubstructMatches(core, uniquify=False, useChirality=False, maxMatches=64):
        involution = all(match[match[k]] == k != match[k] for k in range(len(middle)))
        if involution and match[ends[0]] == ends[-1]:
            found.append([middle[k] for k in match])
    return found


def _part(mol: Chem.Mol, atoms: tuple[int, ...]) -> Chem.Mol:
    """Some atoms of a molecule with the bonds between them, in that order; kinds of atoms and bonds alone."""
    out = Chem.RWMol()
    place = {}
    for i in atoms:
        place[i] = out.AddAtom(Chem.Atom(mol.GetAtomWithIdx(i).GetAtomicNum()))
    for bond in mol.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        if i in place and j in place:
            out.AddBond(place[i], place[j], bond.GetBondType())
    return out


def _with_hydrogen(mol: Chem.Mol, twin: NDArray[np.int64]) -> NDArray[np.int64]:
    """Extend a pairing of the other atoms to their hydrogen atoms, in order."""
    out = twin.copy()
    for atom in mol.GetAtoms():
        if atom.GetAtomicNum() == 1:
            continue
        mine, other = (
            [x.GetIdx() for x in a.GetNeighbors() if x.GetAtomicNum() == 1]
            for a in (atom, mol.GetAtomWithIdx(int(twin[atom.GetIdx()])))
        )
        for i, j in zip(mine, other, strict=True):
            out[i] = j
    return out


def _one_side(mol: Chem.Mol, twin: NDArray[np.int64]) -> list[int]:
    """Atoms of the first half and what of the middle is nearer to it, one of each pair."""
    first = next(a.GetIdx() for a in mol.GetAtoms() if a.HasProp(_HALF))
    kept, seen = [first], {first, int(twin[first])}
    for i in kept:  # grows while it is walked through
        for neighbor in mol.GetAtomWithIdx(i).GetNeighbors():
            j = neighbor.GetIdx()
            if j not in seen:
                kept.append(j)
                seen |= {j, int(twin[j])}
    return kept


def _clashes(mol: Chem.Mol, positions: NDArray[np.float64]) -> bool:
    far = Chem.GetDistanceMatrix(mol) > 3
    heavy = np.array([a.GetAtomicNum() > 1 for a in mol.GetAtoms()])
    limit = np.where(heavy[:, None] & heavy, CLASH[True], CLASH[False])
    distance = np.linalg.norm(positions[:, None] - positions, axis=2)
    return bool((far & (distance < limit)).any())
