"""kill -9 at random moments: nothing half-written is seen, and the same command ends as if unbroken."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reliability import forked
from reliability.rows import Row

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "data_samples"
# What a run cannot repeat: when, where and how fast it ran.
FLEETING = {"seconds", "seconds_solving", "directory", "input"}
SHARES = {"simulate": 8, "molecules": 6, "import-cif": 6, "train": 10, "infer": 8, "solve": 8, "powder": 4}
"""Of every 50 kills."""


@dataclass(frozen=True)
class Scenario:
    """A command that is killed.

    Attributes
    ----------
    argv
        The words of the command, for a folder to work in; called again for the repetition.
    results
        The files that count, by name, as something comparable; raises on a file that is half-written.
    """

    argv: Callable[[Path], list[str]]
    results: Callable[[Path], dict[str, object]]


def scenarios(data: Path) -> dict[str, Scenario]:
    """By the name of the command; `data` holds what they read."""
    sample = str(data / "para.hkl")
    search = ["--starts", "1", "--iterations", "8", "--seed", "1"]
    published = ROOT.parent / "shared/data/structures"
    cifs = published if published.is_dir() else SAMPLES
    return {
        "simulate": Scenario(
            lambda d: ["simulate", str(d / "x.h5"), "--n", "500", "--workers", "1"],
            lambda d: _bytes(d, "x.h5"),
        ),
        "molecules": Scenario(
            lambda d: ["molecules", str(d / "x.h5"), "--n", "150", "--workers", "1"],
            lambda d: _bytes(d, "x.h5"),
        ),
        "import-cif": Scenario(
            lambda d: ["import-cif", str(cifs), str(d / "x.h5"), "--workers", "1"],
            lambda d: _bytes(d, "x.h5"),
        ),
        "train": Scenario(_train_words, _checkpoints),
        "infer": Scenario(
            lambda d: ["infer", sample, *search, "--out", str(d / "out")], lambda d: _folder(d / "out")
        ),
        "solve": Scenario(
            lambda d: ["solve", sample, *search, "--phases", "--out", str(d / "out")],
            lambda d: _folder(d / "out"),
        ),
        "powder": Scenario(
            lambda d: [
                "powder", str(SAMPLES / "simulated_small.h5"), "--n", "60", "--workers", "1",
                "--out", str(d / "x.h5"),
            ],
            lambda d: _bytes(d, "x.h5"),
        ),
    }  # fmt: skip


def _train_words(folder: Path) -> list[str]:
    words = [
        "train", f"run.dir={folder / 'run'}", f"data.path={folder.parent / 'data/crystals.h5'}",
        "model.width=4",
        "data.grid=-5:5,0:5,0:6", "data.d_min_low=2", "data.d_min_high=1.2", "data.batch_size=5",
        "trainer.threads=1", "trainer.max_epochs=4", "trainer.save_minutes=0", "logger=none",
        f"export={folder / 'weights'}",
    ]  # fmt: skip
    return [*words, "ckpt=last"] if (folder / "run/last.ckpt").exists() else words


def _bytes(folder: Path, name: str) -> dict[str, object]:
    path = folder / name
    return {name: path.read_bytes()} if path.exists() else {}


def _folder(folder: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in _visible(folder):
        if path.suffix == ".json":
            content = json.loads(path.read_text())
            content.get("model", {}).pop("seconds", None) if isinstance(content.get("model"), dict) else None
            found[path.name] = {k: v for k, v in content.items() if k not in FLEETING}
        else:
            found[path.name] = path.read_bytes()
    return found


def _checkpoints(folder: Path) -> dict[str, object]:
    import torch

    found: dict[str, object] = {}
    for path in (folder / "run").glob("*.ckpt"):
        state = torch.load(path, weights_only=True)["state_dict"]
        if path.name == "last.ckpt":
            found[path.name] = {name: value.numpy().tobytes() for name, value in state.items()}
    if (folder / "weights/config.json").exists():
        found["weights"] = (folder / "weights/model.safetensors").read_bytes()
    return found


def _visible(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.glob("*")) if path.is_file() and not path.name.startswith("."))


def _prepare(place: Path) -> None:
    """What the commands read."""
    sys.path.insert(0, str(ROOT / "tests"))
    from crystals import random_structure
    from xrdml.crystal.store import write_store

    data = place / "data"
    data.mkdir()
    for suffix in (".hkl", ".ins"):
        shutil.copy(SAMPLES / f"paracetamol_1p5{suffix}", data / f"para{suffix}")
    cell = (5.1, 6.2, 7.3, 90.0, 103.0, 90.0)
    crystals = [random_structure("P 1 21 1", cell, n=5, seed=i) for i in range(30)]
    write_store(data / "crystals.h5", crystals, {"recipe": "random", "seed": 0})
    forked.prepare()


def run(kills: int, place: Path, seed: int = 1) -> Iterator[Row]:
    """Kill `kills` runs in all, shared out over the commands as `SHARES` says."""
    _prepare(place)
    rng = random.Random(seed)
    total = sum(SHARES.values())
    for name, scenario in scenarios(place / "data").items():
        row = Row(
            f"`kill -9` of `xrdml {name}`",
            "no file half-written; the same command again ends with the result of an unbroken run",
        )
        whole = place / f"{name}-whole"
        whole.mkdir()
        ended = forked.run(scenario.argv(whole), place / f"{name}.log")
        if ended.code != 0:
            row.count(f"the unbroken run ended with {ended.code}: {ended.said[-300:]}")
            yield row
            continue
        expected = scenario.results(whole)
        before_end = 0
        for i in range(max(1, round(kills * SHARES[name] / total))):
            folder = place / f"{name}-{i}"
            folder.mkdir()
            failure, was_killed = _one(
                scenario, folder, place / f"{name}.log", rng.uniform(0, ended.seconds), expected
            )
            before_end += was_killed
            row.count(failure)
            shutil.rmtree(folder, ignore_errors=failure is None)
        row.remarks.insert(0, f"{before_end} were still running; an unbroken run took {ended.seconds:.1f} s")
        yield row


def _one(
    scenario: Scenario, folder: Path, log: Path, delay: float, expected: dict[str, object]
) -> tuple[str | None, bool]:
    pid = forked.start(scenario.argv(folder), log)
    time.sleep(delay)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    was_killed = os.WIFSIGNALED(status)
    try:
        for name, content in scenario.results(folder).items():
            # A checkpoint on the way is whole, and differs from the last one.
            if name != "last.ckpt" and content != expected.get(name):
                return f"after {delay:.2f} s {name} is not what an unbroken run writes", was_killed
    except Exception as error:
        return f"after {delay:.2f} s a file cannot be read: {error!r}", was_killed
    again = forked.run(scenario.argv(folder), log)
    if again.code != 0:
        return f"after {delay:.2f} s the repetition ended with {again.code}: {again.said[-300:]}", was_killed
    got = scenario.results(folder)
    if got != expected:
        differing = [n for n in {**expected, **got} if expected.get(n) != got.get(n)]
        return f"after {delay:.2f} s the repetition differs in {', '.join(differing)}", was_killed
    left = [
        str(p.relative_to(folder)) for p in folder.rglob("*") if p.name.startswith(".") or ".part" in p.name
    ]
    return (f"after {delay:.2f} s left behind: {', '.join(left)}" if left else None), was_killed
