"""`xrdml inspect`: what the crystals of a file look like, beside published ones."""

from __future__ import annotations

import argparse
from pathlib import Path

from xrdml.cli import _options
from xrdml.cli._console import say
from xrdml.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from xrdml.cli._crystal import add_crystal_arguments

    add_crystal_arguments(parser, "dataset or molecule library (.h5), CIF, folder of CIFs, or measured .hkl")
    parser.add_argument(
        "--reference", default="published", metavar="FILE",
        help="what to set beside it: a file that --json wrote, or anything that can be inspected; "
        "none for nothing (default: statistics of 271 published organic crystals)",
    )  # fmt: skip
    parser.add_argument(
        "--limit",
        type=int,
        default=500,
        metavar="N",
        help="samples to look at, evenly through the file (default 500)",
    )
    parser.add_argument("--out", type=Path, metavar="PNG", help="picture (default <input>_inspect.png, here)")
    _options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    from xrdml.cli._crystal import crystal_arguments
    from xrdml.evaluate.inspect_figure import draw_summary
    from xrdml.evaluate.summary import published_crystals, read_summary, table

    _options.check_least(args, limit=1)
    picture = args.out or Path(f"{args.input.resolve().stem or 'input'}_inspect.png")
    if picture.suffix.lower() != ".png":
        raise UserError(f"--out {picture}: give a name that ends in .png")
    if args.reference == "published":
        reference = published_crystals()
    elif args.reference == "none":
        reference = None
    elif args.reference.endswith(".json"):
        reference = read_summary(Path(args.reference))
    else:
        reference = _summary(Path(args.reference), {}, args.limit)
    own = _summary(args.input, crystal_arguments(args), args.limit)
    draw_summary(picture, own, reference)
    written = [str(picture)]
    if args.json is not None:
        if not _options.write_json(own, args.json):
            return 0
        written.append(str(args.json))
    if own["n"] < own["total"]:
        unreadable = f", {len(own['unreadable'])} unreadable" if own["unreadable"] else ""
        say(f"{own['n']} of {own['total']} {own['kind']}{unreadable}")
    say(*table(own, reference))
    say(f"written: {', '.join(written)}")
    return 0


def _summary(path: Path, crystal: dict, limit: int) -> dict:
    from xrdml.cli._progress import progress
    from xrdml.evaluate.samples import open_collection
    from xrdml.evaluate.summary import summarise

    collection = open_collection(path, crystal)
    with progress(min(limit, collection.total), collection.kind) as done:
        return summarise(path.name or str(path), collection, limit, done)
