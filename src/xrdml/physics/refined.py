"""What a refinement makes of a molecule: errors of positions, riding hydrogen atoms, displacements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

U_MEDIAN, U_RANGE = 0.033, (0.008, 0.25)
"""Å²; this and the spreads are those of published crystals, test families among them."""
U_SPREAD_CRYSTALS, U_SPREAD_ATOMS, U_PERIPHERY = 0.45, 0.10, 0.21
"""Spreads of ln U between crystals and between atoms, and growth from the centre outwards (libration)."""
U_VARIETY = 0.35
"""Spread of the logarithm by which the last two differ between crystals."""
U_HYDROGEN, U_HYDROGEN_ROTATING = 1.2, 1.5
"""U(H) / U of its bearer, and the same in CH₃ and OH, as is usual in refinements."""

POSITION_ERROR, ERROR_VARIETY = 0.004, 0.6
"""Å along each axis, median over crystals, and spread of its logarithm."""
RIDING = {"C2": 0.93, "C3": 0.98, "CH2": 0.97, "CH3": 0.96, "N": 0.86, "NH2": 0.86, "NH3": 0.89, "O": 0.82,
          "H2O": 0.85, "other": 0.96}  # fmt: skip
"""X–H distances in Å at room temperature as SHELXL constrains them; in the cold they are 0.02 longer."""
COLD, P_COLD = 0.02, 0.45
P_FREE, FREE_ERROR = 0.25, 0.035
"""Crystals whose H atoms were refined freely, and how much their distances then scatter, in Å."""


@dataclass(frozen=True)
class Model:
    """Cartesian coordinates in Å (n, 3) and U_iso in Å² (n,) of one molecule."""

    positions: Array
    u: Array


def as_refined(molecules: Sequence[tuple[NDArray[np.uint8], Array]], rng: np.random.Generator) -> list[Model]:
    """The molecules of one crystal, each as atomic numbers (n,) and coordinates in Å (n, 3)."""
    base = U_MEDIAN * np.exp(rng.normal(0, U_SPREAD_CRYSTALS))
    variety = np.exp(rng.normal(0, U_VARIETY))
    error = POSITION_ERROR * np.exp(rng.normal(0, ERROR_VARIETY))
    cold, free = rng.random(2) < (P_COLD, P_FREE)
    out = []
    for numbers, positions in molecules:
        bearer = bearers(numbers, positions)
        x = positions + rng.normal(0, error, positions.shape)
        lengths = hydrogen_distances(numbers, positions, bearer) + (COLD if cold else 0.0)
        hydrogen = numbers == 1
        lengths = lengths + rng.normal(0, FREE_ERROR if free else 0.0, len(lengths))
        direction = positions[hydrogen] - positions[bearer[hydrogen]]
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        x[hydrogen] = x[bearer[hydrogen]] + direction * lengths[:, None]
        u = base * displacements(numbers, positions, rng, variety)
        # Exact in the float32 of the dataset file.
        out.append(Model(x, np.clip(u, *U_RANGE).astype(np.float32).astype(np.float64)))
    return out


def bearers(numbers: NDArray[np.uint8], positions: Array) -> NDArray[np.intp]:
    """The atom that each hydrogen atom sits on, and each other atom itself, (n,)."""
    others, hydrogen = np.flatnonzero(numbers > 1), np.flatnonzero(numbers == 1)
    out = np.arange(len(numbers))
    if len(hydrogen) and len(others):
        distance = np.linalg.norm(positions[hydrogen, None] - positions[others], axis=2)
        out[hydrogen] = others[distance.argmin(1)]
    return out


def hydrogen_distances(numbers: NDArray[np.uint8], positions: Array, bearer: NDArray[np.intp]) -> Array:
    """Distances in Å of the hydrogen atoms from their bearers at room temperature, (h,)."""
    hydrogen = numbers == 1
    n_hydrogen = np.bincount(bearer[hydrogen], minlength=len(numbers))
    distance = np.linalg.norm(positions[:, None] - positions, axis=2)
    # 1.9 Å reaches all bonded non-H atoms but iodine and is nearer than any 1–3 distance.
    heavy = (distance < 1.9) & (numbers > 1) & ~np.eye(len(numbers), dtype=bool)
    n_heavy = heavy.sum(1)

    def kind(i: int) -> str:
        h, x = int(n_hydrogen[i]), int(n_heavy[i])
        if numbers[i] == 6:
            if h + x < 4:
                return "C2"
            return {1: "C3", 2: "CH2"}.get(h, "CH3")
        if numbers[i] == 7:
            return {1: "N", 2: "NH2"}.get(h, "NH3")
        return {1: "O", 2: "H2O"}[h] if numbers[i] == 8 else "other"

    return np.array([RIDING[kind(i)] for i in bearer[hydrogen]])


def displacements(
    numbers: NDArray[np.uint8], positions: Array, rng: np.random.Generator, variety: float = 1.0
) -> Array:
    """U_iso of the atoms of a molecule about 1, (n,): larger far from its centre (libration) and for H.

    Parameters
    ----------
    variety
        How much more than usual the atoms differ.
    """
    heavy = numbers > 1
    r2 = (positions**2).sum(1)
    mean = max(float(r2[heavy].mean()), 1.0)
    u = np.maximum(1 + variety * U_PERIPHERY * (r2 / mean - 1), 0.5)
    u = u * np.exp(rng.normal(0, variety * U_SPREAD_ATOMS, len(numbers)))
    bearer = bearers(numbers, positions)
    hydrogen = ~heavy
    rotates = (np.bincount(bearer[hydrogen], minlength=len(numbers)) >= 3) | (numbers == 8)
    ratio = np.where(rotates, U_HYDROGEN_ROTATING, U_HYDROGEN)
    u[hydrogen] = (u * ratio)[bearer[hydrogen]]
    return u
