"""Making a molecule library: in parts, by worker processes, so that it can be stopped and resumed."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import version
from pathlib import Path
from typing import Any

from xrdml import __version__
from xrdml.crystal.molecule_library import Molecule, MoleculeLibrary, write_library
from xrdml.errors import UserError
from xrdml.xrd_simulator.parts import alone_in

PART_SIZE = 500
"""Molecules tried for one part."""
# Raised whenever the same seed begins to give other molecules.
RECIPE_VERSION = 2


def describe(seed: int) -> dict[str, Any]:
    """All that decides what the molecules are, and the versions that made them."""
    return {
        "recipe_version": RECIPE_VERSION,
        "seed": seed,
        "versions": {"xrdml": __version__, **{name: version(name) for name in ("rdkit", "numpy")}},
    }


def build_library(
    path: str | Path,
    n: int,
    seed: int,
    *,
    workers: int = 1,
    made: Callable[[int], None] = lambda _: None,
    part_size: int = PART_SIZE,
) -> int:
    """Make a library of n distinct molecules, solvents not counted.

    Parts lie in ``<path>.parts`` until there are enough; calling again after a kill goes on. The bytes
    of the result depend on n and the seed alone. Molecules are tried in order, and of those with equal
    SMILES the first is kept.

    Parameters
    ----------
    made
        Called with the numbers of distinct molecules that came to hand.

    Returns
    -------
    The number of molecules tried: 0 where the file already holds n.

    Raises
    ------
    UserError
        The file at `path` is something else or was made from another seed; the place cannot be
        written; a worker died.
    """
    path = Path(path)
    attributes = describe(seed)
    if path.exists():
        existing = MoleculeLibrary(path)
        _check_same(existing, attributes)
        if len(existing) - existing.n_solvents == n:
            return 0
    folder = path.with_name(path.name + ".parts")
    with alone_in(folder), ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        distinct: dict[str, Molecule] = {}
        tried = 0
        try:
            for part in _parts(pool, folder, attributes, part_size, 2 * workers):
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
    pool: ProcessPoolExecutor, folder: Path, attributes: dict[str, Any], size: int, ahead: int
) -> Iterator[MoleculeLibrary]:
    """Parts 0, 1, 2, … without end, some made ahead; those that a former run left are used."""
    waiting: dict[int, Future[None] | None] = {}
    number = 0
    while True:
        for k in range(number, number + ahead):
            if k not in waiting:
                path, start = _part_path(folder, k, size), k * size
                done = path.exists()
                waiting[k] = None if done else pool.submit(make_part, path, start, start + size, attributes)
        future = waiting.pop(number)
        if future is not None:
            future.result()
        part = MoleculeLibrary(_part_path(folder, number, size))
        _check_same(part, attributes)
        yield part
        number += 1


def _part_path(folder: Path, k: int, size: int) -> Path:
    return folder / f"part-{k * size:09d}-{(k + 1) * size:09d}.h5"


def make_part(path: Path, start: int, stop: int, attributes: dict[str, Any]) -> None:
    """Write molecules start … stop − 1 to a file of their own; in a worker process, which loads RDKit."""
    from xrdml.xrd_simulator.molecules import sample

    some = (sample(attributes["seed"], i) for i in range(start, stop))
    write_library(
        path, ((m.smiles, m.numbers, m.positions[0]) for m in some), {**attributes, "n_solvents": 0}
    )


def _solvents() -> list[Molecule]:
    from xrdml.xrd_simulator._fragments import SOLVENTS
    from xrdml.xrd_simulator.molecules import solvent

    return [(m.smiles, m.numbers, m.positions[0]) for m in map(solvent, SOLVENTS)]


def _check_same(library: MoleculeLibrary, attributes: dict[str, Any]) -> None:
    for key in ("recipe_version", "seed"):
        old, new = library.attributes.get(key), attributes[key]
        if old != new:
            raise UserError(
                f"was made with {key} {old} (now {new}); give another file name, or delete it",
                path=library.path,
            )
