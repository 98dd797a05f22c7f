"""What the commands that read measured reflections have in common: options, and how they end."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xrdml.cli import _options
from xrdml.cli._console import say, warn

if TYPE_CHECKING:
    from xrdml.infer.report import Report
    from xrdml.infer.solve_report import SolveReport


def add_crystal_arguments(
    parser: argparse.ArgumentParser,
    what: str = "measured reflections: HKLF 4, or a CIF that holds them",
    nargs: str | None = None,
) -> None:
    """The input, and where cell, space group and contents come from."""
    parser.add_argument("input", type=Path, nargs=nargs, help=what)
    crystal = parser.add_argument_group(
        "crystal", "cell, space group and formula; by default from <input>.ins, .res or .cif beside the input"
    )
    crystal.add_argument("--ins", type=Path, metavar="FILE", help="SHELX .ins or .res")
    crystal.add_argument("--cif", type=Path, metavar="FILE", help="CIF")
    crystal.add_argument("--cell", metavar="a,b,c,alpha,beta,gamma", help="Å and degrees")
    crystal.add_argument("--space-group", metavar="NAME", help="P21, C2/c, 'P 1 21/n 1', …")
    crystal.add_argument("--formula", metavar="FORMULA", help="'C12 H22 O11'; instead of SFAC and UNIT")
    crystal.add_argument(
        "--z", type=int, metavar="N", help="formula units in the cell (default: from the volume)"
    )
    crystal.add_argument("--cut", type=float, metavar="Å", help="ignore what was measured beyond")


def crystal_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """What was given, as keywords."""
    from xrdml.crystal.cell import parse_cell

    return {
        "input": args.input,
        "ins": args.ins,
        "cif": args.cif,
        "cell": None if args.cell is None else parse_cell(args.cell.replace(",", " ").split()),
        "space_group": args.space_group,
        "formula": args.formula,
        "z": args.z,
        "cut": args.cut,
    }


def add_search_arguments(parser: argparse.ArgumentParser) -> None:
    """How hard to try to solve the crystal."""
    search = parser.add_argument_group("search", "how the crystal is solved")
    search.add_argument("--starts", type=int, default=64, metavar="N", help="most starts (default 64)")
    search.add_argument(
        "--iterations", type=int, default=200, metavar="N", help="iterations of each start (default 200)"
    )
    search.add_argument(
        "--seconds",
        type=float,
        default=float("inf"),
        metavar="S",
        help="end the search after so long (default: no limit)",
    )
    search.add_argument("--seed", type=int, default=0, metavar="N", help="of the random phases (default 0)")


def add_batch_arguments(parser: argparse.ArgumentParser) -> None:
    """Many crystals at a time."""
    batch = parser.add_argument_group(
        "batch",
        "a folder or several files: --out is the folder of all results and of summary.csv; --ins, --cif and "
        "--reference are names in the folder of each crystal; what is done already is skipped",
    )
    batch.add_argument("--list", type=Path, metavar="FILE", help="text file with one input a line")
    _options.add_workers(batch)


def add_model_argument(parser: argparse.ArgumentParser, what: str) -> None:
    """The model that is asked first."""
    parser.add_argument("--model", default="density_prior", metavar="NAME", help=what)


def add_output_arguments(parser: argparse.ArgumentParser, ending: str) -> None:
    """Where results go, and phases among them."""
    parser.add_argument(
        "--phases", action="store_true", help="write phased F of a solved crystal, as MTZ and in the CIF"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"where results go (default <input>{ending})")


def print_report(report: Report | SolveReport) -> None:
    """Its summary, then its warnings."""
    say(*report.summary())
    for warning in report.warnings:
        warn(warning)
