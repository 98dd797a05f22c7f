"""Make, resume and extend a data set: crystal i depends on the seed and i alone."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from xrdml import __version__
from xrdml.crystal.store import StructureStore, TensorLayout, TensorPair, write_store
from xrdml.errors import UserError
from xrdml.xrd_simulator.options import WORKERS
from xrdml.xrd_simulator.parts import alone_in, check_same, ranges
from xrdml.xrd_simulator.pool import Shard, run_shards

SHARD_SIZE = 200
# Raised whenever the same seed and options begin to give other crystals.
RECIPE_VERSION = 2
_MAKERS = {"random_atoms": "cctbx-base", "molecular": "torch"}


class Options(Protocol):
    """Of a recipe."""

    def to_json(self) -> dict[str, Any]: ...


def describe(
    options: Options, seed: int, tensors: TensorLayout | None, recipe: str = "random_atoms"
) -> dict[str, Any]:
    """All that decides what the crystals are, and the versions that made them, as JSON."""
    return {
        "recipe": recipe,
        "recipe_version": RECIPE_VERSION,
        "seed": seed,
        "options": options.to_json(),
        "tensors": None if tensors is None else tensors.to_json(),
        "versions": {
            "xrdml": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in (_MAKERS[recipe], "gemmi", "numpy")},
        },
    }


def simulate(
    path: str | Path,
    n: int,
    attributes: dict[str, Any],
    *,
    workers: int = 1,
    made: Callable[[int], None] = lambda _: None,
    shard_size: int = SHARD_SIZE,
    part: tuple[int, int] | None = None,
) -> int:
    """Bring the data set at `path` to n crystals, by worker processes.

    Parts lie in ``<path>.parts`` until all are there. Whenever this is killed, calling it again goes
    on; the bytes of the result depend on `attributes` and n alone, not on workers, interruptions or
    extensions.

    Parameters
    ----------
    attributes
        From :func:`describe`.
    made
        Called with numbers of crystals, found from an earlier run or made now; they sum to the
        return value.
    part
        (i, n): make only every n-th shard, from the i-th on (counted from 1), and leave them in the
        folder of parts; other parts may be made there at the same time, by other machines. A call
        without it joins what they made.

    Returns
    -------
    The number of crystals added, or in this part: 0 where the file already holds n or more.

    Raises
    ------
    UserError
        The file at `path` is no data set or was made otherwise; a place that cannot be written; a
        worker that died; a crystal that cannot be made.
    """
    path = Path(path)
    attributes = _plain(attributes)
    existing = StructureStore(path) if path.exists() else None
    if existing is not None:
        _check_same(existing, attributes, "give the same options, or another file name")
    have = 0 if existing is None else len(existing)
    if have >= n:
        return 0
    folder = path.with_name(path.name + ".parts")
    with alone_in(folder, part):
        shards = [
            Shard(start, stop, folder / f"shard-{start:09d}-{stop:09d}.h5")
            for start, stop in ranges(have, n, shard_size)
        ][slice(None) if part is None else slice(part[0] - 1, None, part[1])]
        wanted = sum(shard.stop - shard.start for shard in shards)
        missing = [shard for shard in shards if not _is_done(shard, attributes)]
        made(wanted - sum(s.stop - s.start for s in missing))
        if missing:
            run_shards(missing, attributes, WORKERS[attributes["recipe"]], workers, made)
        if part is None:
            _assemble(path, existing, shards, attributes)
            shutil.rmtree(folder, ignore_errors=True)
    return wanted


def _plain(attributes: dict[str, Any]) -> dict[str, Any]:
    """As it reads back from JSON: tuples become lists."""
    return json.loads(json.dumps(attributes))


def _is_done(shard: Shard, attributes: dict[str, Any]) -> bool:
    if not shard.path.exists():
        return False
    try:
        store = StructureStore(shard.path)
        store[0]
    except UserError:  # damaged by a crash of the machine: made again
        return False
    _check_same(store, attributes, "finish that run first, or delete this folder", shard.path.parent)
    return len(store) == shard.stop - shard.start


def _check_same(
    store: StructureStore, attributes: dict[str, Any], remedy: str, path: Path | None = None
) -> None:
    decisive = ("recipe", "recipe_version", "seed", "options", "tensors")
    old = {key: store.attributes.get(key) for key in decisive}
    check_same(old, {key: attributes[key] for key in decisive}, remedy, path or store.path)


def _assemble(
    path: Path, existing: StructureStore | None, shards: list[Shard], attributes: dict[str, Any]
) -> None:
    files = [*([] if existing is None else [existing.path]), *(shard.path for shard in shards)]
    tensors = attributes["tensors"] and (TensorLayout.from_json(attributes["tensors"]), _pairs(files))
    write_store(path, (crystal for file in files for crystal in StructureStore(file)), attributes, tensors)


def _pairs(files: list[Path]) -> Iterator[TensorPair]:
    for file in files:
        with StructureStore(file) as store:
            yield from (store.tensors(i) for i in range(len(store)))
