"""What a crystal looks like, in numbers that can be compared between data sets.

All of it follows from coordinates, so that simulated and published crystals are measured alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray

from xrdml.crystal.cell import inverse_d_squared, volume
from xrdml.crystal.cif import DEFAULT_U_ISO
from xrdml.crystal.periodic import CellAtoms, Pairs
from xrdml.crystal.scattering import form_factor
from xrdml.crystal.statistics import normalised, shell_edges
from xrdml.crystal.structure import Structure
from xrdml.physics.structure_factors import collate, structure_factors

Array = NDArray[np.float64]

D_MIN = 0.8
"""Å; |F| and |E| are taken to this resolution."""

REACH = 4.5
"""Å; every non-H atom of a molecular crystal has an atom of another molecule within this."""

FEATURES = {
    "volume_per_non_h": "cell volume per non-H atom, Å³",
    "axis_ratio_mid": "middle / shortest axis of the cell",
    "axis_ratio_long": "longest / shortest axis of the cell",
    "beta": "90° + the largest deviation of a cell angle from 90°",
    "nearest_mean": "distance to the nearest non-H atom, mean over atoms, Å",
    "nearest_min": "the same, shortest, Å",
    "bonds_per_atom": "bonds between non-H atoms that end at an atom, mean",
    "bond_mean": "bonds between non-H atoms, mean, Å",
    "bond_std": "the same, standard deviation, Å",
    "bond_min": "the same, shortest, Å",
    "bond_max": "the same, longest, Å",
    "one_three_mean": "1–3 distances (two bonds to one atom), mean, Å",
    "one_three_std": "the same, standard deviation, Å",
    "one_three_min": "the same, shortest, Å",
    "contact_min": "shortest distance of non-H atoms of different molecules, Å",
    "contact_mean": "nearest non-H atom of another molecule, mean over atoms, Å",
    "contact_over_vdw": "shortest such distance divided by the sum of the van der Waals radii",
    "u_median": "U of non-H atoms, median, Å²",
    "u_spread": "standard deviation of ln U of non-H atoms",
    "u_max_over_median": "largest U of a non-H atom / median",
    "e_mean": "⟨|E|⟩ to 0.8 Å",
    "e2_minus_1": "⟨|E² − 1|⟩: 0.736 acentric, 0.968 centric",
    "e4_mean": "⟨|E|⁴⟩: 2 acentric, 3 centric",
}
"""Every feature and what it is, in the order of :func:`crystal_features`."""


def crystal_features(structure: Structure) -> dict[str, float]:
    """The features of one crystal, {name: value}, names and order as in `FEATURES`.

    A feature that a crystal does not have is NaN: bonds of loose atoms, contacts of a network, U's
    where a reader put `DEFAULT_U_ISO` for all. Distances leave out H and atoms with an occupancy of
    at most ½; two atoms are bonded as in :mod:`xrdml.crystal.connectivity`. About 10 ms for 20 atoms.

    Parameters
    ----------
    structure
        At least one atom.
    """
    return {
        **cell_features(structure),
        **distance_features(ordered_atoms(structure)),
        **displacement_features(structure),
        **intensity_features(amplitudes(structure)),
    }


def cell_features(structure: Structure) -> dict[str, float]:
    """Volume per non-H atom, axial ratios and the angle farthest from 90°."""
    short, mid, long = sorted(structure.cell[:3])
    atoms = (structure.weight * (structure.numbers > 1)).sum() * structure.symmetry.order
    return {
        "volume_per_non_h": volume(structure.cell) / atoms if atoms else np.nan,
        "axis_ratio_mid": mid / short,
        "axis_ratio_long": long / short,
        "beta": 90 + max(abs(angle - 90) for angle in structure.cell[3:]),
    }


def ordered_atoms(structure: Structure) -> CellAtoms:
    """Atoms that distances are taken between: not H, and not the minor part of a disorder."""
    return CellAtoms(structure, (structure.numbers > 1) & (structure.occupancy > 0.5), REACH)


def distance_features(atoms: CellAtoms) -> dict[str, float]:
    """Nearest neighbours, bonds, 1–3 distances and contacts, from :func:`ordered_atoms`."""
    nearest = nearest_distances(atoms.pairs, len(atoms))
    bonds, contacts = atoms.bonds, atoms.contacts
    bond, one_three = bonds.distance, one_three_distances(atoms)
    radius = np.array([gemmi.Element(int(z)).vdw_r for z in atoms.numbers])
    to_others = nearest_distances(contacts, len(atoms))
    over_vdw = contacts.distance / (radius[contacts.first] + radius[contacts.second])
    return {
        "nearest_mean": _of(np.mean, nearest),
        "nearest_min": _of(np.min, nearest),
        "bonds_per_atom": len(bond) / len(atoms) if len(atoms) else np.nan,
        "bond_mean": _of(np.mean, bond),
        "bond_std": _of(np.std, bond),
        "bond_min": _of(np.min, bond),
        "bond_max": _of(np.max, bond),
        "one_three_mean": _of(np.mean, one_three),
        "one_three_std": _of(np.std, one_three),
        "one_three_min": _of(np.min, one_three),
        "contact_min": _of(np.min, to_others),
        "contact_mean": _of(np.mean, to_others),
        "contact_over_vdw": _of(np.min, over_vdw),
    }


def nearest_distances(pairs: Pairs, n: int) -> Array:
    """The shortest distance in Å of each of n atoms that has one among `pairs`, (≤ n,)."""
    shortest = np.full(n, np.inf)
    np.minimum.at(shortest, pairs.first, pairs.distance)
    return shortest[np.isfinite(shortest)]


def one_three_distances(atoms: CellAtoms) -> Array:
    """Distances in Å between the ends of all pairs of bonds that meet in an atom, each once, (k,)."""
    bonds = atoms.bonds
    order = np.argsort(bonds.first, kind="stable")
    first, vector = bonds.first[order], bonds.vector[order]
    # Bonds of an atom stand together: compare each with the next, the one after, …
    found, k = [np.zeros(0)], 1
    while k < len(first) and (same := first[k:] == first[:-k]).any():
        found.append(np.linalg.norm(vector[k:][same] - vector[:-k][same], axis=1))
        k += 1
    return np.concatenate(found)


def displacement_features(structure: Structure) -> dict[str, float]:
    """U of the non-H atoms; NaN where a reader has assumed one value for all."""
    u = known_u(structure)
    return {
        "u_median": _of(np.median, u),
        "u_spread": _of(np.std, np.log(u)),
        "u_max_over_median": _of(np.max, u) / _of(np.median, u),
    }


def known_u(structure: Structure) -> Array:
    """U of the non-H atoms in Å²; none where a reader has assumed one value for all."""
    u = structure.u_iso[(structure.numbers > 1) & (structure.u_iso > 0)]
    return u[:0] if np.allclose(u, DEFAULT_U_ISO, rtol=1e-6) else u


@dataclass(frozen=True)
class Amplitudes:
    """|F| of the Laue-unique reflections with d ≥ d_min that are not systematically absent.

    Attributes
    ----------
    f
        |F|, (n,): in electrons where calculated.
    epsilon, inverse_d2, centric
        ε, 1/d² in Å⁻² and whether the phase is restricted, all (n,).
    electrons
        √Σf² over the atoms of the cell at d = ∞, in the unit of `f`; NaN where unknown.
    d_min
        Å.
    """

    f: Array
    epsilon: NDArray[np.int32]
    inverse_d2: Array
    centric: NDArray[np.bool_]
    electrons: float
    d_min: float

    @property
    def e(self) -> Array:
        """|E| with ⟨|E|²⟩ = 1 in shells of at least 50 reflections, (n,)."""
        edges = shell_edges(self.d_min, int(np.clip(len(self.f) // 50, 1, 20)))
        return normalised(self.f, self.epsilon.astype(np.float64), self.inverse_d2, edges)


def amplitudes(structure: Structure, d_min: float = D_MIN) -> Amplitudes:
    """|F| calculated from all atoms, hydrogen and disorder included."""
    group = structure.symmetry
    hkl = group.unique_reflections(structure.cell, d_min)
    with torch.no_grad():
        f = structure_factors(collate([structure]), torch.from_numpy(hkl))[0].abs().double().numpy()
    at_zero = form_factor(structure.numbers, np.zeros(len(structure)))
    return Amplitudes(
        f,
        group.epsilon(hkl),
        inverse_d_squared(structure.cell, hkl),
        group.is_centric(hkl),
        float(np.sqrt((structure.weight * group.order * at_zero**2).sum())),
        d_min,
    )


def intensity_features(given: Amplitudes) -> dict[str, float]:
    """Moments of |E|."""
    e = given.e
    return {
        "e_mean": _of(np.mean, e),
        "e2_minus_1": _of(np.mean, np.abs(e**2 - 1)),
        "e4_mean": _of(np.mean, e**4),
    }


def radial_curve(given: Amplitudes, edges: Array) -> Array:
    """√(⟨|F|²/ε⟩ / Σf(0)²) in shells of 1/d², (len(edges) − 1,): 1 for point atoms at rest.

    NaN where a shell is empty.

    Parameters
    ----------
    edges
        1/d² in Å⁻², rising.
    """
    shell = np.searchsorted(edges, given.inverse_d2, side="right") - 1
    inside = (shell >= 0) & (shell < len(edges) - 1)
    power = (given.f**2 / given.epsilon)[inside]
    n = len(edges) - 1
    count = np.bincount(shell[inside], minlength=n)
    with np.errstate(invalid="ignore"):
        return np.sqrt(np.bincount(shell[inside], power, minlength=n) / count) / given.electrons


def _of(statistic, values: Array) -> float:
    return float(statistic(values)) if len(values) else float("nan")
