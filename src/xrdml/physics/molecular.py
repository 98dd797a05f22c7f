"""Random crystals of whole molecules: drafted, packed, and described as a refinement would."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from xrdml.crystal.cell import Cell
from xrdml.crystal.molecular_options import MolecularOptions
from xrdml.crystal.structure import Structure
from xrdml.errors import UserError
from xrdml.physics.contacts import closest_distance
from xrdml.physics.drafts import (
    Arrangement,
    Draft,
    Molecules,
    draft,
    half_of,
    random_arrangement,
    rigid_crystals,
    shaken,
)
from xrdml.physics.neighbors import Pose
from xrdml.physics.packing import (
    FROM_RANDOM,
    SHAKEN,
    Schedule,
    bad_contacts,
    bent_too_far,
    own_limit,
    pack,
)
from xrdml.physics.refined import as_refined
from xrdml.physics.settings import conventional

ROUNDS, HOPELESS = 4, 14
"""Packings of a draft, one from a random start, then of what came out, shaken; and how many bad contacts
(pairs of atoms) end the attempts."""
DRAFTS = 40
"""Drafts of a crystal before it is given up."""
CRYSTALS_CPU, CRYSTALS_DEVICE = 32, 4096
"""Packed at a time."""
SHORTEST_AXIS = 3.6


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
    drafts = list(drafts)
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
            packed = _pack([drafts[k] for k in some], [arrangements[k] for k in some], schedule, device)
            for k, (drafts[k], arrangement, n_bad) in zip(some, packed, strict=True):
                del arrangements[k]
                if n_bad == 0:
                    out[k] = _structure(drafts[k], arrangement, rngs[k])
                elif n_bad <= HOPELESS:
                    arrangements[k] = shaken(drafts[k], arrangement, rngs[k])
        waiting = [k for k in waiting if k in arrangements]
    return out


@torch.no_grad()
def _pack(
    drafts: list[Draft], arrangements: list[Arrangement], schedule: Schedule, device: torch.device | str
) -> list[tuple[Draft, Arrangement, int]]:
    """Drafts with their molecules as packing has bent them, arrangements, and numbers of bad contacts."""
    bodies, volume = rigid_crystals(drafts, device)
    cells, rotations, centers = zip(*arrangements, strict=True)
    start = Pose(
        *(
            torch.from_numpy(array).to(device, torch.float32)
            for array in (np.stack(cells), np.concatenate(rotations), np.concatenate(centers))
        )
    )
    limit = own_limit(bodies, closest_distance().to(device))
    bodies, pose = pack(bodies, start, volume, schedule)
    bad = bad_contacts(bodies, pose) + bent_too_far(bodies, limit)
    bad = bad + (pose.cell.norm(dim=1).amin(1) < SHORTEST_AXIS)
    cell, rotation, center, atoms = (
        t.double().cpu().numpy() for t in (pose.cell, pose.rotation, pose.center, bodies.atoms)
    )
    out, k = [], 0
    for c, (d, n_bad) in enumerate(zip(drafts, bad.tolist(), strict=True)):
        mine = slice(k, k := k + len(d.bodies))
        bent = [(name, z, x[: len(z)]) for (name, z, _), x in zip(d.bodies, atoms[mine], strict=True)]
        out.append((replace(d, bodies=bent), (cell[c], rotation[mine], center[mine]), n_bad))
    return out


def _structure(d: Draft, arrangement: Arrangement, rng: np.random.Generator) -> Structure:
    cell, rotations, centers = arrangement
    kept = [half_of(body) if d.on_center else np.arange(len(body[1])) for body in d.bodies]
    numbers = np.concatenate([z[rows] for (_, z, _), rows in zip(d.bodies, kept, strict=True)])
    models = as_refined([(z, x) for _, z, x in d.bodies], rng)
    to_fraction = np.linalg.inv(cell)
    frac = np.concatenate(
        [
            model.positions[rows] @ rotation.T @ to_fraction.T + center - np.floor(center)
            for model, rows, rotation, center in zip(models, kept, rotations, centers, strict=True)
        ]
    )
    u = np.concatenate([model.u[rows] for model, rows in zip(models, kept, strict=True)])
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
    return conventional(Structure(constants, d.group.name, numbers, frac, u, np.ones(len(numbers))))


def _constants(cell: NDArray[np.float64]) -> Cell:
    a, b, c = np.linalg.norm(cell, axis=0).tolist()
    unit = cell / (a, b, c)
    cosines = unit.T @ unit
    alpha, beta, gamma = (math.degrees(math.acos(cosines[i, j])) for i, j in ((1, 2), (0, 2), (0, 1)))
    return (a, b, c, alpha, beta, gamma)
