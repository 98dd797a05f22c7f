"""Damaged files for every reader: mutated at random, and led by coverage where atheris is installed."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from reliability.rows import Row

TESTS = Path(__file__).resolve().parents[2] / "tests"
SLOWEST = 5.0
"""Seconds of processor time; an input that takes longer counts as a hang."""
MOST_MEMORY = 500
"""MB that the peak may grow while one reader is fuzzed."""


class _Hang(BaseException):
    pass


def _on_alarm(*_: object) -> None:
    raise _Hang


def run(inputs: int, place: Path, seed: int = 1) -> Iterator[Row]:
    """`inputs` damaged files in all, most for the readers that are quick."""
    import fuzzing

    quick, slow = fuzzing.readers(), fuzzing.torch_readers()
    signal.signal(signal.SIGVTALRM, _on_alarm)
    share = inputs // (len(quick) + len(slow) - 1)
    for name, reader in {**quick, **slow}.items():
        # Hydra composes for 50 ms: a hundredth as many.
        n = share // 100 if name == "configuration" else share
        yield _fuzz(name, reader, max(n, 1), place, random.Random(f"{seed} {name}"))


def _fuzz(name: str, reader, n: int, place: Path, rng: random.Random) -> Row:
    import fuzzing

    row = Row(f"damaged file: {name}", "read, or refused by one line; no traceback, hang or memory blow-up")
    seeds = reader.seeds()
    taken, worst, before = 0, 0.0, _peak()
    for _ in range(n):
        data = fuzzing.mutated(seeds, rng)
        started, failure = time.process_time(), None
        signal.setitimer(signal.ITIMER_VIRTUAL, SLOWEST)
        try:
            taken += fuzzing.refuses_or_reads(reader, data, place)
        except (Exception, _Hang) as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            failure = (
                f"{type(error).__name__}: {str(error)[:80]} ({Path(where.filename).name}:{where.lineno})"
            )
            kept = place.parent / f"failed-{row.tried}{reader.suffix}"
            kept.write_bytes(data)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        worst = max(worst, time.process_time() - started)
        row.count(failure)
    grown = _peak() - before
    if grown > MOST_MEMORY:
        row.survived -= 1
        row.remarks.append(f"the peak of memory grew by {grown:.0f} MB")
    row.remarks.insert(0, f"{taken} were read; slowest {worst * 1000:.0f} ms; peak of memory +{grown:.0f} MB")
    return row


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


TARGET = """
import sys
import atheris
with atheris.instrument_imports(include=["xrdml"]):
    import fuzzing
    reader = fuzzing.readers()[sys.argv[1]]
from pathlib import Path
folder = Path(sys.argv[2])
corpus = folder / "corpus"
corpus.mkdir()
for i, seed in enumerate(reader.seeds()):
    (corpus / str(i)).write_bytes(seed[:4000])
def one(data):
    fuzzing.refuses_or_reads(reader, data, folder)
atheris.Setup([sys.argv[0], f"-runs={sys.argv[3]}", "-timeout=30", "-rss_limit_mb=3000", "-max_len=4000",
               "-verbosity=0", "-print_final_stats=1", str(corpus)], one)
atheris.Fuzz()
"""


def run_guided(inputs: int, place: Path) -> Iterator[Row]:
    """Led by coverage (libFuzzer): a crash, a hang of 30 s or 3 GB of memory ends a reader's run."""
    try:
        import atheris  # noqa: F401
    except ImportError:
        return
    names = ("HKLF 4", "INS", "RES with atoms", "CIF structure", "CIF reflections", "whole measurement")
    for name in names:
        row = Row(f"damaged file, led by coverage: {name}", "as above")
        folder = place / name.replace(" ", "-")
        folder.mkdir()
        command = [sys.executable, "-c", TARGET, name, str(folder), str(inputs // len(names))]
        paths = os.pathsep.join([str(TESTS), *filter(None, sys.path)])
        environment = {**os.environ, "PYTHONPATH": paths}
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", cwd=folder, env=environment
        )
        stats = dict(
            line.removeprefix("stat::").split(":", 1)
            for line in done.stderr.splitlines()
            if line.startswith("stat::")
        )
        row.tried = int(stats.get("number_of_executed_units", 0))
        corpus = len(list((folder / "corpus").iterdir()))
        row.survived = row.tried if done.returncode == 0 and row.tried else row.tried - 1
        row.remarks.append(f"{corpus} inputs that reached new code")
        if done.returncode:
            row.remarks.append(done.stderr[-300:])
        yield row
