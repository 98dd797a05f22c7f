"""`xrdml molecules`: make the library that molecular crystals are packed from."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from xrdml.cli import _options
from xrdml.cli._console import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("output", type=Path, metavar="OUT.h5", help="made, or resumed where it was stopped")
    _options.add_n(parser, 200_000, "distinct molecules")
    _options.add_seed(parser, "the library depends on this and --n alone")
    _options.add_workers(parser)


def run(args: argparse.Namespace) -> int:
    from xrdml.cli._progress import progress
    from xrdml.xrd_simulator.library import build_library

    _options.check_least(args, n=1, workers=1, seed=0)
    started = time.monotonic()
    with progress(args.n, "molecules") as made:
        tried = build_library(args.output, args.n, args.seed, workers=args.workers, made=made)
    size = args.output.stat().st_size / 1e6
    say(
        f"{args.output}: {args.n} distinct molecules of {tried}, {size:.1f} MB, "
        f"{time.monotonic() - started:.1f} s"
    )
    return 0
