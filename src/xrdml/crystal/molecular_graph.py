"""A name for the connectivity of a molecule that does not depend on the order of its atoms."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import blake2b

import gemmi

Bond = tuple[int, int]

_SOLVENTS = """
C1CCCCC1 C1CCCCC1C C1CCCCC1CC C1C(C)CCCC1C C1CCC(C)CC1C C1CC(C)CCC1C C1CC(C)CC(C)C1C C1CCCCC1Cl C1CCCCC1F
C1C(Cl)C(Cl)CCC1 C1CCCCC1N(O)O C1CCCCN1 C1OCCOC1 O1CCCC1C C1CCCC(C)N1 C1CCCCC1C(F)(F)F
CCCCCC CCCCCCC CC(O)OCC CC(C)OC(C)C CCCCOCCCC CC(O)CC(C)C CN(C)C(C)O CN1CCCC1O CCOCCO COCCOC OCCCCC CCCCCO
FP(F)(F)(F)(F)F F[Sb](F)(F)(F)(F)F F[As](F)(F)(F)(F)F F[Si](F)(F)(F)(F)F OS(O)(O)C(F)(F)F OC(O)C(F)(F)F
CC1CCC(CC1)S(O)(O)O CCN(CC)CC CCCN(CCC)CCC CCN(CC)(CC)CC CCCCN(CCCC)(CCCC)CCCC CC(C)NC(C)C CC(C)N(CC)C(C)C
C1CCCCC1[B](C2CCCCC2)(C3CCCCC3)C4CCCCC4 NC(N)N
"""
"""Solvents and counter-ions of more than `SMALL` non-H atoms, without H, charges and kinds of bonds."""

SMALL = 5
"""Non-H atoms of water, methanol, DMSO, DMF, perchlorate, tetrafluoroborate and all others like them."""


def graph_name(numbers: Sequence[int], bonds: Sequence[Bond]) -> str:
    """16 hexadecimal digits, the same for the same graph in any order of atoms and bonds.

    Each atom begins with its element and the elements at every number of bonds from it; then it
    takes in the names of its neighbours until nothing new is told apart (Weisfeiler & Leman 1968).
    Different molecules of chemistry get different names but for constructed exceptions.

    Parameters
    ----------
    numbers
        Atomic numbers, n of them; leave H out.
    bonds
        Pairs of rows, each pair once.
    """
    neighbors: list[list[int]] = [[] for _ in numbers]
    for i, j in bonds:
        neighbors[i].append(j)
        neighbors[j].append(i)
    labels = [_digest(numbers[i], _elements_by_distance(i, numbers, neighbors)) for i in range(len(numbers))]
    kinds = 0
    while len(set(labels)) > kinds:
        kinds = len(set(labels))
        labels = [
            _digest(own, sorted(labels[j] for j in near)) for own, near in zip(labels, neighbors, strict=True)
        ]
    return _digest(sorted(labels), len(bonds))


def is_solvent(name: str, n_atoms: int) -> bool:
    """Whether a molecule of that name and number of non-H atoms mostly accompanies others."""
    return n_atoms <= SMALL or name in _solvent_names()


@cache
def _solvent_names() -> frozenset[str]:
    return frozenset(graph_name(*parse_skeleton(text)) for text in _SOLVENTS.split())


def parse_skeleton(text: str) -> tuple[list[int], list[Bond]]:
    """Atomic numbers and bonds of a SMILES without H, charges and kinds of bonds, e.g. ``C1CCCCC1C``."""
    numbers: list[int] = []
    bonds: list[Bond] = []
    branches: list[int] = []
    rings: dict[str, int] = {}
    last, i = -1, 0
    while i < len(text):
        letter = text[i]
        if letter == "(":
            branches.append(last)
        elif letter == ")":
            last = branches.pop()
        elif letter.isdigit():
            if letter in rings:
                bonds.append((rings.pop(letter), last))
            else:
                rings[letter] = last
        else:
            end = text.index("]", i) if letter == "[" else i + (text[i : i + 2] in ("Cl", "Br"))
            numbers.append(gemmi.Element(text[i : end + 1].strip("[]")).atomic_number)
            if last >= 0:
                bonds.append((last, len(numbers) - 1))
            last, i = len(numbers) - 1, end
        i += 1
    return numbers, bonds


def _elements_by_distance(
    start: int, numbers: Sequence[int], neighbors: list[list[int]]
) -> list[tuple[int, int]]:
    """(bonds away, atomic number) of every atom that bonds lead to, sorted."""
    away = {start: 0}
    queue = [start]
    for i in queue:  # grows while it is walked through
        for j in neighbors[i]:
            if j not in away:
                away[j] = away[i] + 1
                queue.append(j)
    return sorted((distance, numbers[j]) for j, distance in away.items())


def _digest(*parts: object) -> str:
    return blake2b(repr(parts).encode(), digest_size=8).hexdigest()
