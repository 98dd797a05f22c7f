"""The fault campaign: `make reliability` tries everything and writes docs/reliability.md.

Each part leaves its rows in results/reliability/<part>.json; `--only` runs some parts again, and the page is
made of all that are there.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests")]

from reliability import fuzz, kill, places, sizes  # noqa: E402
from reliability.rows import Row  # noqa: E402

RESULTS = ROOT / "results/reliability"
PAGE = ROOT / "docs/reliability.md"
PARTS = ("fuzz", "guided", "kill", "places", "sizes")


def rows_of(part: str, args: argparse.Namespace, place: Path) -> Iterator[Row]:
    from fuzzing import fast_folder

    if part in ("fuzz", "guided"):
        with tempfile.TemporaryDirectory(dir=fast_folder(place)) as folder:
            inner = Path(folder) / "files"
            inner.mkdir()
            yield from (
                fuzz.run(args.inputs, inner) if part == "fuzz" else fuzz.run_guided(args.guided, inner)
            )
    elif part == "kill":
        yield from kill.run(args.kills, place)
    elif part == "places":
        yield from places.run(place)
    else:
        yield from sizes.run(place, args.every_setting)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="*", default=list(PARTS), choices=PARTS)
    parser.add_argument("--inputs", type=int, default=100_000, help="damaged files (%(default)s)")
    parser.add_argument("--guided", type=int, default=60_000, help="led by coverage (%(default)s)")
    parser.add_argument("--kills", type=int, default=50, help="runs that are killed (%(default)s)")
    parser.add_argument("--every-setting", action="store_true", help="564 settings instead of 230 groups")
    args = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    for part in args.only:
        started, found = time.monotonic(), []
        with tempfile.TemporaryDirectory(prefix=f"reliability-{part}-") as folder:
            for row in rows_of(part, args, Path(folder)):
                found.append(row.to_json())
                print(
                    f"{row.survived:6} of {row.tried:6}  {row.fault}  ({'; '.join(row.remarks)})", flush=True
                )
                about = {
                    "date": str(date.today()),
                    "commit": _commit(),
                    "seconds": time.monotonic() - started,
                }
                (RESULTS / f"{part}.json").write_text(json.dumps({**about, "rows": found}, indent=1) + "\n")
        write_page()
    print(f"written: {PAGE}")


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip()


def write_page() -> None:
    """docs/reliability.md from the rows of every part that was run."""
    lines = [
        "# Faults tried and survived",
        "",
        f"Made by `make reliability` on {platform.machine()}, Python {platform.python_version()}. "
        'Parts run again by `make reliability ARGS="--only kill places"`. A fast share is in the test suite.',
        "",
        "| fault | counts as survived | tried | survived | remarks |",
        "|---|---|---|---|---|",
    ]
    made = []
    for part in PARTS:
        path = RESULTS / f"{part}.json"
        if not path.exists():
            continue
        content = json.loads(path.read_text())
        made.append(
            f"{part}: {content['date']}, commit {content['commit']}, {content['seconds'] / 60:.0f} min"
        )
        for row in content["rows"]:
            remarks = "; ".join(row["remarks"]).replace("|", "\\|").replace("\n", " ")
            verdict = row["survived"] if row["survived"] == row["tried"] else f"**{row['survived']}**"
            lines.append(f"| {row['fault']} | {row['expected']} | {row['tried']} | {verdict} | {remarks} |")
    lines += ["", f"Parts: {'; '.join(made)}.", ""]
    notes = RESULTS / "notes.md"
    if notes.exists():
        lines += [notes.read_text(encoding="utf-8").strip(), ""]
    PAGE.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
