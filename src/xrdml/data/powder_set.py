"""Make, resume and extend a set of powder patterns of the crystals of a dataset file."""

from __future__ import annotations

import hashlib
import platform
import shutil
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from xrdml import __version__
from xrdml.crystal.store import StructureStore
from xrdml.data.powder_options import PowderOptions, column_names
from xrdml.data.powder_store import Block, PowderStore, write_patterns
from xrdml.errors import UserError
from xrdml.xrd_simulator.parts import alone_in, check_same, ranges
from xrdml.xrd_simulator.pool import Shard, run_shards

SHARD_SIZE = 200
# Raised whenever the same seed, options and crystals begin to give other patterns.
RECIPE_VERSION = 1
_WORKER = "xrdml.data._powder_worker"
_DECISIVE = ("recipe_version", "seed", "options")


def describe(options: PowderOptions, seed: int, source: Path) -> dict[str, Any]:
    """All that decides what the patterns are, and the versions that made them, as JSON."""
    return {
        "recipe_version": RECIPE_VERSION,
        "seed": seed,
        "options": options.to_json(),
        "source": str(source.resolve()),
        "versions": {
            "xrdml": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy", "gemmi")},
        },
    }


def digest(crystals: StructureStore, start: int, stop: int) -> str:
    """SHA-256 of crystals start … stop − 1: patterns are only continued for the same ones."""
    sha = hashlib.sha256()
    for i in range(start, stop):
        s = crystals[i]
        sha.update(f"{s.cell} {s.space_group} {len(s)}".encode())
        for array in (s.numbers, s.frac, s.u_iso, s.occupancy):
            sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def make_set(
    path: Path,
    source: Path,
    n: int,
    options: PowderOptions,
    seed: int,
    *,
    workers: int = 1,
    made: Callable[[int], None] = lambda _: None,
    shard_size: int = SHARD_SIZE,
) -> int:
    """Bring the set at `path` to one pattern for each of the first n crystals of `source`.

    Parts lie in ``<path>.parts`` until all are there. Whenever this is killed, calling it again goes on;
    the content depends on crystals, options, seed and n alone, not on workers, interruptions or
    extensions.

    Parameters
    ----------
    made
        Called with numbers of patterns; they sum to the return value.

    Returns
    -------
    The number of patterns added: 0 where the file already holds n or more.

    Raises
    ------
    UserError
        The file at `path` is no such set or was made otherwise; a place that cannot be written; a worker
        that died; a crystal without reflections in the scan.
    """
    attributes = describe(options, seed, source)
    crystals = StructureStore(source)
    existing = PowderStore(path) if path.exists() else None
    if existing is not None:
        _check(existing, attributes, crystals, 0, "give the same input and options, or another --out")
        if len(existing) >= n:
            return 0
    have = 0 if existing is None else len(existing)
    # The last, incomplete shard was computed in smaller batches: it is made again, so that an extended file
    # has the bytes of one made at once.
    keep = have // shard_size * shard_size
    folder = path.with_name(path.name + ".parts")
    with alone_in(folder):
        shards = [
            Shard(start, stop, folder / f"shard-{start:09d}-{stop:09d}.h5")
            for start, stop in ranges(keep, n, shard_size)
        ]
        missing = [shard for shard in shards if not _is_done(shard, attributes, crystals)]
        made((n - keep) - sum(s.stop - s.start for s in missing) - (have - keep))
        if missing:
            run_shards(missing, attributes, _WORKER, workers, made)
        files = [(shard.path, shard.stop - shard.start) for shard in shards]
        if existing is not None and keep:
            files.insert(0, (existing.path, keep))
        attributes["crystals"] = digest(crystals, 0, n)
        columns = column_names(options.shape)
        write_patterns(path, options.scan.two_theta, columns, _blocks(files), attributes)
        shutil.rmtree(folder, ignore_errors=True)
    return n - have


def _blocks(files: list[tuple[Path, int]]) -> Iterator[Block]:
    for path, n in files:
        store = PowderStore(path)
        for start, stop in ranges(0, n, SHARD_SIZE):
            yield store.read(start, stop)


def _is_done(shard: Shard, attributes: dict[str, Any], crystals: StructureStore) -> bool:
    if not shard.path.exists():
        return False
    try:
        store = PowderStore(shard.path)
        store.read(0, 1)
    except UserError:  # damaged by a crash of the machine: made again
        return False
    _check(store, attributes, crystals, shard.start, "finish that run first, or delete this folder")
    return len(store) == shard.stop - shard.start


def _check(
    store: PowderStore, attributes: dict[str, Any], crystals: StructureStore, start: int, remedy: str
) -> None:
    """Raise UserError unless a file was made with these attributes from these crystals."""
    old = {key: store.attributes.get(key) for key in _DECISIVE}
    check_same(old, {key: attributes[key] for key in _DECISIVE}, remedy, store.path)
    stop = start + len(store)
    if stop > len(crystals) or store.attributes.get("crystals") != digest(crystals, start, stop):
        raise UserError(
            f"was made from other crystals than those of {crystals.path}; {remedy}", path=store.path
        )
