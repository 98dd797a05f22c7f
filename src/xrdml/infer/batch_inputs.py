"""Which crystals a batch is about."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xrdml.crystal.files import read_text
from xrdml.errors import UserError

_IN_A_CIF = ("_shelx_hkl_file", "_refln_index_h", "_refln.index_h")


@dataclass(frozen=True)
class Item:
    """A file with reflections, and the name that its results go by: a relative path without suffix."""

    name: str
    path: Path


def find_items(paths: Sequence[Path], listed: Path | None, out: Path | None = None) -> list[Item]:
    """The crystals of folders, files and a list of files, sorted by name.

    In a folder, and in those below it, every .hkl counts, and every .cif that holds reflections and has
    no .hkl of its name beside it. Results (folders with a report.json) and hidden folders are left out.

    Parameters
    ----------
    listed
        Text file with one path a line, relative to its own folder; # begins a remark.
    out
        Where results go: never searched.

    Raises
    ------
    UserError
        No crystal, a file that does not exist, or two files whose results would go by one name.
    """
    files: list[Path] = []
    for path in [*paths, *(_listed(listed) if listed is not None else ())]:
        if path.is_dir():
            files += _in_folder(path, out)
        elif path.exists():
            files.append(path)
        else:
            raise UserError("no such file or folder; check the name", path=path)
    if not files:
        where = ", ".join(map(str, paths)) or str(listed)
        raise UserError(f"no .hkl, and no .cif with reflections, in {where}")
    files = list(dict.fromkeys(files))
    roots = [path for path in paths if path.is_dir()]
    root = roots[0] if len(paths) == len(roots) == 1 and listed is None else _common(files)
    items: dict[str, Item] = {}
    for file in files:
        relative = Path(os.path.relpath(file.absolute(), root.absolute()))
        name = str(relative.with_suffix(""))
        if name in items:
            raise UserError(
                f"its results would go by the same name as those of {items[name].path}", path=file
            )
        items[name] = Item(name, file)
    return [items[name] for name in sorted(items)]


def _common(files: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([file.absolute().parent for file in files]))


def _listed(path: Path) -> list[Path]:
    lines = (line.partition("#")[0].strip() for line in read_text(path).split("\n"))
    return [path.parent / line for line in lines if line]


def _in_folder(folder: Path, out: Path | None) -> list[Path]:
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        here = Path(place)
        is_result = "report.json" in names or (out is not None and here.resolve() == out.resolve())
        if is_result and here != folder:
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        files = [here / name for name in names if not name.startswith(".")]
        found += [path for path in files if path.suffix.lower() == ".hkl"]
        cifs = [path for path in files if path.suffix.lower() == ".cif"]
        found += [path for path in cifs if path.with_suffix(".hkl") not in files and _has_reflections(path)]
    return found


def _has_reflections(path: Path) -> bool:
    try:
        text = read_text(path).lower()
    except UserError:
        return False
    return any(word in text for word in _IN_A_CIF)
