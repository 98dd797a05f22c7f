"""`xrdml explain`: see what the networks learned."""

from __future__ import annotations

import argparse
from pathlib import Path

from xrdml.cli import _crystal

ENDING = "_explained"
PARTS = {
    "attention": "strongest links of XRD_Transformer, and attention to systematic absences",
    "grad-cam": "Grad-CAM of the first block of UNet and FFT_UNet",
    "sensitivity": "change of the output under noise in the measured |F|, of every network",
    "sections": "planes of reciprocal space, |R| by resolution, Patterson sections, of every model",
    "contraction": "what one application of a density prior does to phase errors of every size",
    "path": "figure of merit and map from random phases to a solution by a density prior",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join(
        [
            "WHAT is one of",
            *(f"  {name:<12} {text}" for name, text in PARTS.items()),
            f"  {'all':<12} everything that applies to the models",
            "",
            "DIR/<model>/ then holds pictures, and the numbers behind them as CSV and JSON.",
        ]
    )
    parser.add_argument("what", choices=[*PARTS, "all"], metavar="WHAT", help="what to explain, see below")
    _crystal.add_crystal_arguments(parser)
    for action in parser._actions:
        if action.dest == "input":
            action.help = "dataset (.h5), folder of CIFs, CIF, or measured .hkl"
        if action.dest == "cut":
            action.help = "ignore what was measured beyond (default 1.5 where atoms are known)"
    chosen = parser.add_argument_group("models and crystals")
    chosen.add_argument(
        "--model", action="append", metavar="NAME",
        help="name or folder of weights, or radial, ridge; may be repeated (default: all that come along)",
    )  # fmt: skip
    chosen.add_argument(
        "--entry", type=int, metavar="I",
        help="crystal of a dataset or folder that pictures show, from 0 (default: the first that suits)",
    )  # fmt: skip
    chosen.add_argument(
        "--crystals",
        type=int,
        default=20,
        metavar="N",
        help="crystals that means are taken over (default 20)",
    )
    chosen.add_argument(
        "--subset",
        choices=("all", "train", "test"),
        default="all",
        help="of a dataset or folder (default all)",
    )
    chosen.add_argument("--d-min", type=float, default=0.8, metavar="Å", help="fill to here (default 0.8)")
    chosen.add_argument(
        "--grid", metavar="h:h,k:k,l:l", help="tensor layout for a network, e.g. --grid=-13:12,0:17,0:22"
    )
    _crystal.add_search_arguments(parser)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help=f"where results go (default <input>{ENDING}, here)"
    )


def run(args: argparse.Namespace) -> int:
    from xrdml.cli._console import say
    from xrdml.cli._progress import status
    from xrdml.crystal.grid import HklGrid
    from xrdml.explain.run import ExplainOptions, explain
    from xrdml.phasing.solve import SolveOptions

    options = ExplainOptions(
        part=args.what,
        crystal=_crystal.crystal_arguments(args),
        out=args.out or Path(f"{args.input.resolve().stem or 'input'}{ENDING}"),
        models=tuple(args.model or ()),
        entry=args.entry,
        crystals=args.crystals,
        subset=args.subset,
        d_min=args.d_min,
        grid=None if args.grid is None else HklGrid.parse(args.grid),
        search=SolveOptions(
            starts=args.starts, iterations=args.iterations, seed=args.seed, seconds=args.seconds
        ),
    )
    with status() as progress:
        lines = explain(options, progress)
    say(*lines)
    return 0
