"""Making a molecule library: in parts, by worker processes, so that it can be stopped and resumed."""

from __future__ import annotations

import fcntl
import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from xrdml import __version__
from xrdml.crystal.files import writable_directory
from xrdml.crystal.molecule_library import Molecule, MoleculeLibrary, write_library
from xrdml.errors import UserError

PART = 500
"""Molecules tried for one part."""
# Raised whenever the same seed begins to give other molecules.
RECIPE_VERSION = 1


def describe(seed: int) -> dict[str, Any]:
    """All that decides what the molecules are, and the versions that made them."""
    return {
        "recipe_version": RECIPE_VERSION,
        "seed": seed,
        "versions": {"xrdml": __version__, **{name: version(name) for name in ("rdkit", "numpy")}},
    }


def build_library(
    path: str | Path, n: int, seed: int, *, workers: int = 1, made: Callable[[int], None] = lambda _: None
) -> int:
    """Make a library of n distinct molecules, solvents not counted.

    Parts lie in ``<path>.parts`` until there are enough; calling again after a kill goes on. The
    result depends on n and the seed alone. The parts are kept if `n` turns out larger than before:
    they are removed only with the finished file.

    Parameters
    ----------
    made
        Called with the numbers of distinct molecules that came to hand.

    Returns
    -------
    The number of molecules tried.

    Raises
    ------
    UserError
        The file at `path` is something else or was made from another seed; the place cannot be
        written; a worker died.
    """
    path = Path(path)
    attributes = describe(seed)
    if path.exists():
        _check_same(MoleculeLibrary(path), attributes)
    folder = writable_directory(path.with_name(path.name + ".parts"))
    with _alone_in(folder), ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        distinct: dict[str, Molecule] = {}
        tried = 0
        try:
            for part in _parts(pool, folder, attributes, 2 * workers):
                before = len(distinct)
                for k in range(len(part)):
                    distinct.setdefault(part[k][0], part[k])
                tried += len(part)
                made(min(len(distinct), n) - min(before, n))
                if len(distinct) >= n:
                    break
        except BrokenProcessPool:
            raise UserError(
                "a worker process ended, perhaps for want of memory; run the same command again to go on"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)
        solvents = _solvents()
        write_library(
            path, [*solvents, *list(distinct.values())[:n]], {**attributes, "n_solvents": len(solvents)}
        )
        shutil.rmtree(folder, ignore_errors=True)
    return tried


def _parts(
    pool: ProcessPoolExecutor, folder: Path, attributes: dict[str, Any], ahead: int
) -> Iterator[MoleculeLibrary]:
    """Parts 0, 1, 2, … without end, some made ahead; those that a former run left are used."""
    waiting: dict[int, Future[None] | None] = {}
    number = 0
    while True:
        for k in range(number, number + ahead):
            if k not in waiting:
                path = _part_path(folder, k)
                waiting[k] = None if path.exists() else pool.submit(make_part, path, k, attributes)
        future = waiting.pop(number)
        if future is not None:
            wait([future], return_when=FIRST_COMPLETED)
            future.result()
        part = MoleculeLibrary(_part_path(folder, number))
        _check_same(part, attributes)
        yield part
        number += 1


def _part_path(folder: Path, k: int) -> Path:
    return folder / f"part-{k:05d}.h5"


def make_part(path: Path, k: int, attributes: dict[str, Any]) -> None:
    """Write the k-th part to a file of its own; runs in a worker process, which alone loads RDKit."""
    from xrdml.xrd_simulator.molecules import sample

    some = (sample(attributes["seed"], i) for i in range(k * PART, (k + 1) * PART))
    write_library(path, ((m.smiles, m.numbers, m.positions[0]) for m in some), {**attributes, "n_solvents": 0})


def _solvents() -> list[Molecule]:
    from xrdml.xrd_simulator._fragments import SOLVENTS
    from xrdml.xrd_simulator.molecules import solvent

    return [(m.smiles, m.numbers, m.positions[0]) for m in map(solvent, SOLVENTS)]


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    with open(folder / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError("another run is making this library; wait for it", path=folder) from None
        yield


def _check_same(library: MoleculeLibrary, attributes: dict[str, Any]) -> None:
    for key in ("recipe_version", "seed"):
        old, new = library.attributes.get(key), attributes[key]
        if old != new:
            raise UserError(
                f"was made with {key} {old} (now {new}); give another file name, or delete it",
                path=library.path,
            )
