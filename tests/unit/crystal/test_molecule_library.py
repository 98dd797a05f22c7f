"""The molecule library: round trip, compactness, and what it says about files that are none."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pytest

from crystals import complaint
from xrdml.crystal.molecule_library import QUANTUM, MoleculeLibrary, write_library


def some_molecules(n=50, seed=0):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 60, n)
    return [
        (f"C{i}O", rng.choice(np.array([1, 6, 8, 35], np.uint8), k), rng.uniform(-15, 15, (k, 3)))
        for i, k in enumerate(sizes)
    ]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "molecules.h5"
    write_library(path, some_molecules(), {"seed": 3, "n_solvents": 2})
    return path


def test_round_trip_to_the_quantum(path):
    library = MoleculeLibrary(path)
    molecules = some_molecules()
    assert len(library) == len(molecules)
    assert library.n_solvents == 2
    for i, (smiles, numbers, positions) in enumerate(molecules):
        got_smiles, got_numbers, got_positions = library[i]
        assert got_smiles == smiles
        np.testing.assert_array_equal(got_numbers, numbers)
        np.testing.assert_allclose(got_positions, positions, atol=QUANTUM / 2 + 1e-9)


def test_equal_molecules_give_equal_bytes(path, tmp_path):
    other = tmp_path / "other.h5"
    write_library(other, iter(some_molecules()), {"n_solvents": 2, "seed": 3})
    assert other.read_bytes() == path.read_bytes()


def test_numbers_outside_are_refused(path):
    library = MoleculeLibrary(path)
    for i in (-1, len(library)):
        with pytest.raises(IndexError):
            library[i]


def test_pickle_reopens(path):
    library = pickle.loads(pickle.dumps(MoleculeLibrary(path)))
    np.testing.assert_array_equal(library[5][1], some_molecules()[5][1])


def test_missing_file(tmp_path):
    assert "no such file" in complaint(MoleculeLibrary, tmp_path / "none.h5")


def test_other_files(tmp_path):
    text = tmp_path / "a.h5"
    text.write_text("no HDF5")
    assert "no HDF5 file" in complaint(MoleculeLibrary, text)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["x"] = [1]
    assert "no molecules" in complaint(MoleculeLibrary, tmp_path / "b.h5")


def test_newer_format(path):
    with h5py.File(path, "a") as file:
        file.attrs["format_version"] = 99
    assert "format 99 is newer" in complaint(MoleculeLibrary, path)


def test_every_truncation_is_noticed(path):
    data = path.read_bytes()
    for share in (0.2, 0.5, 0.8, 0.999):
        path.write_bytes(data[: int(len(data) * share)])
        assert "damaged" in complaint(MoleculeLibrary, path) or "no HDF5" in complaint(MoleculeLibrary, path)


def test_a_flipped_byte_of_data_is_noticed(path):
    data = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        offset = file["steps"].id.get_chunk_info(0).byte_offset
    data[offset + 100] ^= 0xFF
    path.write_bytes(bytes(data))
    assert "damaged" in complaint(MoleculeLibrary, path)
