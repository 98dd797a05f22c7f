"""Random crystals of whole molecules: drafted, packed, and given displacements."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from xrdml.crystal.cell import Cell
from xrdml.crystal.molecular_options import MolecularOptions
from xrdml.crystal.structure import Structure
from xrdml.errors import UserError
from xrdml.physics.drafts import (
    Arrangement,
    Draft,
    Molecules,
    draft,
    random_arrangement,
    rigid_crystals,
    shaken,
)
from xrdml.physics.neighbors import Pose
from xrdml.physics.packing import FROM_RANDOM, SHAKEN, Schedule, bad_contacts, pack

ROUNDS, HOPELESS = 4, 10
"""Packings of a draft, one from a random start, then of what came out, shaken; and how many bad contacts
(pairs of atoms) end the attempts."""
DRAFTS = 40
"""Drafts of a crystal before it is given up."""
CRYSTALS_CPU, CRYSTALS_DEVICE = 32, 4096
"""Packed at a time."""
SHORTEST_AXIS = 3.6

U_MEDIAN, U_RANGE = 0.034, (0.008, 0.2)
"""Å², of 197 published crystals."""
U_SPREAD_CRYSTALS, U_SPREAD_ATOMS, U_PERIPHERY = 0.40, 0.09, 0.18
U_HYDROGEN, U_HYDROGEN_ROTATING = 1.2, 1.5
"""U(H) / U of its bearer, and the same in CH₃ and OH, as is usual in refinements."""


def make_crystals(
    molecules: Molecules,
    options: MolecularOptions,
    seed: int,
    indices: Sequence[int],
    device: torch.device | str = "cpu",
) -> list[Structure]:
    """Crystals of these numbers without bad contacts.

    The result is a pure function of the arguments, `indices` as a whole: in another company a crystal's
    last digits differ, and packing amplifies them.

    Raises
    ------
    UserError
        One could not be packed, or not within the grid, in `DRAFTS` drafts.
    """
    done: dict[int, Structure] = {}
    for attempt in range(DRAFTS):
        waiting = [i for i in indices if i not in done]
        rngs = [np.random.default_rng((seed, i, attempt)) for i in waiting]
        packed = pack_drafts([draft(molecules, options, rng) for rng in rngs], rngs, device)
        done |= {i: s for i, s in zip(waiting, packed, strict=True) if s is not None and options.admits(s)}
        if len(done) == len(indices):
            return [done[i] for i in indices]
    first = next(i for i in indices if i not in done)
    raise UserError(
        f"crystal {first} (seed {seed}): none of {DRAFTS} packed and fitted the grid {options.grid}; "
        "give larger bounds by --grid, or other space groups"
    )


def pack_drafts(
    drafts: Sequence[Draft],
    rngs: Sequence[np.random.Generator],
    device: torch.device | str = "cpu",
    rounds: int = ROUNDS,
) -> list[Structure | None]:
    """Pack each draft, by its own random generator; None where bad contacts remain after all rounds."""
    at_a_time = CRYSTALS_CPU if torch.device(device).type == "cpu" else CRYSTALS_DEVICE
    # Of similar size together: a batch is as wide as its largest molecule.
    waiting = sorted(
        range(len(drafts)), key=lambda k: max(len(numbers) for _, numbers, _ in drafts[k].bodies)
    )
    out: list[Structure | None] = [None] * len(drafts)
    arrangements = {k: random_arrangement(drafts[k], rngs[k]) for k in waiting}
    for schedule in [FROM_RANDOM] + [SHAKEN] * (rounds - 1):
        for first in range(0, len(waiting), at_a_time):
            some = waiting[first : first + at_a_time]
            packed, bad = _pack([drafts[k] for k in some], [arrangements[k] for k in some], schedule, device)
            for k, arrangement, n_bad in zip(some, packed, bad, strict=True):
                del arrangements[k]
                if n_bad == 0:
                    out[k] = _structure(drafts[k], arrangement, rngs[k])
                elif n_bad <= HOPELESS:
                    arrangements[k] = shaken(arrangement, rngs[k])
        waiting = [k for k in waiting if k in arrangements]
    return out


@torch.no_grad()
def _pack(
    drafts: list[Draft], arrangements: list[Arrangement], schedule: Schedule, device: torch.device | str
) -> tuple[list[Arrangement], list[int]]:
    """Packed arrangements, and the numbers of their bad contacts."""
    bodies, volume = rigid_crystals(drafts, device)
    cells, rotations, centers = zip(*arrangements, strict=True)
    start = Pose(
        *(
            torch.from_numpy(array).to(device, torch.float32)
            for array in (np.stack(cells), np.concatenate(rotations), np.concatenate(centers))
        )
    )
    pose = pack(bodies, start, volume, schedule)
    bad = bad_contacts(bodies, pose) + (pose.cell.norm(dim=1).amin(1) < SHORTEST_AXIS)
    cell, rotation, center = (t.double().cpu().numpy() for t in (pose.cell, pose.rotation, pose.center))
    ends = np.cumsum([len(d.bodies) for d in drafts])[:-1]
    return list(zip(cell, np.split(rotation, ends), np.split(center, ends), strict=True)), bad.tolist()


def _structure(d: Draft, arrangement: Arrangement, rng: np.random.Generator) -> Structure:
    cell, rotations, centers = arrangement
    to_fraction = np.linalg.inv(cell)
    frac = np.concatenate(
        [
            x @ rotation.T @ to_fraction.T + center - np.floor(center)
            for (_, _, x), rotation, center in zip(d.bodies, rotations, centers, strict=True)
        ]
    )
    constants = _constants(cell)
    if d.group.crystal_system == "monoclinic":
        a, b, c, _, beta, _ = constants
        if beta < 90:
            # Half a turn about c: the same crystal, its obtuse angle named β as is the custom.
            frac *= (-1, -1, 1)
            beta = 180 - beta
        constants = (a, b, c, 90.0, beta, 90.0)
    elif d.group.crystal_system == "orthorhombic":
        constants = (*constants[:3], 90.0, 90.0, 90.0)
    numbers = np.concatenate([z for _, z, _ in d.bodies])
    base = U_MEDIAN * np.exp(rng.normal(0, U_SPREAD_CRYSTALS))
    u = np.concatenate([displacements(z, x, rng) for _, z, x in d.bodies])
    # Exact in the float32 of the dataset file.
    u = np.clip(base * u, *U_RANGE).astype(np.float32).astype(np.float64)
    return Structure(constants, d.group.name, numbers, frac, u, np.ones(len(numbers)))


def _constants(cell: NDArray[np.float64]) -> Cell:
    a, b, c = np.linalg.norm(cell, axis=0).tolist()
    unit = cell / (a, b, c)
    cosines = unit.T @ unit
    alpha, beta, gamma = (math.degrees(math.acos(cosines[i, j])) for i, j in ((1, 2), (0, 2), (0, 1)))
    return (a, b, c, alpha, beta, gamma)


def displacements(
    numbers: NDArray[np.uint8], positions: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """U_iso of the atoms of a molecule about 1, (n,): larger far from its centre (libration) and for H."""
    heavy = numbers > 1
    r2 = (positions**2).sum(1)
    mean = max(float(r2[heavy].mean()), 1.0)
    u = np.maximum(1 + U_PERIPHERY * (r2 / mean - 1), 0.5) * np.exp(
        rng.normal(0, U_SPREAD_ATOMS, len(numbers))
    )
    if heavy.all():
        return u
    hydrogen, others = np.flatnonzero(~heavy), np.flatnonzero(heavy)
    distance = np.linalg.norm(positions[hydrogen, None] - positions[others], axis=2)
    bearer = others[distance.argmin(1)]
    rotates = (np.bincount(bearer, minlength=len(numbers)) >= 3) | (numbers == 8)
    u[hydrogen] = u[bearer] * np.where(rotates[bearer], U_HYDROGEN_ROTATING, U_HYDROGEN)
    return u
