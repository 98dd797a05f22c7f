"""The recipe `random_atoms`: the random structures of the thesis, placed by cctbx.

Runs in a worker process only (see `_cctbx_first`).
"""

from __future__ import annotations

from xrdml.xrd_simulator._cctbx_first import flex

# isort: split

import random
from functools import cache

import gemmi
import numpy as np
from cctbx import crystal, sgtbx

from xrdml.crystal.cell import Cell
from xrdml.crystal.grid import GridTooSmall
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Symmetry, symmetry
from xrdml.errors import UserError
from xrdml.xrd_simulator.cells import longest_axes, random_cell
from xrdml.xrd_simulator.options import RandomAtomsOptions

MAX_ATTEMPTS = 100
# As in cctbx: places tried for one atom, and beginnings from the first atom.
MAX_TRIALS = MAX_DEAD_ENDS = 100
# Larger ones save calls, smaller ones end the search sooner.
SITES_PER_BLOCK = 8
U_MEDIAN = 0.035  # Å²
U_RANGE = (0.01, 0.2)
# Spread of ln U between crystals (their temperature) and between the atoms of one.
U_SPREAD_CRYSTALS, U_SPREAD_ATOMS = 0.3, 0.25
U_MAX_THESIS = 0.3


@cache
def space_group_info(name: str) -> sgtbx.space_group_info:
    """cctbx' space group for a symbol that :func:`xrdml.crystal.symmetry.symmetry` takes."""
    return sgtbx.space_group_info(group=sgtbx.space_group(symmetry(name).hall))


def sample(seed: int, i: int, options: RandomAtomsOptions) -> Structure:
    """Crystal i of a data set: a pure function of its arguments.

    Raises
    ------
    UserError
        No crystal of this kind could be made: a grid too small, or atoms too crowded.
    """
    rng = np.random.default_rng((seed, i))
    group = symmetry(options.space_groups[rng.integers(len(options.space_groups))])
    for _ in range(MAX_ATTEMPTS):
        structure = _attempt(rng, group, options)
        if structure is not None:
            return structure
    raise UserError(
        f"crystal {i} (seed {seed}, {group.short_name}): no cell fits the grid or no place was found for its "
        f"atoms in {MAX_ATTEMPTS} attempts; give larger bounds by --grid, or other space groups"
    )


def _attempt(rng: np.random.Generator, group: Symmetry, options: RandomAtomsOptions) -> Structure | None:
    n = int(rng.integers(options.n_atoms[0], options.n_atoms[1] + 1))
    volume = n * rng.uniform(*options.volume_per_atom) * group.order
    cell = _draw_cell(rng, group, volume, options)
    if cell is None:
        return None
    sites = _place(rng, group, cell, n, options.min_distance)
    if sites is None:
        return None
    elements = np.array([gemmi.Element(symbol).atomic_number for symbol in options.fractions], dtype=np.uint8)
    return Structure(
        cell=cell,
        space_group=group.name,
        numbers=rng.choice(elements, n, p=list(options.fractions.values())),
        frac=sites,
        u_iso=_draw_u(rng, n, options),
        occupancy=np.ones(n),
    )


def _draw_cell(
    rng: np.random.Generator, group: Symmetry, volume: float, options: RandomAtomsOptions
) -> Cell | None:
    if options.cell_shape == "free":
        return random_cell(rng, group, volume, options.grid, options.d_min)
    cell: Cell = space_group_info(group.name).any_compatible_unit_cell(volume).parameters()
    if options.grid is None or (np.array(cell[:3]) < longest_axes(group, options.grid, options.d_min)).all():
        return cell
    # Axes that are too long for |h| ≤ a/d_min can still fit: with β > 90° large h·l > 0 lie outside d_min.
    try:
        options.grid.check_fits(cell, group, options.d_min)
    except GridTooSmall:
        return None
    return cell


def _place(
    rng: np.random.Generator, group: Symmetry, cell: Cell, n: int, min_distance: float
) -> np.ndarray | None:
    """Sites (n, 3) by :func:`random_sites`, or None where it found no room."""
    random.seed(int(rng.integers(2**62)))
    flex.set_random_seed(int(rng.integers(2**31)))
    settings = crystal.special_position_settings(
        crystal.symmetry(unit_cell=cell, space_group_info=space_group_info(group.name)),
        min_distance_sym_equiv=min_distance,
        u_star_tolerance=0,
        assert_min_distance_sym_equiv=True,
    )
    try:
        return random_sites(settings, n, min_distance)
    except RuntimeError:  # cctbx could not make a site symmetry that keeps the distance
        return None


def random_sites(
    settings: crystal.special_position_settings, n: int, min_distance: float
) -> np.ndarray | None:
    """Sites (n, 3), fractional, or None after 100 dead ends.

    Draws the same numbers and finds the same sites as `cctbx.development.random_structure.random_sites`,
    which the thesis used, but measures a new site against several earlier ones in one call.
    """
    unit_cell, space_group = settings.unit_cell(), settings.space_group()
    for _ in range(MAX_DEAD_ENDS):
        sites: list[tuple[float, float, float]] = []
        blocks = [flex.vec3_double()]
        while len(sites) < n:
            for _ in range(MAX_TRIALS):
                site = (random.random(), random.random(), random.random())
                site_symmetry = sgtbx.site_symmetry(unit_cell, space_group, site, min_distance)
                equivalents = sgtbx.sym_equiv_sites(site_symmetry)
                if all(
                    sgtbx.min_sym_equiv_distance_info(equivalents, block).dist() >= min_distance
                    for block in blocks
                    if block
                ):
                    break
            else:
                break
            sites.append(site_symmetry.exact_site())
            if len(blocks[-1]) == SITES_PER_BLOCK:
                blocks.append(flex.vec3_double())
            blocks[-1].append(sites[-1])
        else:
            return np.array(sites)
    return None


def _draw_u(rng: np.random.Generator, n: int, options: RandomAtomsOptions) -> np.ndarray:
    """U_iso in Å², (n,), exact in the float32 of the dataset file."""
    if options.u_iso == "uniform":
        u = rng.uniform(0, U_MAX_THESIS, n)
    else:
        spread = rng.normal(0, U_SPREAD_CRYSTALS) + rng.normal(0, U_SPREAD_ATOMS, n)
        u = np.clip(U_MEDIAN * np.exp(spread), *U_RANGE)
    return u.astype(np.float32).astype(np.float64)
