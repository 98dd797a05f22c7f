"""A fast share of the fault campaign (`make reliability`): damaged files are read or refused, and no more."""

from __future__ import annotations

import random
import time

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fuzzing
from crystals import complaint
from xrdml.crystal.molecule_library import MoleculeLibrary
from xrdml.crystal.store import StructureStore

READERS = fuzzing.readers()
FEW = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize("name", READERS)
def test_damaged_files(name, tmp_path):
    rng = random.Random(name)
    seeds = READERS[name].seeds()
    good = [fuzzing.refuses_or_reads(READERS[name], seed, tmp_path) for seed in seeds]
    assert any(good), "what is damaged was good"
    started = time.process_time()
    for _ in range(120):
        fuzzing.refuses_or_reads(READERS[name], fuzzing.mutated(seeds, rng), tmp_path)
    assert time.process_time() - started < 20


@pytest.mark.parametrize("name", [n for n in READERS if "HDF5" not in n])
@FEW
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_any_text(name, text, tmp_path):
    fuzzing.refuses_or_reads(READERS[name], text.encode(), tmp_path)


NUMBER = st.one_of(
    st.integers(-(10**12), 10**12), st.floats(), st.sampled_from(["?", ".", "1(2)", "1e999", "--1", "1.2.3"])
)


@FEW
@given(rows=st.lists(st.tuples(NUMBER, NUMBER, NUMBER, NUMBER, NUMBER), max_size=12))
def test_reflections_of_any_numbers(rows, tmp_path):
    free = "\n".join(" ".join(map(str, row)) for row in rows)
    fuzzing.refuses_or_reads(READERS["HKLF 4"], free.encode(), tmp_path)
    loop = "data_x\nloop_\n_refln_index_h\n_refln_index_k\n_refln_index_l\n_refln_F_squared_meas\n"
    cif = f"{loop}_refln_F_squared_sigma\n{free}\n"
    fuzzing.refuses_or_reads(READERS["CIF reflections"], cif.encode(), tmp_path)


@FEW
@given(
    numbers=st.lists(NUMBER, min_size=7, max_size=7),
    latt=st.integers(-9, 9),
    symm=st.text("xyz-+/1234,. ", max_size=20),
    atom=st.lists(NUMBER, min_size=5, max_size=6),
)
def test_instructions_of_any_numbers(numbers, latt, symm, atom, tmp_path):
    cell, words = " ".join(map(str, numbers)), " ".join(map(str, atom))
    head = f"TITL x\nCELL {cell}\nZERR 4\nLATT {latt}\nSYMM {symm}\nSFAC C O\nUNIT 4 4\n"
    text = f"{head}C1 1 {words}\nHKLF 4\nEND\n"
    for name in ("INS", "RES with atoms"):
        fuzzing.refuses_or_reads(READERS[name], text.encode(), tmp_path)


@pytest.mark.parametrize(
    ("write", "read"),
    [(fuzzing._write_structures, StructureStore), (fuzzing._write_library, MoleculeLibrary)],
)
def test_a_shape_that_asks_for_terabytes(write, read, tmp_path):
    """HDF5 gives fill values for what was never written: the shape alone would take all memory."""
    path = tmp_path / "x.h5"
    write(path)
    with h5py.File(path, "a") as file:
        name = "numbers"
        del file[name]
        file.create_dataset(name, shape=(2**40,), dtype=np.uint8, chunks=(2**16,))
    assert "damaged" in complaint(read, path)
