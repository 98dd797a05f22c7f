"""`xrdml infer`: fill a measured crystal."""

from __future__ import annotations

import argparse
from pathlib import Path

from xrdml.cli._crystal import add_crystal_arguments, crystal_arguments
from xrdml.cli._progress import best_so_far


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_crystal_arguments(parser)
    parser.add_argument(
        "--cut", type=float, metavar="Å", help="ignore what was measured beyond, and compare with it"
    )
    parser.add_argument("--d-min", type=float, default=0.8, metavar="Å", help="fill to here (default 0.8)")
    parser.add_argument(
        "--model",
        default="density_prior",
        metavar="NAME",
        help="density_prior (default: solve the crystal), radial, ridge, or the name or folder of weights",
    )
    parser.add_argument(
        "--grid", metavar="h:h,k:k,l:l", help="tensor layout for a network, e.g. --grid=-13:12,0:17,0:22"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where results go (default <input>_filled)")
    parser.add_argument("--no-figures", action="store_true", help="write no pictures")


def run(args: argparse.Namespace) -> int:
    from xrdml.crystal.grid import HklGrid
    from xrdml.infer.pipeline import InferOptions, infer

    options = InferOptions(
        **crystal_arguments(args),
        out=args.out or args.input.with_name(args.input.stem + "_filled"),
        cut=args.cut,
        d_min=args.d_min,
        model=args.model,
        grid=None if args.grid is None else HklGrid.parse(args.grid),
        figures=not args.no_figures,
    )
    with best_so_far() as progress:
        report = infer(options, progress)
    for line in report.summary():
        print(line)
    for warning in report.warnings:
        print(f"warning    {warning}")
    return 0
