"""Made-up crystals for tests, and a structure-factor sum that shares no code with the package."""

from __future__ import annotations

import gemmi
import numpy as np

from xrdml.crystal.cell import metric
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


def spread_structure(group, n, cell=MONOCLINIC, seed=0, numbers=(6, 6, 7, 8)) -> Structure:
    """Atoms at least 1.4 Å from each other and from all images."""
    rng = np.random.default_rng(seed)
    empty = Structure(cell, group, np.zeros(0, np.uint8), np.zeros((0, 3)), np.zeros(0), np.zeros(0))
    frac = np.zeros((0, 3))
    while len(frac) < n:
        trial = np.concatenate([frac, rng.random((1, 3))])
        if distances(trial[-1:], trial, empty)[0, 1:].min() > 1.4:
            frac = trial
    z = rng.choice(np.array(numbers, np.uint8), n)
    return Structure(cell, group, z, frac, rng.uniform(0.02, 0.06, n), np.ones(n))


def distances(a: np.ndarray, b: np.ndarray, structure: Structure) -> np.ndarray:
    """From sites a to all images of sites b in Å, sorted, (len(a), …)."""
    group = structure.symmetry
    images = (np.einsum("sij,nj->sni", group.rotations, b) + group.translations[:, None]).reshape(-1, 3)
    delta = a[:, None] - images
    delta -= np.round(delta)
    return np.sort(np.sqrt(np.einsum("abi,ij,abj->ab", delta, metric(structure.cell), delta)), 1)


def tabulated(z: int, s2: float) -> float:
    """f of International Tables C by gemmi."""
    return gemmi.Element(z).it92.calculate_sf(s2)


def direct_sum(structure: Structure, hkl: np.ndarray, form_factor=tabulated) -> np.ndarray:
    """F(hkl), (n,) complex, one atom and one operation at a time, from gemmi's tables alone."""
    unit_cell = gemmi.UnitCell(*structure.cell)
    inverse_d2 = np.array([unit_cell.calculate_1_d2(list(map(int, h))) for h in hkl])
    total = np.zeros(len(hkl), dtype=complex)
    operations = list(gemmi.SpaceGroup(structure.space_group).operations())
    for z, x, u, w in zip(structure.numbers, structure.frac, structure.u_iso, structure.weight, strict=True):
        f = np.array([form_factor(int(z), q / 4) for q in inverse_d2])
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
