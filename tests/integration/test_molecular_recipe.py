"""From building blocks to a dataset of packed crystals, by the command line and its worker processes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from crystals import complaint, random_structure
from xrdml.cli.main import main
from xrdml.crystal.grid import HklGrid
from xrdml.crystal.molecular_options import MolecularOptions
from xrdml.crystal.molecule_library import MoleculeLibrary, write_library
from xrdml.crystal.store import StructureStore
from xrdml.xrd_simulator.library import build_library, describe, make_part
from xrdml.xrd_simulator.molecules import sample
from xrdml.xrd_simulator.simulate import describe as describe_run
from xrdml.xrd_simulator.simulate import simulate

N = 25


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("library") / "molecules.h5"
    tried = build_library(path, N, 3, part_size=10)
    assert tried >= N
    return path


@pytest.fixture(scope="module")
def small_molecules(tmp_path_factory):
    """Molecules of at most nine non-H atoms, which pack fast."""
    path = tmp_path_factory.mktemp("small") / "molecules.h5"
    some = [m for m in (sample(1, i) for i in range(150)) if (m.numbers > 1).sum() < 10]
    molecules = [(m.smiles, m.numbers, m.positions[0]) for m in some]
    write_library(path, molecules, {"seed": 1, "n_solvents": 0})
    return path


@pytest.fixture(scope="module")
def attributes(small_molecules):
    options = MolecularOptions.make(["P21", "P-1"], small_molecules, grid=None)
    return describe_run(options, 1, None, "molecular")


def test_library_holds_distinct_molecules_and_solvents(library):
    molecules = MoleculeLibrary(library)
    names = [molecules[i][0] for i in range(molecules.n_solvents, len(molecules))]
    assert len(names) == len(set(names)) == N
    assert "O" in {molecules[i][0] for i in range(molecules.n_solvents)}


def test_library_does_not_depend_on_workers_parts_or_interruptions(library, tmp_path):
    path = tmp_path / "again.h5"
    folder = path.with_name("again.h5.parts")
    folder.mkdir()
    # What a killed run leaves: one part, and half of another beside its name.
    make_part(folder / "part-000000008-000000016.h5", 8, 16, describe(3))
    (folder / ".part-000000000-000000008.h5.x1y2.h5").write_bytes(b"half")
    counts = []
    build_library(path, N, 3, workers=2, part_size=8, made=counts.append)
    assert path.read_bytes() == library.read_bytes()
    assert sum(counts) == N
    assert not folder.exists()


def test_finished_library_is_left_alone_and_another_seed_refused(library):
    before = library.stat().st_mtime_ns
    assert build_library(library, N, 3) == 0
    assert library.stat().st_mtime_ns == before
    assert "seed 3 (now 4)" in complaint(build_library, library, N, 4)


def test_workers_and_extension_do_not_change_the_crystals(attributes, tmp_path):
    one, two = tmp_path / "one.h5", tmp_path / "two.h5"
    simulate(one, 60, attributes, workers=1, shard_size=40)
    simulate(two, 7, attributes, workers=1, shard_size=40)
    simulate(two, 60, attributes, workers=2, shard_size=40)
    assert one.read_bytes() == two.read_bytes()
    store = StructureStore(one)
    assert len(store) == 60
    assert {s.space_group for s in store} == {"P 1 21 1", "P -1"}
    assert all((s.numbers == 1).any() for s in store)
    for s in store:
        s.symmetry.check_cell(s.cell)
        assert np.isfinite(s.frac).all()


def test_command_line(small_molecules, tmp_path, capsys):
    out = tmp_path / "out.h5"
    words = ["simulate", str(out), "--recipe", "molecular", "--grid", "none", "--workers", "1"]
    assert main([*words, "--n", "3", "--molecules", str(small_molecules)]) == 0
    assert "3 crystals (3 new)" in capsys.readouterr().out
    assert StructureStore(out).attributes["recipe"] == "molecular"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--recipe", "molecular"], "needs --molecules"),
        (["--recipe", "molecular", "--molecules", "nowhere.h5"], "no such file"),
        (["--molecules", "a.h5"], "belongs to --recipe molecular"),
        (["--recipe", "molecular", "--molecules", "a.h5", "--tensors"], "--tensors"),
    ],
)
def test_bad_options_are_one_line(words, message, tmp_path, capsys):
    assert main(["simulate", str(tmp_path / "x.h5"), *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_grid_admits_what_fits_it(library):
    options = MolecularOptions.make(["P21"], library, grid=HklGrid.thesis())
    inside, outside = (random_structure(cell=(a, 8.0, 9.0, 90.0, 100.0, 90.0)) for a in (7.0, 30.0))
    assert options.admits(inside)
    assert not options.admits(outside)
    assert MolecularOptions.from_json(options.to_json()) == options


def test_worker_has_torch_and_no_cctbx_or_rdkit():
    code = "import sys, xrdml.physics._worker; print([m for m in ('cctbx', 'rdkit') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
