"""Names and families in a dataset file, and the split that they make."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from crystals import random_structure
from xrdml.crystal.labels import Labels
from xrdml.crystal.store import StructureStore, write_store
from xrdml.data.structures import read_structures
from xrdml.errors import UserError

N = 30
FAMILIES = np.arange(N) // 3 * 7 % 11
HELD_OUT = FAMILIES == 6
NAMES = [f"data_{i} µ\n" for i in range(N)]


@pytest.fixture
def path(tmp_path):
    structures = [random_structure(n=3, seed=i) for i in range(N)]
    path = tmp_path / "set.h5"
    write_store(path, structures, {}, labels=Labels(NAMES, FAMILIES, HELD_OUT))
    return path


def test_round_trip(path):
    labels = StructureStore(path).labels
    assert labels is not None
    assert labels.names == NAMES
    assert labels.families.tolist() == FAMILIES.tolist()
    assert labels.held_out.tolist() == HELD_OUT.tolist()


def test_no_family_is_in_both_parts(path):
    parts = {subset: read_structures(path, subset) for subset in ("all", "train", "test")}
    family = dict(zip(NAMES, FAMILIES.tolist(), strict=True))
    train, test = ({family[name] for name, _ in parts[subset]} for subset in ("train", "test"))
    assert train == {1, 2, 3, 7, 8, 9}
    assert test == {0, 5, 6, 10}
    assert len(parts["all"]) == N == len(parts["train"]) + len(parts["test"])
    for i, (name, structure) in enumerate(parts["all"]):
        assert name == NAMES[i]
        np.testing.assert_array_equal(structure.frac, random_structure(n=3, seed=i).frac)


def test_a_file_without_labels(tmp_path):
    """As before: every fifth crystal is test."""
    write_store(tmp_path / "x.h5", [random_structure(n=3, seed=i) for i in range(7)], {})
    assert StructureStore(tmp_path / "x.h5").labels is None
    assert [name for name, _ in read_structures(tmp_path / "x.h5", "test")] == ["x[0]", "x[5]"]


def test_no_crystals(tmp_path):
    none = Labels([], np.zeros(0, np.int64), np.zeros(0, bool))
    write_store(tmp_path / "x.h5", [], {}, labels=none)
    assert StructureStore(tmp_path / "x.h5").labels is not None


def test_numbers_that_do_not_agree(path, tmp_path):
    with pytest.raises(ValueError, match="lengths"):
        Labels(["a"], np.zeros(2, np.int64), np.zeros(1, bool))
    labels = Labels(["a"], np.zeros(1, np.int64), np.zeros(1, bool))
    with pytest.raises(ValueError, match="1 labels for 2"):
        write_store(tmp_path / "x.h5", [random_structure()] * 2, {}, labels=labels)


@pytest.mark.parametrize("name", ["names", "held_out", "family"])
def test_damaged_labels(path, name):
    with h5py.File(path, "r+") as file:
        file[name].resize(5, axis=0)
    with pytest.raises(UserError, match="damaged"):
        StructureStore(path)
