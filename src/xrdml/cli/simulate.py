"""`xrdml simulate`: make random crystals into an HDF5 file."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from xrdml.cli import _options
from xrdml.cli._console import say
from xrdml.cli._progress import progress

THESIS_GRID = "-13:12,0:17,0:22"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("output", type=Path, metavar="OUT.h5", help="made, resumed or extended to --n")
    _options.add_n(parser, 1000, "crystals in the file")
    parser.add_argument(
        "--space-groups", default="P21,C2", metavar="A,B,…", help="equally often (default P21,C2)"
    )
    parser.add_argument(
        "--recipe", default="random_atoms", metavar="NAME",
        help="random_atoms: the thesis' loose atoms (default); molecular: packed molecules of a library",
    )  # fmt: skip
    parser.add_argument(
        "--molecules", type=Path, metavar="FILE",
        help="for --recipe molecular: made by `xrdml molecules`",
    )  # fmt: skip
    parser.add_argument(
        "--thesis", action="store_true",
        help="the original's crystals: one cell shape, U uniform on 0–0.3 Å², a quarter Cl",
    )  # fmt: skip
    _options.add_seed(parser, "crystal i depends on this and i alone")
    _options.add_workers(parser)
    parser.add_argument(
        "--shard", metavar="i/n",
        help="make only part i of n, 1 to n, on one of n machines that share the folder; when all parts are "
        "there, the same command without --shard joins them",
    )  # fmt: skip
    parser.add_argument(
        "--grid", default=THESIS_GRID, metavar="h:h,k:k,l:l",
        help=f"only cells whose reflections fit here, written --grid=… (default {THESIS_GRID}), or none",
    )  # fmt: skip
    tensors = parser.add_argument_group("pairs of |F| tensors beside the coordinates")
    tensors.add_argument("--tensors", action="store_true", help="store them, about 9 kB a crystal")
    tensors.add_argument(
        "--d-min-low", type=float, default=1.5, metavar="Å", help="of the input (default 1.5)"
    )
    tensors.add_argument(
        "--d-min-high", type=float, default=0.8, metavar="Å", help="of the target and the grid (default 0.8)"
    )


def run(args: argparse.Namespace) -> int:
    from xrdml.api import simulate

    started, added = time.monotonic(), 0
    with progress(args.n) as show:

        def made(k: int) -> None:
            nonlocal added
            added += k
            show(k)

        simulate(args.output, args.n, **_options.given(args, simulate), progress=made)
    seconds = time.monotonic() - started
    if args.shard is not None:
        say(f"{args.output}.parts: part {args.shard} is there, {added} crystals, {seconds:.1f} s")
    elif not added:
        say(f"{args.output}: holds {args.n} crystals or more already; nothing to do")
    else:
        size = args.output.stat().st_size / 1e6
        say(f"{args.output}: {args.n} crystals ({added} new), {size:.1f} MB, {seconds:.1f} s")
    return 0
