"""`xrdml molecules`: make the library that molecular crystals are packed from."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from xrdml.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("output", type=Path, metavar="OUT.h5", help="made, or resumed where it was stopped")
    parser.add_argument("--n", type=int, default=200_000, help="distinct molecules (default 200000)")
    parser.add_argument("--seed", type=int, default=1, help="the library depends on this and --n alone")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)"
    )


def run(args: argparse.Namespace) -> int:
    from xrdml.cli.simulate import progress
    from xrdml.xrd_simulator.library import build_library

    for name, least in (("n", 1), ("workers", 1), ("seed", 0)):
        if getattr(args, name) < least:
            raise UserError(f"--{name} {getattr(args, name)}: give {least} or more")
    started = time.monotonic()
    with progress(args.n, "molecules") as made:
        tried = build_library(args.output, args.n, args.seed, workers=args.workers, made=made)
    size = args.output.stat().st_size / 1e6
    print(
        f"{args.output}: {args.n} distinct molecules of {tried}, {size:.1f} MB, "
        f"{time.monotonic() - started:.1f} s"
    )
    return 0
