"""The setting that a crystallographer would choose for a cell that packing left as it came."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.cell import Cell, orthogonalization
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Symmetry, symmetry, symmetry_from_operations
from xrdml.errors import UserError

STEPS = 3
"""Lattice vectors up to this many steps along each axis are tried as new axes."""


def conventional(structure: Structure) -> Structure:
    """The same crystal on its shortest axes.

    Triclinic: the three shortest, all angles acute or none. Primitive monoclinic, unique axis b: the two
    shortest in the plane, β obtuse, which makes P2₁/n of P2₁/c where that brings β nearer to 90°. Others
    stay as they are.
    """
    group = structure.symmetry
    if group.centring != "P" or group.crystal_system not in ("triclinic", "monoclinic"):
        return structure
    basis = orthogonalization(structure.cell)
    choose = _triclinic if group.crystal_system == "triclinic" else _monoclinic
    best = choose(basis)
    # A glide plane along a is by custom one along c, of exchanged axes.
    exchanged = best[:, [2, 1, 0]] * (1, -1, 1)
    for new in (best, exchanged) if group.crystal_system == "monoclinic" else (best,):
        changed = _symmetry_on(group.name, tuple(np.rint(new).astype(int).ravel().tolist()))
        if changed is not None and "a" not in changed.short_name:
            frac = structure.frac @ np.linalg.inv(new).T
            cell = _constants(basis @ new, group.crystal_system)
            return replace(structure, cell=cell, space_group=changed.name, frac=frac - np.round(frac.mean(0)))
    return structure


def _triclinic(basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients of the new axes as columns, (3, 3), determinant 1."""
    steps = _steps(3)
    steps = steps[np.argsort(np.linalg.norm(steps @ basis.T, axis=1), kind="stable")]
    a = steps[0]
    b = next(v for v in steps[1:] if np.abs(np.cross(a, v)).any())
    new = np.stack([a, b, next(v for v in steps if round(abs(np.linalg.det(np.stack([a, b, v])))) == 1)], 1)
    new[:, 2] *= round(np.linalg.det(new))
    x = basis @ new
    metric = x.T @ x
    # Of the four handed choices of signs, the one with all angles acute or none acute.
    for signs in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)):
        signed = (metric * np.outer(signs, signs))[[1, 0, 0], [2, 2, 1]]
        if (signed > 0).all() or (signed <= 0).all():
            return new * signs
    return new


def _monoclinic(basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same with the second axis kept but for its sign."""
    steps = _steps(3)
    steps = steps[steps[:, 1] == 0]
    steps = steps[np.argsort(np.linalg.norm(steps @ basis.T, axis=1), kind="stable")]
    a = steps[0]
    c = next(v for v in steps if abs(a[0] * v[2] - a[2] * v[0]) == 1)
    if (basis @ a) @ (basis @ c) > 0:
        c = -c
    new = np.stack([a, np.array([0.0, 1.0, 0.0]), c], 1)
    new[:, 1] *= round(np.linalg.det(new))
    return new


def _steps(n: int) -> NDArray[np.float64]:
    axis = np.arange(-STEPS, STEPS + 1.0)
    box = np.stack(np.meshgrid(*[axis] * n, indexing="ij"), -1).reshape(-1, n)
    return box[np.abs(box).any(1)]


@cache
def _symmetry_on(name: str, new: tuple[int, ...]) -> Symmetry | None:
    """The space group on other axes, or None where no table lists it with its origin there."""
    group = symmetry(name)
    axes = np.array(new, dtype=float).reshape(3, 3)
    inverse = np.linalg.inv(axes)
    triplets = []
    for rotation, translation in zip(group.rotations, group.translations, strict=True):
        r, t = np.rint(inverse @ rotation @ axes).astype(int), (inverse @ translation) % 1
        triplets.append(",".join(_row(r[k], t[k]) for k in range(3)))
    try:
        return symmetry_from_operations(triplets)
    except UserError:
        return None


def _row(rotation: NDArray[np.int64], translation: float) -> str:
    text = "".join("+-"[int(f < 0)] + axis for f, axis in zip(rotation, "xyz", strict=True) if f)
    return f"{text}+{round(24 * translation) % 24}/24"


def _constants(basis: NDArray[np.float64], system: str) -> Cell:
    a, b, c = np.linalg.norm(basis, axis=0).tolist()
    unit = basis / (a, b, c)
    cosines = np.clip(unit.T @ unit, -1, 1)
    alpha, beta, gamma = np.degrees(np.arccos(cosines[[1, 0, 0], [2, 2, 1]])).tolist()
    return (a, b, c, 90.0, beta, 90.0) if system == "monoclinic" else (a, b, c, alpha, beta, gamma)
