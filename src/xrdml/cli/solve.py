"""`xrdml solve`: phase a measured crystal and build its structure.

The exit status says whether the command ran, not whether the crystal was solved: that is printed, and
`solved` in report.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from xrdml.cli._crystal import add_crystal_arguments, crystal_arguments
from xrdml.cli._progress import best_so_far


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Status 0: the command ran; whether the crystal was solved is printed and stands in report.json. "
        "Status 2: bad input."
    )
    add_crystal_arguments(parser)
    parser.add_argument("--cut", type=float, metavar="Å", help="ignore what was measured beyond")
    parser.add_argument("--formula", metavar="FORMULA", help="'C12 H22 O11'; instead of SFAC and UNIT")
    parser.add_argument(
        "--z", type=int, metavar="N", help="formula units in the cell (default: from the volume)"
    )
    search = parser.add_argument_group("search")
    search.add_argument("--starts", type=int, default=32, metavar="N", help="most starts (default 32)")
    search.add_argument(
        "--iterations", type=int, default=200, metavar="N", help="iterations of each start (default 200)"
    )
    search.add_argument("--seed", type=int, default=0, metavar="N", help="of the random phases (default 0)")
    search.add_argument(
        "--engine",
        choices=("prior", "shelxt"),
        default="prior",
        help="the density prior (default), or SHELXT on the original and on the filled data",
    )
    parser.add_argument(
        "--reference", type=Path, metavar="FILE", help="CIF of a known structure to compare with"
    )
    parser.add_argument("--phases", action="store_true", help="write phased F as MTZ as well")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where results go (default <input>_solved)")


def run(args: argparse.Namespace) -> int:
    from xrdml.infer.solve import SolveRequest, solve_crystal

    request = SolveRequest(
        **crystal_arguments(args),
        out=args.out or args.input.with_name(args.input.stem + "_solved"),
        cut=args.cut,
        formula=args.formula,
        z=args.z,
        starts=args.starts,
        iterations=args.iterations,
        seed=args.seed,
        reference=args.reference,
        phases=args.phases,
    )
    with best_so_far() as progress:
        if args.engine == "shelxt":
            from xrdml.infer.solve_by_shelxt import solve_by_shelxt

            report = solve_by_shelxt(request, progress)
        else:
            report = solve_crystal(request, progress)
    for line in report.summary():
        print(line)
    for warning in report.warnings:
        print(f"warning    {warning}")
    return 0
