"""`xrdml info`: what is installed, what it runs on, and the weights that come with it."""

from __future__ import annotations

import argparse

from xrdml.cli import _options
from xrdml.cli._console import say

PRINTS_ITS_PRODUCT = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    from xrdml.infer.about import about, lines

    facts = about()
    if args.json is not None:
        if _options.write_json(facts, args.json):
            say(f"written: {args.json}")
        return 0
    say(*lines(facts))
    return 0
