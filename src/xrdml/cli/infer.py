"""`xrdml infer`: fill a measured crystal."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=Path, help="measured reflections: HKLF 4, or a CIF that holds them")
    crystal = parser.add_argument_group(
        "crystal", "cell and space group; by default from <input>.ins, .res or .cif beside the input"
    )
    crystal.add_argument("--ins", type=Path, metavar="FILE", help="SHELX .ins or .res")
    crystal.add_argument("--cif", type=Path, metavar="FILE", help="CIF")
    crystal.add_argument("--cell", metavar="a,b,c,alpha,beta,gamma", help="Å and degrees")
    crystal.add_argument("--space-group", metavar="NAME", help="P21, C2/c, 'P 1 21/n 1', …")
    parser.add_argument(
        "--cut", type=float, metavar="Å", help="ignore what was measured beyond, and compare with it"
    )
    parser.add_argument("--d-min", type=float, default=0.8, metavar="Å", help="fill to here (default 0.8)")
    parser.add_argument(
        "--model", default="density_prior", metavar="NAME",
        help="density_prior (default: solve the crystal), radial, ridge, or the name or folder of weights such as unet",
    )  # fmt: skip
    parser.add_argument(
        "--grid", metavar="h:h,k:k,l:l", help="tensor layout for a network, e.g. --grid=-13:12,0:17,0:22"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where results go (default <input>_filled)")
    parser.add_argument("--no-figures", action="store_true", help="write no pictures")


def run(args: argparse.Namespace) -> int:
    from xrdml.crystal.cell import parse_cell
    from xrdml.crystal.grid import HklGrid
    from xrdml.infer.pipeline import InferOptions, infer

    report = infer(
        InferOptions(
            input=args.input,
            out=args.out or args.input.with_name(args.input.stem + "_filled"),
            ins=args.ins,
            cif=args.cif,
            cell=None if args.cell is None else parse_cell(args.cell.replace(",", " ").split()),
            space_group=args.space_group,
            cut=args.cut,
            d_min=args.d_min,
            model=args.model,
            grid=None if args.grid is None else HklGrid.parse(args.grid),
            figures=not args.no_figures,
        )
    )
    for line in report.summary():
        print(line)
    for warning in report.warnings:
        print(f"warning    {warning}")
    return 0
