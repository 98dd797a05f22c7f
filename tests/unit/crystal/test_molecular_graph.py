"""Names of connectivities: what must be equal is, and what must differ does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrdml.crystal.molecular_graph import graph_name, is_solvent, parse_skeleton


def name(text: str) -> str:
    return graph_name(*parse_skeleton(text))


@given(st.integers(1, 25), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_order_does_not_matter(n, seed):
    rng = np.random.default_rng(seed)
    numbers = rng.choice([6, 7, 8], n)
    pairs = {tuple(sorted(rng.choice(n, 2, replace=False).tolist())) for _ in range(n)} if n > 1 else set()
    place = rng.permutation(n)
    moved = [(int(place[j]), int(place[i])) for i, j in pairs]
    rng.shuffle(moved)
    shuffled = np.zeros(n, int)
    shuffled[place] = numbers
    assert graph_name(shuffled.tolist(), moved) == graph_name(numbers.tolist(), sorted(pairs))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CCCC", "CC(C)C"),
        ("CCO", "COC"),
        ("C1CCCCC1", "CCCCCC"),
        ("C1CCCC2C1CCCC2", "C1CCCC1C1CCCC1"),  # decalin and bicyclopentyl: the same without distances
        ("C1CCCCC1C", "C1CCCCC1N"),
        ("CC1CCCCC1C", "CC1CCC(C)CC1"),
        ("CC", "C"),
    ],
)
def test_different_molecules(one, other):
    assert name(one) != name(other)


def test_skeletons():
    numbers, bonds = parse_skeleton("C1CC1Cl")
    assert numbers == [6, 6, 6, 17]
    assert sorted(bonds) == [(0, 1), (0, 2), (1, 2), (2, 3)]
    assert parse_skeleton("F[Sb](F)Br") == ([9, 51, 9, 35], [(0, 1), (1, 2), (1, 3)])


def test_solvents():
    toluene, phenol = "CC1CCCCC1", "OC1CCCCC1"
    assert is_solvent(name(toluene), 7)
    assert not is_solvent(name(phenol), 7)
    assert is_solvent(name("O"), 1)
    assert is_solvent(name("FP(F)(F)(F)(F)F"), 7)
