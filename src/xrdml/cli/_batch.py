"""`xrdml infer` and `xrdml solve` of more than one crystal."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from xrdml.cli import _crystal, _options
from xrdml.cli._console import say
from xrdml.cli._progress import best_so_far, progress
from xrdml.errors import UserError

EXIT_SOME_FAILED = 3
INPUT = "measured reflections: HKLF 4, or a CIF that holds them; several, or a folder, for a batch"
EXIT_STATUS = (
    "Status 0: the command ran; whether a crystal was solved is printed and stands in report.json. Status 2: "
    "bad input. Status 3: some crystals of a batch failed; the others are done."
)


def run(args: argparse.Namespace, command: str, call: Callable, ending: str) -> int:
    """One crystal, or all of a folder, of several files, or of a list."""
    options = _options.given(args, call)
    if not args.input and args.list is None:
        raise UserError("no input; give a file with reflections, a folder of them, or --list FILE")
    if len(args.input) == 1 and args.list is None and not args.input[0].is_dir():
        with best_so_far() as show:
            report = call(args.input[0], **options, progress=show)
        _crystal.print_report(report)
        return 0
    return _run_batch(args, command, options, ending)


def _run_batch(args: argparse.Namespace, command: str, options: dict, ending: str) -> int:
    from xrdml.infer.batch import run_batch
    from xrdml.infer.batch_inputs import find_items

    _options.check_least(args, workers=1)
    single = args.input[0] if len(args.input) == 1 and args.list is None else None
    default = (
        Path(f"batch{ending}")
        if single is None
        else single.resolve().with_name(single.resolve().name + ending)
    )
    out = options.pop("out") or default
    items = find_items(args.input, args.list, out)
    with progress(len(items)) as done:
        batch = run_batch(
            command,
            items,
            {k: str(v) if isinstance(v, Path) else v for k, v in options.items() if k != "progress"},
            out,
            workers=args.workers,
            done=done,
        )
    say(*batch.table(), batch.total())
    return EXIT_SOME_FAILED if batch.failed else 0
