"""`xrdml simulate`: make random crystals into an HDF5 file."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from xrdml.errors import UserError

if TYPE_CHECKING:
    from xrdml.crystal.grid import HklGrid
    from xrdml.crystal.molecular_options import MolecularOptions
    from xrdml.crystal.store import TensorLayout
    from xrdml.xrd_simulator.options import RandomAtomsOptions

THESIS_GRID = "-13:12,0:17,0:22"
SECONDS_BETWEEN_LINES = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("output", type=Path, metavar="OUT.h5", help="made, resumed or extended to --n")
    parser.add_argument("--n", type=int, default=1000, help="crystals in the file (default 1000)")
    parser.add_argument(
        "--space-groups", default="P21,C2", metavar="A,B,…", help="equally often (default P21,C2)"
    )
    parser.add_argument(
        "--recipe", default="random_atoms",
        help="random_atoms: the thesis' loose atoms (default); molecular: packed molecules of a library",
    )  # fmt: skip
    parser.add_argument(
        "--molecules", type=Path, metavar="LIBRARY.h5",
        help="for --recipe molecular: made by `xrdml molecules`",
    )  # fmt: skip
    parser.add_argument(
        "--thesis", action="store_true",
        help="the original's crystals: one cell shape, U uniform on 0–0.3 Å², a quarter Cl",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="crystal i depends on this and i alone")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1,
        help="processes; the file does not depend on it (default: one a core)",
    )  # fmt: skip
    parser.add_argument(
        "--grid", default=THESIS_GRID, metavar="h:h,k:k,l:l",
        help=f"only cells whose reflections fit here, written --grid=… (default {THESIS_GRID}), or none",
    )  # fmt: skip
    tensors = parser.add_argument_group("pairs of |F| tensors beside the coordinates")
    tensors.add_argument("--tensors", action="store_true", help="store them, about 9 kB a crystal")
    tensors.add_argument("--d-min-low", type=float, default=1.5, metavar="Å", help="of the input (1.5)")
    tensors.add_argument(
        "--d-min-high", type=float, default=0.8, metavar="Å", help="of the target and the grid (0.8)"
    )


def run(args: argparse.Namespace) -> int:
    from xrdml.crystal.grid import HklGrid
    from xrdml.xrd_simulator.options import WORKERS
    from xrdml.xrd_simulator.simulate import describe, simulate

    if args.recipe not in WORKERS:
        raise UserError(f"unknown recipe '{args.recipe}'; there is: {', '.join(WORKERS)}")
    for name, least in (("n", 1), ("workers", 1), ("seed", 0)):
        if getattr(args, name) < least:
            raise UserError(f"--{name} {getattr(args, name)}: give {least} or more")
    if not 0.3 <= args.d_min_high < args.d_min_low <= 10:
        raise UserError(
            f"--d-min-low {args.d_min_low:g}, --d-min-high {args.d_min_high:g}: give 0.3 ≤ high < low ≤ 10 Å"
        )
    grid = None if args.grid == "none" else HklGrid.parse(args.grid)
    names = [name for name in args.space_groups.split(",") if name.strip()]
    options = (
        _molecular(args, names, grid) if args.recipe == "molecular" else _random_atoms(args, names, grid)
    )
    attributes = describe(options, args.seed, _layout(args, grid), args.recipe)

    started = time.monotonic()
    with progress(args.n) as made:
        added = simulate(args.output, args.n, attributes, workers=args.workers, made=made)
    if not added:
        print(f"{args.output}: holds {args.n} crystals or more already; nothing to do")
    else:
        size = args.output.stat().st_size / 1e6
        seconds = time.monotonic() - started
        print(f"{args.output}: {args.n} crystals ({added} new), {size:.1f} MB, {seconds:.1f} s")
    return 0


def _random_atoms(args: argparse.Namespace, names: list[str], grid: HklGrid | None) -> RandomAtomsOptions:
    from xrdml.xrd_simulator.options import RandomAtomsOptions

    if args.molecules:
        raise UserError("--molecules belongs to --recipe molecular; add it, or leave --molecules out")
    return RandomAtomsOptions.make(names, grid=grid, d_min=args.d_min_high, thesis=args.thesis)


def _molecular(args: argparse.Namespace, names: list[str], grid: HklGrid | None) -> MolecularOptions:
    from xrdml.crystal.molecular_options import MolecularOptions

    if args.molecules is None:
        raise UserError("--recipe molecular needs --molecules LIBRARY.h5; make one by `xrdml molecules`")
    if args.thesis or args.tensors:
        raise UserError("--thesis and --tensors belong to --recipe random_atoms; leave them out")
    return MolecularOptions.make(names, args.molecules, grid=grid, d_min=args.d_min_high)


def _layout(args: argparse.Namespace, grid: HklGrid | None) -> TensorLayout | None:
    from xrdml.crystal.store import TensorLayout

    if not args.tensors:
        return None
    if grid is None:
        raise UserError("--tensors needs bounds; write --grid=-13:12,0:17,0:22 or larger instead of none")
    return TensorLayout(grid, args.d_min_low, args.d_min_high)


@contextmanager
def progress(n: int, what: str = "crystals") -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, a line now and then elsewhere; both on standard error."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed or 0:.0f} {what}/s")

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _PlainProgress(n, what)
        return
    columns = (BarColumn(), MofNCompleteColumn(), Speed(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=n)
        yield lambda k: bar.advance(task, k)


class _PlainProgress:
    def __init__(self, n: int, what: str):
        self.n, self.what = n, what
        self.done = 0
        self.started = self.last = time.monotonic()

    def __call__(self, k: int) -> None:
        self.done += k
        now = time.monotonic()
        if now - self.last > SECONDS_BETWEEN_LINES:
            self.last = now
            speed = self.done / (now - self.started)
            print(f"{self.done} of {self.n} {self.what}, {speed:.0f}/s", file=sys.stderr, flush=True)
