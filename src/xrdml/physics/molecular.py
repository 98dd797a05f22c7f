"""Random crystals of whole molecules: drafted, packed, and given displacements."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from xrdml.crystal.cell import Cell
from xrdml.crystal.structure import Structure
from xrdml.errors import UserError
from xrdml.physics.drafts import Draft, MolecularOptions, Molecules, draft, random_start, rigid_crystals
from xrdml.physics.neighbors import Pose
from xrdml.physics.packing import bad_contacts, pack

ROUNDS, ROUNDS_PER_DRAFT = 60, 3
"""Rounds of packing before a crystal is given up, and those spent on one draft."""
STARTS = 2
"""Starts of a crystal in a round."""
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
    """Crystals of these numbers, each the best of its starts without bad contacts.

    The result is a pure function of the arguments, `indices` as a whole: in another company a crystal's
    last digits differ, and packing amplifies them.

    Raises
    ------
    UserError
        One could not be packed in `ROUNDS` rounds.
    """
    done: dict[int, Structure] = {}
    for round_ in range(ROUNDS):
        waiting = [i for i in indices if i not in done]
        if not waiting:
            break
        drafts = [
            draft(molecules, options, np.random.default_rng((seed, i, round_ // ROUNDS_PER_DRAFT)))
            for i in waiting
        ]
        rngs = [np.random.default_rng((seed, i, round_, 1)) for i in waiting]
        for i, structure in zip(waiting, try_to_pack(drafts, rngs, device), strict=True):
            if structure is not None:
                done[i] = structure
    missing = [i for i in indices if i not in done]
    if missing:
        raise UserError(f"crystal {missing[0]} of seed {seed}: no packing found; take another seed")
    return [done[i] for i in indices]


def try_to_pack(
    drafts: Sequence[Draft], rngs: Sequence[np.random.Generator], device: torch.device | str = "cpu"
) -> list[Structure | None]:
    """One round: `STARTS` packings of each draft; None where all have bad contacts.

    Parameters
    ----------
    rngs
        One generator for each draft.
    """
    at_a_time = (CRYSTALS_CPU if torch.device(device).type == "cpu" else CRYSTALS_DEVICE) // STARTS
    # Of similar size together: a batch is as wide as its largest molecule.
    order = sorted(range(len(drafts)), key=lambda k: max(len(numbers) for _, numbers, _ in drafts[k].bodies))
    out: list[Structure | None] = [None] * len(drafts)
    for first in range(0, len(order), at_a_time):
        some = order[first : first + at_a_time]
        packed = _pack([drafts[k] for k in some], [rngs[k] for k in some], device)
        for k, structure in zip(some, packed, strict=True):
            out[k] = structure
    return out


@torch.no_grad()
def _pack(
    drafts: list[Draft], rngs: list[np.random.Generator], device: torch.device | str
) -> list[Structure | None]:
    copies = [d for d in drafts for _ in range(STARTS)]
    bodies, _, volume = rigid_crystals(copies, device)
    start = random_start(copies, [rng for rng in rngs for _ in range(STARTS)], device)
    pose = pack(bodies, start, volume)
    good = (bad_contacts(bodies, pose) == 0) & (pose.cell.norm(dim=1).amin(1) > SHORTEST_AXIS)
    first_good = [good[k : k + STARTS].nonzero()[:1, 0].tolist() for k in range(0, len(copies), STARTS)]
    host = Pose(*(t.double().cpu() for t in (pose.cell, pose.rotation, pose.center)))
    body = np.cumsum([0, *(len(d.bodies) for d in copies)])
    out: list[Structure | None] = []
    for k, (d, rng, found) in enumerate(zip(drafts, rngs, first_good, strict=True)):
        if not found:
            out.append(None)
            continue
        c = k * STARTS + found[0]
        rows = slice(int(body[c]), int(body[c + 1]))
        out.append(
            _structure(d, host.cell[c].numpy(), host.rotation[rows].numpy(), host.center[rows].numpy(), rng)
        )
    return out


def _structure(
    d: Draft,
    cell: NDArray[np.float64],
    rotations: NDArray[np.float64],
    centers: NDArray[np.float64],
    rng: np.random.Generator,
) -> Structure:
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
