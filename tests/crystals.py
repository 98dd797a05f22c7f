"""Made-up crystals for tests, and a structure-factor sum that shares no code with the package."""

from __future__ import annotations

import gemmi
import numpy as np

from xrdml.crystal.structure import Structure
from xrdml.errors import UserError

MONOCLINIC = (7.7, 8.7, 10.8, 90.0, 103.0, 90.0)


def random_structure(space_group="P 1 21 1", cell=MONOCLINIC, n=20, seed=0, u_iso=0.04) -> Structure:
    """C, N and O atoms at random: no chemistry, but Wilson's assumptions hold."""
    rng = np.random.default_rng(seed)
    return Structure(
        cell=cell,
        space_group=space_group,
        numbers=rng.choice(np.array([6, 6, 6, 7, 8], dtype=np.uint8), n),
        frac=rng.random((n, 3)),
        u_iso=np.full(n, u_iso),
        occupancy=np.ones(n),
    )


def direct_sum(structure: Structure, hkl: np.ndarray) -> np.ndarray:
    """F(hkl), (n,) complex, one atom and one operation at a time, from gemmi's tables alone."""
    unit_cell = gemmi.UnitCell(*structure.cell)
    inverse_d2 = np.array([unit_cell.calculate_1_d2(list(map(int, h))) for h in hkl])
    total = np.zeros(len(hkl), dtype=complex)
    operations = list(gemmi.SpaceGroup(structure.space_group).operations())
    for z, x, u, w in zip(structure.numbers, structure.frac, structure.u_iso, structure.weight, strict=True):
        f = np.array([gemmi.Element(int(z)).it92.calculate_sf(q / 4) for q in inverse_d2])
        f = f * w * np.exp(-2 * np.pi**2 * u * inverse_d2)
        for op in operations:
            total += f * np.exp(2j * np.pi * (hkl @ np.array(op.apply_to_xyz(x.tolist()))))
    return total


def complaint(call, *args) -> str:
    """What a call tells the user when it refuses its input; empty where it succeeds.

    Any other exception is a bug and goes through.
    """
    try:
        call(*args)
    except UserError as error:
        return str(error)
    return ""
