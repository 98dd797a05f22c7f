"""The dataset file: what goes in comes out, and what is broken is told."""

from __future__ import annotations

import os
import pickle

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrdml.crystal.grid import HklGrid
from xrdml.crystal.store import FORMAT_VERSION, StructureStore, TensorLayout, write_store
from xrdml.crystal.structure import Structure
from xrdml.errors import UserError

GRID = HklGrid((-2, 0, 0), (2, 3, 4))
LAYOUT = TensorLayout(GRID, 1.5, 0.8)


def make_structure(seed: int) -> Structure:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    a, b, c = rng.uniform(4, 15, 3).round(4).tolist()
    frac = rng.random((n, 3))
    frac[0] = 1 / 3, 2 / 3, 0.25  # a special position must stay one to the last bit
    return Structure(
        cell=(a, b, c, 90.0, round(rng.uniform(90, 120), 3), 90.0),
        space_group=["P 1 21 1", "C 1 2 1", "P 63/m"][seed % 3],
        numbers=rng.integers(1, 99, n).astype(np.uint8),
        frac=frac,
        u_iso=rng.uniform(0.01, 0.2, n).astype(np.float32).astype(np.float64),
        occupancy=np.where(np.arange(n) % 5 == 4, 0.5, 1.0),
    )


def make_pairs(n: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(7)
    high = rng.random((n, *GRID.shape), dtype=np.float32)
    return [(np.where(h > 0.5, h, 0), h) for h in high]


def assert_equal(a: Structure, b: Structure) -> None:
    assert a.cell == b.cell
    assert a.space_group == b.space_group
    for name in ("numbers", "frac", "u_iso", "occupancy"):
        x, y = getattr(a, name), getattr(b, name)
        assert x.dtype == y.dtype, name
        np.testing.assert_array_equal(x, y, name)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "set.h5"
    write_store(path, map(make_structure, range(20)), {"seed": 3}, (LAYOUT, make_pairs(20)))
    return path


@given(st.lists(st.integers(0, 10**6), max_size=6))
@settings(max_examples=20, deadline=None)
def test_round_trip(tmp_path_factory, seeds):
    path = tmp_path_factory.mktemp("store") / "set.h5"
    write_store(path, map(make_structure, seeds), {"seed": seeds})
    store = StructureStore(path)
    assert len(store) == len(seeds)
    assert store.attributes["seed"] == seeds
    for seed, read in zip(seeds, store, strict=True):
        assert_equal(read, make_structure(seed))


def test_any_order_and_from_the_end(path):
    store = StructureStore(path)
    for i in (13, 0, 19, 7, -1, np.int64(5)):
        assert_equal(store[i], make_structure(int(i) % 20))
    for i in (20, -21):
        with pytest.raises(IndexError):
            store[i]


def test_more_crystals_than_a_block(tmp_path):
    """Blocks are 512 crystals: names of space groups and atoms must go on across them."""
    write_store(tmp_path / "x.h5", map(make_structure, range(1100)), {})
    store = StructureStore(tmp_path / "x.h5")
    for i in (0, 511, 512, 1023, 1024, 1099):
        assert_equal(store[i], make_structure(i))


def test_tensors(path):
    with StructureStore(path) as store:
        assert store.tensor_layout == LAYOUT
        for i, (low, high) in enumerate(make_pairs(20)):
            got_low, got_high = store.tensors(i)
            assert got_low.dtype == got_high.dtype == np.float32
            np.testing.assert_array_equal(got_low, low)
            np.testing.assert_array_equal(got_high, high)


def test_pickle_carries_the_path_alone(path):
    store = StructureStore(path)
    store[0], store.tensors(0)
    data = pickle.dumps(store)
    assert len(data) < 1000
    copy = pickle.loads(data)
    assert_equal(copy[3], store[3])
    np.testing.assert_array_equal(copy.tensors(3)[1], store.tensors(3)[1])


def test_forked_process_reads_tensors(path):
    """DataLoader workers are forked while the parent holds the file open."""
    store = StructureStore(path)
    store.tensors(0)
    expected = make_pairs(20)[11][1]
    child = os.fork()
    if child == 0:
        os._exit(0 if (store.tensors(11)[1] == expected).all() else 1)
    np.testing.assert_array_equal(store.tensors(11)[1], expected)
    assert os.waitpid(child, 0)[1] == 0


def test_equal_input_gives_equal_bytes(path, tmp_path):
    other = tmp_path / "other.h5"
    write_store(other, map(make_structure, range(20)), {"seed": 3}, (LAYOUT, make_pairs(20)))
    assert other.read_bytes() == path.read_bytes()


def test_size_of_large_sets(tmp_path):
    """400 000 crystals of 10–30 atoms must stay near 0.2 GB: 600 bytes each."""
    path = tmp_path / "x.h5"
    write_store(path, (make_structure(i) for i in range(3000)), {})
    atoms = sum(len(make_structure(i)) for i in range(3000))
    assert path.stat().st_size / atoms < 30


def test_failed_writing_keeps_the_previous_file(path):
    before = path.read_bytes()

    def broken():
        yield make_structure(1)
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        write_store(path, broken(), {})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("n_pairs", [19, 21])
def test_every_crystal_has_a_pair_of_tensors(tmp_path, n_pairs):
    structures = map(make_structure, range(20))
    with pytest.raises(ValueError, match=f"{n_pairs} pairs"):
        write_store(tmp_path / "x.h5", structures, {}, (LAYOUT, make_pairs(n_pairs)))


def test_no_tensors(tmp_path):
    write_store(tmp_path / "x.h5", [make_structure(1)], {})
    store = StructureStore(tmp_path / "x.h5")
    assert store.tensor_layout is None
    with pytest.raises(UserError, match="--tensors"):
        store.tensors(0)


def test_missing_empty_and_foreign_files(tmp_path):
    cases = {"missing.h5": "No such file", "empty.h5": "empty", "text.h5": "no HDF5", "dir.h5": "directory"}
    (tmp_path / "empty.h5").touch()
    (tmp_path / "text.h5").write_text("h k l\n" * 100)
    (tmp_path / "dir.h5").mkdir()
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.arange(3)
    for name, text in {**cases, "other.h5": "no crystals"}.items():
        with pytest.raises(UserError, match=text) as caught:
            StructureStore(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "xrdml simulate" in str(caught.value)


def test_newer_format(path):
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = FORMAT_VERSION + 1
    with pytest.raises(UserError, match="update xrdml"):
        StructureStore(path)


@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.99])
def test_truncated(path, part):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(UserError, match=r"damaged|no HDF5"):
        StructureStore(path)


@pytest.mark.parametrize("name", ["cell", "frac", "low"])
def test_missing_part(path, name):
    with h5py.File(path, "r+") as file:
        del file[name]
    with pytest.raises(UserError, match="damaged"):
        StructureStore(path)


def test_values_that_no_crystal_has(path):
    for name, value in {"numbers": 200, "frac": np.nan, "n_atoms": 1000, "space_group": 9}.items():
        with h5py.File(path, "r+") as file:
            before = file[name][0]
            file[name][0] = value
        with pytest.raises(UserError, match="damaged"):
            StructureStore(path)[1]
        with h5py.File(path, "r+") as file:
            file[name][0] = before
    assert_equal(StructureStore(path)[1], make_structure(1))


def test_flipped_bits_are_noticed(path):
    """Every byte of the coordinates' chunk is under a checksum."""
    with h5py.File(path) as file:
        chunk = file["frac"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset + chunk.size // 2] ^= 0x10
    path.write_bytes(data)
    store = StructureStore(path)
    with pytest.raises(UserError, match="damaged"):
        store[0]
