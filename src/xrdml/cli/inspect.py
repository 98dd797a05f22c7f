"""`xrdml inspect`: what the crystals of a file look like, beside published ones."""

from __future__ import annotations

import argparse
from pathlib import Path

from xrdml.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from xrdml.cli._crystal import add_crystal_arguments

    add_crystal_arguments(parser)
    for action in parser._actions:
        if action.dest == "input":
            action.help = "dataset or molecule library (.h5), CIF, folder of CIFs, or measured .hkl"
    parser.add_argument(
        "--reference", default="published", metavar="FILE",
        help="what to set beside it: a file that --json wrote, or anything that can be inspected; "
        "none for nothing (default: statistics of 271 published organic crystals)",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=int, default=500, help="samples to look at, evenly through the file (500)"
    )
    parser.add_argument("--out", type=Path, metavar="PNG", help="picture (default <input>_inspect.png, here)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers")


def run(args: argparse.Namespace) -> int:
    import json

    from xrdml.cli._crystal import crystal_arguments
    from xrdml.crystal.files import write_text
    from xrdml.evaluate.inspect_figure import draw_summary
    from xrdml.evaluate.summary import published_crystals, read_summary, table

    if args.limit < 1:
        raise UserError(f"--limit {args.limit}: give 1 or more")
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
    if own["n"] < own["total"]:
        unreadable = f", {len(own['unreadable'])} unreadable" if own["unreadable"] else ""
        print(f"{own['n']} of {own['total']} {own['kind']}{unreadable}")
    for line in table(own, reference):
        print(line)
    draw_summary(picture, own, reference)
    written = [str(picture)]
    if args.json is not None:
        write_text(args.json, json.dumps(own, indent=1, ensure_ascii=False) + "\n")
        written.append(str(args.json))
    print(f"written: {', '.join(written)}")
    return 0


def _summary(path: Path, crystal: dict, limit: int) -> dict:
    from xrdml.cli.simulate import progress
    from xrdml.evaluate.samples import open_collection
    from xrdml.evaluate.summary import summarise

    collection = open_collection(path, crystal)
    with progress(min(limit, collection.total), collection.kind) as done:
        return summarise(path.name or str(path), collection, limit, done)
