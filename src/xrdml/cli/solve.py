"""`xrdml solve`: phase a measured crystal and build its structure.

The exit status says whether the command ran, not whether the crystal was solved: that is printed, and
`solved` in report.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from xrdml.cli import _crystal
from xrdml.cli._progress import best_so_far

ENDING = "_solved"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Status 0: the command ran; whether the crystal was solved is printed and stands in report.json. "
        "Status 2: bad input."
    )
    _crystal.add_crystal_arguments(parser)
    _crystal.add_search_arguments(parser)
    parser.add_argument(
        "--engine",
        choices=("prior", "shelxt"),
        default="prior",
        help="the density prior (default), or SHELXT on the original and on the filled data",
    )
    parser.add_argument(
        "--weights",
        default="density_prior",
        metavar="NAME",
        help="name or folder of the density prior (default density_prior)",
    )
    parser.add_argument(
        "--reference", type=Path, metavar="FILE", help="CIF of a known structure to compare with"
    )
    _crystal.add_output_arguments(parser, ENDING)


def run(args: argparse.Namespace) -> int:
    from xrdml.infer.solve import SolveRequest, solve_crystal

    request = SolveRequest(
        **_crystal.crystal_arguments(args),
        **_crystal.search_arguments(args),
        **_crystal.output_arguments(args, ENDING),
        weights=args.weights,
        reference=args.reference,
    )
    with best_so_far() as progress:
        if args.engine == "shelxt":
            from xrdml.infer.solve_by_shelxt import solve_by_shelxt

            report = solve_by_shelxt(request, progress)
        else:
            report = solve_crystal(request, progress)
    _crystal.print_report(report)
    return 0
