"""`xrdml infer`: fill a measured crystal."""

from __future__ import annotations

import argparse

from xrdml.api import INFER_ENDING
from xrdml.cli import _batch, _crystal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "With --cut the prediction is compared with what was cut off. " + _batch.EXIT_STATUS
    _crystal.add_crystal_arguments(parser, _batch.INPUT, nargs="*")
    _crystal.add_search_arguments(parser)
    parser.add_argument("--d-min", type=float, default=0.8, metavar="Å", help="fill to here (default 0.8)")
    _crystal.add_model_argument(
        parser,
        "density_prior (default: solve the crystal), radial, ridge, or the name or folder of weights",
    )
    parser.add_argument(
        "--fallback",
        metavar="NAME",
        help="what fills a crystal that is not solved: radial, ridge, or the name or folder of a tensor "
        "network (default: what was measured to be best; ridge, where that cannot take the crystal)",
    )
    parser.add_argument(
        "--grid", metavar="h:h,k:k,l:l", help="tensor layout for a network, e.g. --grid=-13:12,0:17,0:22"
    )
    _crystal.add_batch_arguments(parser)
    _crystal.add_output_arguments(parser, INFER_ENDING)
    parser.add_argument("--no-figures", dest="figures", action="store_false", help="write no pictures")


def run(args: argparse.Namespace) -> int:
    from xrdml.api import fill

    return _batch.run(args, "infer", fill, INFER_ENDING)
