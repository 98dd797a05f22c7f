"""`xrdml report`: a result or a training run as one HTML file."""

from __future__ import annotations

import argparse
from pathlib import Path

from xrdml.cli import _options
from xrdml.cli._console import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "The file needs no network and nothing beside it: it can be mailed, printed and kept."
    parser.add_argument(
        "source", type=Path, metavar="RUN_OR_RESULT", help="folder that infer, solve or train wrote"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="HTML file to write (default RUN_OR_RESULT/report.html)"
    )


def run(args: argparse.Namespace) -> int:
    from xrdml.api import report

    say(f"written: {report(args.source, **_options.given(args, report))}")
    return 0
