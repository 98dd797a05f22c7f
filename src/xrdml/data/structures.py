"""Where crystals for a measurement come from: a dataset file, or a folder of CIFs."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator
from pathlib import Path

from xrdml.crystal.cif import read_structure
from xrdml.crystal.labels import FOLDS
from xrdml.crystal.store import StructureStore
from xrdml.crystal.structure import Structure
from xrdml.errors import UserError

log = logging.getLogger(__name__)


def read_structures(path: Path, subset: str = "all", limit: int | None = None) -> list[tuple[str, Structure]]:
    """Named structures of a dataset file, or of a folder of CIFs.

    Where a dataset file names families (`xrdml import-cif`), one of five and those held out are test.
    A folder may hold, or lie beside, a ``structures.csv`` with columns ``id`` and ``family_id``:
    then ``train`` and ``test`` never share a family, and the families of crystals in a
    ``measured.csv`` are test. Elsewhere every fifth crystal is test.

    Parameters
    ----------
    subset
        ``all``, ``train`` (four fifths) or ``test`` (one fifth).
    limit
        Take only the first so many.

    Raises
    ------
    UserError
        Nothing there, or nothing readable.
    """
    if subset not in ("all", "train", "test"):
        raise UserError(f"subset '{subset}': choose all, train or test")
    if path.is_dir():
        named = _from_folder(path, subset)
    else:
        named = _from_file(StructureStore(path), subset)
    out = []
    for item in named:
        out.append(item)
        if limit is not None and len(out) >= limit:
            break
    if not out:
        raise UserError(
            "holds no crystals that can be used; give a dataset made by xrdml or a folder of CIFs", path=path
        )
    return out


def _chosen(group: int, subset: str) -> bool:
    return subset == "all" or (group % FOLDS == 0) == (subset == "test")


def _from_file(store: StructureStore, subset: str) -> Iterator[tuple[str, Structure]]:
    for i in range(len(store)):
        if store.labels is None:
            if _chosen(i, subset):
                yield f"{store.path.stem}[{i}]", store[i]
        elif subset == "all" or store.labels.is_test[i] == (subset == "test"):
            yield store.labels.names[i], store[i]


def _from_folder(folder: Path, subset: str) -> Iterator[tuple[str, Structure]]:
    groups = _groups(folder)
    for position, path in enumerate(sorted(folder.glob("*.cif"))):
        if not _chosen(groups.get(path.stem, position), subset):
            continue
        try:
            yield path.stem, read_structure(path)
        except UserError as error:
            log.warning("left out: %s", error)


def _groups(folder: Path) -> dict[str, int]:
    """The family of each crystal; 0, which is test, for families of which intensities were measured."""
    families = {name: int(row["family_id"]) for name, row in _table(folder, "structures.csv").items()}
    measured = {families[name] for name in _table(folder, "measured.csv") if name in families}
    return {name: 0 if family in measured else family for name, family in families.items()}


def _table(folder: Path, name: str) -> dict[str, dict[str, str]]:
    for path in (folder / name, folder.parent / name):
        if path.is_file():
            with path.open(encoding="utf-8", newline="") as file:
                return {row["id"]: row for row in csv.DictReader(file)}
    return {}
