"""From folders of CIFs to a dataset file in which no molecule is in two parts of a split."""

from __future__ import annotations

import csv
import io
import json
import platform
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from signal import SIG_IGN, SIGINT, signal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrdml import __version__
from xrdml.crystal.examine import Finding, examine_file
from xrdml.crystal.families import Fingerprint, families, same_crystals
from xrdml.crystal.files import write_text
from xrdml.crystal.labels import Labels
from xrdml.crystal.store import StructureStore, write_store
from xrdml.crystal.structure import Structure
from xrdml.errors import UserError
from xrdml.xrd_simulator.parts import alone_in, ranges

RECIPE = "import-cif"
# Raised whenever the same CIF begins to give another crystal, family or reason.
RECIPE_VERSION = 1
PART_SIZE = 100
"""Files of one part: what is done again after an interruption."""

_COLUMNS = (
    "file", "block", "kept", "reason", "detail", "notes", "name", "family", "held_out", "space_group",
    "non_h_atoms",
)  # fmt: skip


@dataclass(frozen=True)
class Imported:
    """What an import has done.

    Attributes
    ----------
    blocks, kept, n_families, n_test
        Blocks with atoms (and files without any), crystals written, their families, and how many of
        them are test by their families.
    left_out
        How many for each reason, the most frequent first.
    files
        What was written.
    """

    blocks: int
    kept: int
    n_families: int
    n_test: int
    left_out: dict[str, int]
    files: list[Path]


@dataclass
class _Record:
    """A finding as it is kept in a part; `row` is the crystal's place in the part's dataset file."""

    file: str
    block: str
    reason: str
    detail: str
    notes: list[str]
    space_group: str = ""
    non_h_atoms: int = 0
    row: int = -1
    part: int = -1
    fingerprint: Fingerprint | None = None
    quality: tuple[float, ...] = ()
    family: int = -1
    held_out: bool = False
    name: str = ""


def find_cifs(path: Path) -> list[Path]:
    """The CIFs of a folder and the folders in it, sorted; a file stands for itself.

    Raises
    ------
    UserError
        Nothing there.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError("no such folder; give a folder of CIFs, or one CIF", path=path)
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() == ".cif" and p.is_file())
    if not found:
        raise UserError("holds no file that ends in .cif; give a folder of CIFs", path=path)
    return found


def import_cifs(
    source: Path,
    output: Path,
    elements: frozenset[str],
    hold_out: Sequence[Path] = (),
    *,
    workers: int = 1,
    done: Callable[[int], None] = lambda _: None,
) -> Imported:
    """Write the crystals of CIFs, with their families, and a report on every block beside them.

    Parts lie in ``<output>.parts`` until all are there; whenever this is killed, calling it again
    goes on. The result depends on the files and options alone.

    Parameters
    ----------
    source
        A folder, or one CIF with any number of blocks.
    elements
        Symbols that may occur.
    hold_out
        CIFs or folders of CIFs; whatever shares a molecule with one of their crystals is test.
    done
        Called with numbers of files; they sum to those found.

    Raises
    ------
    UserError
        Nothing to import, nothing that can be used, an output of another kind, or a place that
        cannot be written.
    """
    _check_output(output)
    files = find_cifs(source)
    kept_out = _fingerprints([file for path in hold_out for file in find_cifs(path)], elements)
    folder = output.with_name(output.name + ".parts")
    with alone_in(folder):
        parts = [
            _Part(i, folder, source, files[start:stop], elements)
            for i, (start, stop) in enumerate(ranges(0, len(files), PART_SIZE))
        ]
        waiting = [part for part in parts if not part.is_done()]
        done(len(files) - sum(len(part.files) for part in waiting))
        _make(waiting, workers, done)
        records = [record for part in parts for record in part.records()]
        _name(records)
        _assign_families(records, kept_out)
        _drop_duplicates(records)
        kept = [record for record in records if not record.reason]
        report = output.with_name(f"{output.stem}_import.csv")
        write_text(report, _csv(records))
        if not kept:
            raise UserError(f"none of {len(records)} crystals can be used; {report} says why", path=source)
        labels = _labels(kept)
        reasons = Counter(record.reason for record in records if record.reason)
        summary: dict[str, Any] = {
            "recipe": RECIPE,
            "recipe_version": RECIPE_VERSION,
            "options": {"elements": sorted(elements), "hold_out": [str(path) for path in hold_out]},
            "source": str(source),
            "blocks": len(records),
            "crystals": len(kept),
            "families": len(set(labels.families.tolist())),
            "test": int(labels.is_test.sum()),
            "left_out": dict(reasons.most_common()),
            "versions": {
                "xrdml": __version__,
                "python": platform.python_version(),
                **{name: version(name) for name in ("gemmi", "numpy")},
            },
        }
        description = output.with_name(f"{output.stem}_import.json")
        write_text(description, json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
        write_store(output, _structures(parts, kept), summary, labels=labels)
        shutil.rmtree(folder, ignore_errors=True)
    return Imported(
        len(records),
        len(kept),
        summary["families"],
        summary["test"],
        summary["left_out"],
        [output, report, description],
    )


def _check_output(output: Path) -> None:
    if output.exists() and StructureStore(output).attributes.get("recipe") != RECIPE:
        raise UserError("exists and was not made by import-cif; choose another name", path=output)


def _fingerprints(files: list[Path], elements: frozenset[str]) -> list[Fingerprint]:
    found = (finding for file in files for finding in examine_file(file, elements))
    return [finding.fingerprint for finding in found if finding.fingerprint is not None]


class _Part:
    """Some of the files: a dataset file of their crystals, and records of all their blocks."""

    def __init__(self, number: int, folder: Path, source: Path, files: list[Path], elements: frozenset[str]):
        self.number, self.files, self.elements = number, files, elements
        self.root = source if source.is_dir() else source.parent
        self.store = folder / f"part-{number:06d}.h5"
        self.list = folder / f"part-{number:06d}.json"

    def inputs(self) -> dict[str, Any]:
        """What the part depends on."""
        stats = [(str(file), file.stat()) for file in self.files]
        return {
            "version": RECIPE_VERSION,
            "elements": sorted(self.elements),
            "files": [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats],
        }

    def is_done(self) -> bool:
        try:
            content = json.loads(self.list.read_text(encoding="utf-8"))
            kept = sum(record["row"] >= 0 for record in content["records"])
            return content["inputs"] == self.inputs() and len(StructureStore(self.store)) == kept
        except (OSError, ValueError, LookupError, TypeError, UserError):
            return False

    def make(self) -> int:
        """Read the files and write the part; returns their number."""
        inputs = self.inputs()
        records: list[dict[str, Any]] = []
        structures: list[Structure] = []
        for file in self.files:
            for finding in examine_file(file, self.elements):
                record = _record(file.relative_to(self.root).as_posix(), finding)
                if finding.model is not None:
                    record.row = len(structures)
                    structures.append(finding.model.structure)
                records.append(asdict(record))
        write_store(self.store, structures, {})
        # The list comes last: where it is, the part is whole.
        write_text(self.list, json.dumps({"inputs": inputs, "records": records}))
        return len(self.files)

    def records(self) -> list[_Record]:
        content = json.loads(self.list.read_text(encoding="utf-8"))
        out = []
        for entry in content["records"]:
            record = _Record(**entry)
            record.part = self.number
            if (f := entry["fingerprint"]) is not None:
                record.fingerprint = Fingerprint(
                    **{**f, "molecules": tuple(f["molecules"]), "niggli": tuple(f["niggli"])}
                )
            out.append(record)
        return out


def _record(file: str, finding: Finding) -> _Record:
    record = _Record(file, finding.block, finding.reason, finding.detail, finding.notes)
    if finding.model is not None:
        structure = finding.model.structure
        record.space_group = structure.space_group
        record.non_h_atoms = int((structure.numbers > 1).sum())
        record.fingerprint, record.quality = finding.fingerprint, finding.quality
    return record


def _make(parts: list[_Part], workers: int, done: Callable[[int], None]) -> None:
    if workers == 1 or len(parts) < 2:
        for part in parts:
            done(part.make())
        return
    # Spawned, so that no lock of a library is inherited; Ctrl-C is for the parent.
    with ProcessPoolExecutor(
        min(workers, len(parts)), get_context("spawn"), initializer=signal, initargs=(SIGINT, SIG_IGN)
    ) as pool:
        try:
            for made in as_completed([pool.submit(part.make) for part in parts]):
                done(made.result())
        except BrokenProcessPool:
            raise UserError(
                "a worker process died (out of memory?); finished parts are kept: "
                "run the same command again, with fewer --workers"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _name(records: list[_Record]) -> None:
    """The file without its ending, and the block where a file has several."""
    blocks = Counter(record.file for record in records)
    for record in records:
        stem = record.file.rsplit(".", 1)[0]
        record.name = stem if blocks[record.file] == 1 else f"{stem}#{record.block}"


def _assign_families(records: list[_Record], held_out: list[Fingerprint]) -> None:
    usable = [record for record in records if record.fingerprint is not None]
    prints = [record.fingerprint for record in usable if record.fingerprint is not None]
    numbers = families([*prints, *held_out]).tolist()
    forbidden = set(numbers[len(prints) :])
    for record, family in zip(usable, numbers[: len(prints)], strict=True):
        record.family, record.held_out = family, family in forbidden


def _drop_duplicates(records: list[_Record]) -> None:
    """Of models of one crystal the best stays, the first of equal ones."""
    usable = [record for record in records if record.fingerprint is not None]
    prints = [record.fingerprint for record in usable if record.fingerprint is not None]
    again: dict[int, list[int]] = {}
    for i, j in same_crystals(prints):
        if prints[i].molecules == prints[j].molecules:
            again.setdefault(i, []).append(j)
            again.setdefault(j, []).append(i)
    chosen: set[int] = set()
    for i in sorted(again, key=lambda i: ([-q for q in usable[i].quality], i)):
        better = next((j for j in again[i] if j in chosen), None)
        if better is None:
            chosen.add(i)
        else:
            usable[i].reason, usable[i].detail = "duplicate", f"of {usable[better].name}"


def _labels(kept: list[_Record]) -> Labels:
    family: NDArray[np.int64] = np.array([record.family for record in kept], np.int64)
    held_out = np.array([record.held_out for record in kept], bool)
    return Labels([record.name for record in kept], family, held_out)


def _structures(parts: list[_Part], kept: list[_Record]) -> Iterator[Structure]:
    wanted: dict[int, list[int]] = {}
    for record in kept:
        wanted.setdefault(record.part, []).append(record.row)
    for number, rows in wanted.items():
        with StructureStore(parts[number].store) as store:
            yield from (store[row] for row in rows)


def _csv(records: list[_Record]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    for record in records:
        row = asdict(record) | {"kept": int(not record.reason), "notes": "; ".join(record.notes)}
        row["family"] = row["family"] if record.fingerprint else ""
        row["held_out"] = int(record.held_out)
        row["non_h_atoms"] = row["non_h_atoms"] or ""
        table.writerow(row)
    return text.getvalue()
