"""`xrdml import-cif`: published crystals into a dataset file."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from xrdml.cli import _options
from xrdml.cli._console import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="DIR", help="folder of CIFs, or one CIF of many blocks")
    parser.add_argument("output", type=Path, metavar="OUT.h5", help="made, or resumed where it was stopped")
    parser.add_argument(
        "--elements", metavar="A,B,…",
        help="leave out crystals of others (default H,B,C,N,O,F,Si,P,S,Cl,Se,Br,I)",
    )  # fmt: skip
    parser.add_argument(
        "--hold-out", type=Path, action="append", default=[], metavar="DIR",
        help="never train on molecules of these CIFs (a benchmark's crystals); may be given several times",
    )  # fmt: skip
    _options.add_workers(parser)


def run(args: argparse.Namespace) -> int:
    from xrdml.cli._progress import progress
    from xrdml.crystal.about import element_symbol
    from xrdml.crystal.examine import ORGANIC
    from xrdml.data.import_cifs import find_cifs, import_cifs

    _options.check_least(args, workers=1)
    names = ORGANIC if args.elements is None else args.elements.split(",")
    elements = frozenset(element_symbol(name.strip()) for name in names)
    started = time.monotonic()
    with progress(len(find_cifs(args.source)), "files") as done:
        made = import_cifs(args.source, args.output, elements, args.hold_out, workers=args.workers, done=done)
    size = args.output.stat().st_size / 1e6
    say(
        f"{args.output}: {made.kept} crystals of {made.n_families} families, {made.n_test} of them for "
        f"testing, {size:.1f} MB, {time.monotonic() - started:.1f} s"
    )
    if made.left_out:
        reasons = ", ".join(f"{n} {reason}" for reason, n in made.left_out.items())
        say(f"left out: {made.blocks - made.kept} of {made.blocks} ({reasons})")
    say(f"written: {', '.join(map(str, made.files))}")
    return 0
