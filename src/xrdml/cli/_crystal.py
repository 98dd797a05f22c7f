"""Options that say which crystal is meant, for every command that reads measured reflections."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_crystal_arguments(parser: argparse.ArgumentParser) -> None:
    """The input file, and where cell and space group come from."""
    parser.add_argument("input", type=Path, help="measured reflections: HKLF 4, or a CIF that holds them")
    crystal = parser.add_argument_group(
        "crystal", "cell and space group; by default from <input>.ins, .res or .cif beside the input"
    )
    crystal.add_argument("--ins", type=Path, metavar="FILE", help="SHELX .ins or .res")
    crystal.add_argument("--cif", type=Path, metavar="FILE", help="CIF")
    crystal.add_argument("--cell", metavar="a,b,c,alpha,beta,gamma", help="Å and degrees")
    crystal.add_argument("--space-group", metavar="NAME", help="P21, C2/c, 'P 1 21/n 1', …")


def crystal_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """What was given, as keywords."""
    from xrdml.crystal.cell import parse_cell

    return {
        "input": args.input,
        "ins": args.ins,
        "cif": args.cif,
        "cell": None if args.cell is None else parse_cell(args.cell.replace(",", " ").split()),
        "space_group": args.space_group,
    }
