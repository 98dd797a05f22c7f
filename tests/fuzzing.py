"""Every reader, and damaged files to give it."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import random
import re
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xrdml.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "data_samples"

# What parsers trip over: numbers at the edges, words of the formats, what ends a text early.
WORDS = [
    b"nan", b"inf", b"-inf", b"1e999", b"-1e-999", b"0", b"-0", b"99999999999999999999", b"1.2(3)", b"(",
    b"?", b".", b"'", b'"', b";", b"\n;\n", b"\n", b"\r\n", b"\r", b"\t", b"\0", b"\x1a", b"\xff\xfe",
    "Å−½".encode(), b"#", b"=", b" =\n", b"!", b"+", b"data_", b"data_x\n", b"loop_", b"\nloop_\n", b"save_",
    b"_cell_length_a", b"_refln_index_h", b"_shelx_hkl_file", b"_atom_site_fract_x", b"HKLF 4 1", b"HKLF 5",
    b"LATT -7", b"LATT 9", b"SYMM", b"SYMM x,y", b"SYMM 1/0,y,z", b"CELL", b"CELL 0 0 0 0 0 0 0", b"ZERR",
    b"SFAC", b"UNIT -1", b"AFIX", b"MOVE", b"PART -1", b"REM", b"END", b"   0   0   0", b"1/0", b"../../x",
    b"-9999-9999-9999", b"{", b"}", b"[", b"null", b"true", b"1" * 400, b"${x}", b"${oc.env:HOME}",
]  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """What reads one kind of file.

    Attributes
    ----------
    read
        Takes a path; UserError is the right answer to a bad file.
    suffix
        Of the file.
    seeds
        Good files to damage.
    """

    read: Callable[[Path], object]
    suffix: str
    seeds: Callable[[], list[bytes]]


def mutated(seeds: list[bytes], rng: random.Random, most: int = 60_000) -> bytes:
    """A good file with one to eight faults: bits, bytes, numbers, words, lines, ends, or another's middle."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5, 8))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 1, 2, 4, 8, 40, 400)))
        what = rng.randrange(9)
        if what == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif what == 1:
            data[at:end] = rng.randbytes(end - at)
        elif what == 2:
            del data[at:end]
        elif what == 3:
            data[at:at] = data[at:end] * rng.choice((1, 2, 20))
        elif what == 4:
            data[at:at] = rng.choice(WORDS)
        elif what == 5:
            data[at:end] = rng.choice(WORDS)
        elif what == 6:
            numbers = list(re.finditer(rb"[-\d.]+", bytes(data)))
            if numbers:
                hit = rng.choice(numbers)
                data[hit.start() : hit.end()] = rng.choice(WORDS[:11])
        elif what == 7:
            lines = data.split(b"\n")
            i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
            lines[i], lines[j] = lines[j], lines[i]
            data = bytearray(b"\n".join(lines))
        else:
            other = rng.choice(seeds)
            cut = rng.randrange(len(other) + 1)
            data[at:] = other[cut:]
    return bytes(data[:most])


def refuses_or_reads(reader: Reader, data: bytes, folder: Path) -> bool:
    """Whether a reader took the file; UserError is a refusal, and anything else goes through."""
    path = folder / f"input{reader.suffix}"
    path.write_bytes(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(path)
        return True
    except UserError as error:
        if not str(error):
            raise AssertionError("a refusal must say why") from error
        return False


def _head(name: str, lines: int) -> bytes:
    return b"".join((SAMPLES / name).read_bytes().splitlines(keepends=True)[:lines])


def _hkl_seeds() -> list[bytes]:
    good = _head("paracetamol_1p5.hkl", 60) + b"   0   0   0    0.00    0.00\n"
    free = b"1 0 0 12.5 0.3 1\n-1 2 3 1e3 2\n0 0 0 0 0\n"
    return [good, good.replace(b"\n", b"\r\n"), free, good + b"TITL x\nCELL 0.71 7 8 9 90 95 90\n"]


def _ins_seeds() -> list[bytes]:
    atoms = b"C1 1 0.1 0.2 0.3 11.0 0.05\nO1 2 =\n 0.25 0.5 0.75 10.5 0.05 0.04 0.03 0.01 0 0\nHKLF 4\nEND\n"
    ins = (SAMPLES / "paracetamol_1p5.ins").read_bytes()
    head = ins.split(b"HKLF")[0]
    return [ins, head + b"FVAR 1.0 0.5\n" + atoms, (SAMPLES / "sucrose_1p5.ins").read_bytes()]


def _cif_seeds() -> list[bytes]:
    return [(SAMPLES / name).read_bytes()[:9000] for name in ("paracetamol.cif", "sucrose.cif")]


def _reflection_cifs() -> list[bytes]:
    hkl = _head("paracetamol_1p5.hkl", 20)
    embedded = b"data_x\n_cell_length_a 7\n_shelx_hkl_file\n;\n" + hkl + b"   0   0   0    0.00    0.00\n;\n"
    loop = (
        b"data_y\nloop_\n_refln_index_h\n_refln_index_k\n_refln_index_l\n_refln_F_squared_meas\n"
        b"_refln_F_squared_sigma\n1 0 0 12.5 0.3\n0 2 0 1(2) ?\n1 1 -3 . 0.5\n"
    )
    return [
        embedded,
        loop,
        loop.replace(b"F_squared_meas", b"F_meas").replace(b"F_squared_sigma", b"F_sigma"),
    ]


def _structures(path: Path) -> None:
    from xrdml.crystal.store import StructureStore

    with StructureStore(path) as store:
        if len(store):
            store[0], store[-1]
            if store.tensor_layout is not None:
                store.tensors(0)


def _library(path: Path) -> None:
    from xrdml.crystal.molecule_library import MoleculeLibrary

    library = MoleculeLibrary(path)
    if len(library):
        library[0], library[len(library) - 1]


def _patterns(path: Path) -> None:
    from xrdml.data.powder_store import PowderStore

    store = PowderStore(path)
    store.read(0, 1)


def _measurement(path: Path) -> None:
    from xrdml.crystal.load import load_measurement
    from xrdml.crystal.problem import make_problem
    from xrdml.crystal.reflections import merge

    given = {"cell": (7.1, 9.4, 11.7, 90.0, 97.5, 90.0), "space_group": "P 1 21/c 1"}
    for options in ({}, given):
        try:
            found = load_measurement(path, **options)
            merged = merge(found.reflections, found.symmetry)
            make_problem(merged.reflections, found.cell, found.symmetry, d_min=1.4)
        except UserError:
            pass


def _write_library(path: Path) -> None:
    from xrdml.crystal.molecule_library import write_library

    positions = np.random.default_rng(1).uniform(-3, 3, (9, 3))
    molecule = ("CCO", np.array([6, 6, 8, *[1] * 6], np.uint8), positions)
    write_library(path, [molecule] * 4, {"seed": 1})


def _write_patterns(path: Path) -> None:
    from xrdml.data.powder_store import write_patterns

    block = (np.ones((3, 20), np.uint32), np.ones((3, 2)))
    write_patterns(path, np.linspace(5, 6, 20), ["u", "v"], [block], {"seed": 1})


@functools.cache
def _small_weights() -> tuple[bytes, bytes]:
    """config.json and model.safetensors of a small network."""
    from xrdml.models import build_model
    from xrdml.models.weights import CONFIG, TENSORS, save_weights

    model = {"name": "unet", "width": 2, "channels": ["f", "measured"]}
    with tempfile.TemporaryDirectory() as folder:
        save_weights(folder, {"model": model}, build_model(model).state_dict())
        return (Path(folder) / CONFIG).read_bytes(), (Path(folder) / TENSORS).read_bytes()


def _read_weights(folder: Path, config: bytes, tensors: bytes) -> None:
    from xrdml.models.weights import CONFIG, TENSORS, load_weights

    folder.mkdir(exist_ok=True)
    (folder / CONFIG).write_bytes(config)
    (folder / TENSORS).write_bytes(tensors)
    load_weights(folder)


def _weights_config(path: Path) -> None:
    _read_weights(path.parent / "weights", path.read_bytes(), _small_weights()[1])


def _weights_tensors(path: Path) -> None:
    """With the digest that belongs to the damaged file, so that its content is looked at."""
    tensors = path.read_bytes()
    config = json.loads(_small_weights()[0]) | {"sha256": hashlib.sha256(tensors).hexdigest()}
    _read_weights(path.parent / "weights", json.dumps(config).encode(), tensors)


def _config(path: Path) -> None:
    from xrdml.training.config import load_config

    load_config(path.read_bytes().decode("utf-8", "replace").splitlines()[:5])


def _hdf5_seeds(write: Callable[[Path], object]) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "seed.h5"
            write(path)
            return [path.read_bytes()]

    return seeds


def _write_structures(path: Path) -> None:
    from crystals import random_structure
    from xrdml.crystal.store import write_store

    cell = (5.1, 6.2, 7.3, 90.0, 103.0, 90.0)
    write_store(
        path, [random_structure("P 1 21 1", cell, n=5, seed=i) for i in range(3)], {"recipe": "random"}
    )


def readers() -> dict[str, Reader]:
    """By the name that the table of docs/reliability.md gives them; none loads torch."""
    from xrdml.crystal.cif import read_cif, read_structure
    from xrdml.crystal.cif_reflections import read_cif_reflections
    from xrdml.crystal.hklf import read_hklf4
    from xrdml.crystal.shelx import read_shelx
    from xrdml.crystal.shelx_atoms import read_res
    from xrdml.evaluate.summary import read_summary

    summary = [(ROOT / "src/xrdml/evaluate/published_crystals.json").read_bytes()]
    return {
        "HKLF 4": Reader(read_hklf4, ".hkl", _hkl_seeds),
        "INS": Reader(read_shelx, ".ins", _ins_seeds),
        "RES with atoms": Reader(read_res, ".res", _ins_seeds),
        "CIF header": Reader(read_cif, ".cif", _cif_seeds),
        "CIF structure": Reader(read_structure, ".cif", _cif_seeds),
        "CIF reflections": Reader(read_cif_reflections, ".cif", _reflection_cifs),
        "whole measurement": Reader(_measurement, ".hkl", lambda: _hkl_seeds() + _reflection_cifs()),
        "data set (HDF5)": Reader(_structures, ".h5", _hdf5_seeds(_write_structures)),
        "molecule library (HDF5)": Reader(_library, ".h5", _hdf5_seeds(_write_library)),
        "powder patterns (HDF5)": Reader(_patterns, ".h5", _hdf5_seeds(_write_patterns)),
        "summary (JSON)": Reader(read_summary, ".json", lambda: summary),
    }


def torch_readers() -> dict[str, Reader]:
    """Those that load torch or Hydra."""
    words = b"model=unet\ndata.grid=-5:5,0:5,0:6\ntrainer.max_epochs=3\nloss.ssim=0.1\nrun.dir=x\n"
    return {
        "weights: config.json": Reader(_weights_config, ".json", lambda: [_small_weights()[0]]),
        "weights: tensors": Reader(_weights_tensors, ".bin", lambda: [_small_weights()[1]]),
        "configuration": Reader(
            _config, ".txt", lambda: [words, b"experiment=[quick,ssim]\nmodel.width=8\n"]
        ),
    }


def fast_folder(fallback: Path) -> Path:
    """A folder in memory where there is one: damaged files are written by the hundred thousand."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) else fallback
