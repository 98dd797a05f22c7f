"""Many crystals by one command: found, shared out to processes, summed up, and resumed."""

from __future__ import annotations

import csv
import hashlib
import json
import selectors
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xrdml import __version__
from xrdml.crystal.files import OnlyRunIn, read_text, replace_when_done, writable_directory, write_text
from xrdml.crystal.load import SIBLINGS
from xrdml.errors import UserError
from xrdml.infer.batch_inputs import Item
from xrdml.shipped import shipped_folders
from xrdml.xrd_simulator.pool import Worker

DONE = "batch.json"
SUMMARY = "summary.csv"
COLUMNS = (
    "name", "status", "space_group", "volume", "d_measured", "measured", "predicted", "solved", "atoms", "r1",
    "r1_free", "model", "r_ext", "cc_e", "map_cc", "atoms_matched", "seconds", "warnings", "error",
    "directory",
)  # fmt: skip
_BESIDE = ("ins", "cif", "reference")
_WORKER = "xrdml.infer._batch_worker"

Row = dict[str, Any]


@dataclass(frozen=True)
class Batch:
    """What came out.

    Attributes
    ----------
    rows
        One a crystal, in the order of the names: `COLUMNS`.
    skipped
        Crystals that an earlier run had done.
    path
        summary.csv.
    """

    rows: list[Row]
    skipped: int
    path: Path

    @property
    def failed(self) -> list[Row]:
        return [row for row in self.rows if row["status"] == "failed"]

    def table(self) -> list[str]:
        """For the terminal."""
        width = max(len(row["name"]) for row in self.rows)
        lines = [f"{'crystal':{width}}  {'status':10}  {'space group':12}  {'d/Å':>5}  {'R1':>6}  {'s':>6}"]
        for row in self.rows:
            if row["status"] == "failed":
                lines.append(f"{row['name']:{width}}  {'failed':10}  {row['error']}")
                continue
            r1 = "" if row["r1"] is None else f"{row['r1']:.3f}"
            start = f"{row['name']:{width}}  {row['status']:10}  {row['space_group']:12}"
            lines.append(f"{start}  {row['d_measured']:5.2f}  {r1:>6}  {row['seconds']:6.1f}")
        return lines

    def total(self) -> str:
        """One line."""
        counts: dict[str, int] = {}
        for row in self.rows:
            counts[row["status"]] = counts.get(row["status"], 0) + 1
        parts = ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
        earlier = f", {self.skipped} of them by an earlier run" if self.skipped else ""
        return f"{len(self.rows)} crystals: {parts}{earlier}; {self.path}"


def run_batch(
    command: str,
    items: Sequence[Item],
    options: dict[str, Any],
    out: Path,
    *,
    workers: int,
    done: Callable[[int], None] = lambda _: None,
) -> Batch:
    """Fill or solve crystals, each into ``out/<name>``, and write out/summary.csv.

    A crystal is skipped where its folder holds the result of the same options, model, version and input
    files (by their contents). One that fails leaves its reason in the summary and does not stop the
    others; neither does a worker process that dies.

    Parameters
    ----------
    command
        ``infer`` or ``solve``.
    options
        Keywords of the call behind it (:mod:`xrdml.api`). `ins`, `cif` and `reference` are taken from the
        folder of each crystal, unless they are absolute.
    done
        Called with numbers of crystals that are done; they sum to len(items).

    Raises
    ------
    UserError
        A place that cannot be written, or that another run is writing.
    """
    writable_directory(out)
    with OnlyRunIn(out):
        tasks = {item.name: _task(item, options, out) for item in items}
        keys = {name: _key(command, task) for name, task in tasks.items()}
        rows = {name: row for name in tasks if (row := _earlier(out / name, keys[name]))}
        skipped = len(rows)
        done(skipped)
        todo = {name: task for name, task in tasks.items() if name not in rows}
        for name, answer in _answers(command, todo, workers):
            rows[name] = _row(name, answer, out / name)
            if rows[name]["status"] != "failed":
                write_text(
                    out / name / DONE, json.dumps({"key": keys[name], "row": rows[name]}, indent=1) + "\n"
                )
            _write_summary(out / SUMMARY, rows)
            done(1)
        _write_summary(out / SUMMARY, rows)
    return Batch([rows[name] for name in sorted(rows)], skipped, out / SUMMARY)


def _task(item: Item, options: dict[str, Any], out: Path) -> dict[str, Any]:
    task = {"input": str(item.path), "out": str(out / item.name), **options}
    for name in _BESIDE:
        if task.get(name) is not None:
            task[name] = str(item.path.parent / task[name])
    return task


def _key(command: str, task: dict[str, Any]) -> str:
    """What decides the result of a crystal, as one number."""
    path = Path(task["input"])
    files = [path, *(path.with_suffix(suffix) for suffix in SIBLINGS)]
    files += [Path(task[name]) for name in _BESIDE if task.get(name) is not None]
    files += [config for name in ("model", "fallback") for config in _configs(task.get(name))]
    contents = {str(file): _digest(file) for file in files}
    stated = {k: v for k, v in task.items() if k != "out"}
    text = json.dumps([command, __version__, stated, contents], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _configs(model: str | None) -> Iterator[Path]:
    """Files that say which weights a name stands for; they hold the digest of the tensors."""
    if model is not None:
        for folder in (*shipped_folders("weights"), Path()):
            yield folder / model / "config.json"


def _digest(path: Path) -> str | None:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _earlier(folder: Path, key: str) -> Row | None:
    """The row of a crystal that was done with the same key."""
    try:
        stored = json.loads(read_text(folder / DONE))
        if stored["key"] == key and (folder / "report.json").is_file():
            return {name: stored["row"][name] for name in COLUMNS}
    except (UserError, ValueError, KeyError, TypeError):
        pass
    return None


def _answers(
    command: str, tasks: dict[str, dict[str, Any]], workers: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What worker processes say of each crystal; none is left running, however this ends."""
    waiting = list(reversed(tasks.items()))
    team: dict[Worker, str] = {}
    with selectors.DefaultSelector() as selector:

        def start() -> None:
            worker = Worker(_WORKER, {"command": command})
            assert worker.process.stdout is not None
            selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
            give(worker)

        def give(worker: Worker) -> None:
            name, task = waiting.pop()
            team[worker] = name
            worker.send({"name": name, "options": task})

        def dismiss(worker: Worker) -> None:
            del team[worker]
            assert worker.process.stdout is not None
            selector.unregister(worker.process.stdout)
            worker.stop()

        try:
            for _ in range(min(workers, len(tasks))):
                start()
            while team:
                for key, _ in selector.select():
                    worker: Worker = key.data
                    messages = worker.receive()
                    if messages is None:
                        name, why = team[worker], worker.why_it_died()
                        dismiss(worker)
                        yield name, {"error": f"its process ended ({why})"}
                        if waiting:
                            start()
                        continue
                    for message in messages:
                        yield message["name"], message
                        if waiting:
                            give(worker)
                        else:
                            dismiss(worker)
        finally:
            for worker in list(team):
                worker.stop()


def _row(name: str, answer: dict[str, Any], folder: Path) -> Row:
    row: Row = dict.fromkeys(COLUMNS)
    row |= {"name": name, "directory": str(folder)}
    if "error" in answer:
        return row | {"status": "failed", "error": answer["error"]}
    content = answer["content"]
    model = content.get("model") or {}
    found = content if "engine" in content else model
    compared, reference = content.get("comparison") or {}, content.get("reference") or {}
    solved = found.get("solved")
    status = {True: "solved", False: "not solved", None: "filled"}[solved]
    return row | {
        "status": status,
        "space_group": content["space_group"],
        "volume": content["volume"],
        "d_measured": content["resolution"]["d_measured"],
        "measured": content["counts"]["measured"],
        "predicted": content["counts"].get("predicted"),
        "solved": solved,
        **{key: found.get(key) for key in ("atoms", "r1", "r1_free")},
        "model": content.get("engine", model.get("amplitudes", model.get("name"))),
        **{key: compared.get(key) for key in ("r_ext", "cc_e")},
        **{key: reference.get(key) for key in ("map_cc", "atoms_matched")},
        "seconds": content["seconds"],
        "warnings": len(answer["warnings"]),
    }


def _write_summary(path: Path, rows: dict[str, Row]) -> None:
    with replace_when_done(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows[name] for name in sorted(rows))
