"""`xrdml solve`: phase a measured crystal and build its structure.

The exit status says whether the command ran, not whether the crystal was solved: that is printed, and
`solved` in report.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from xrdml.api import SOLVE_ENDING
from xrdml.cli import _batch, _crystal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _batch.EXIT_STATUS
    _crystal.add_crystal_arguments(parser, _batch.INPUT, nargs="*")
    _crystal.add_search_arguments(parser)
    parser.add_argument(
        "--engine",
        choices=("prior", "shelxt"),
        default="prior",
        help="the density prior (default), or SHELXT on the original and on the filled data",
    )
    _crystal.add_model_argument(parser, "name or folder of a density prior (default density_prior)")
    parser.add_argument(
        "--reference", type=Path, metavar="FILE", help="CIF of a known structure to compare with"
    )
    _crystal.add_batch_arguments(parser)
    _crystal.add_output_arguments(parser, SOLVE_ENDING)


def run(args: argparse.Namespace) -> int:
    from xrdml.api import solve

    return _batch.run(args, "solve", solve, SOLVE_ENDING)
