"""What a data set is to hold, from the options of `xrdml simulate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xrdml.crystal.grid import HklGrid
from xrdml.crystal.molecular_options import MolecularOptions
from xrdml.crystal.store import TensorLayout
from xrdml.errors import UserError
from xrdml.xrd_simulator.options import WORKERS, RandomAtomsOptions
from xrdml.xrd_simulator.simulate import describe


def parse_shard(text: str) -> tuple[int, int]:
    """``i/n``, part i of n, counted from 1.

    Raises
    ------
    UserError
        Not of that form, or i outside 1 … n.
    """
    i, slash, n = text.partition("/")
    if not (slash and i.isdecimal() and n.isdecimal() and 1 <= int(i) <= int(n)):
        raise UserError(f"--shard {text[:20]}: write i/n with i from 1 to n, e.g. 1/8")
    return int(i), int(n)


def requested(
    *,
    space_groups: Sequence[str],
    recipe: str,
    molecules: str | Path | None,
    thesis: bool,
    seed: int,
    grid: str | None,
    tensors: bool,
    d_min_low: float,
    d_min_high: float,
) -> dict[str, Any]:
    """The description that :func:`xrdml.xrd_simulator.simulate.simulate` takes.

    Parameters
    ----------
    grid
        Bounds h:h,k:k,l:l; None or ``none`` leaves the cells free.
    d_min_low, d_min_high
        Å; of the tensors, and the second of the grid.

    Raises
    ------
    UserError
        An option that is out of range, unknown, or belongs to another recipe.
    """
    if recipe not in WORKERS:
        raise UserError(f"unknown recipe '{recipe}'; there is: {', '.join(WORKERS)}")
    if not 0.3 <= d_min_high < d_min_low <= 10:
        raise UserError(
            f"--d-min-low {d_min_low:g}, --d-min-high {d_min_high:g}: give 0.3 ≤ high < low ≤ 10 Å"
        )
    if seed < 0:
        raise UserError(f"--seed {seed}: give 0 or more")
    bounds = None if grid in (None, "none") else HklGrid.parse(str(grid))
    options: RandomAtomsOptions | MolecularOptions
    if recipe == "molecular":
        if molecules is None:
            raise UserError("--recipe molecular needs --molecules LIBRARY.h5; make one by `xrdml molecules`")
        if thesis or tensors:
            raise UserError("--thesis and --tensors belong to --recipe random_atoms; leave them out")
        options = MolecularOptions.make(space_groups, Path(molecules), grid=bounds, d_min=d_min_high)
    else:
        if molecules:
            raise UserError("--molecules belongs to --recipe molecular; add it, or leave --molecules out")
        options = RandomAtomsOptions.make(space_groups, grid=bounds, d_min=d_min_high, thesis=thesis)
    layout = None
    if tensors:
        if bounds is None:
            raise UserError("--tensors needs bounds; write --grid=-13:12,0:17,0:22 or larger instead of none")
        layout = TensorLayout(bounds, d_min_low, d_min_high)
    return describe(options, seed, layout, recipe)
