"""The unit cell: resolution of reflections and the check of user-given cells."""

from __future__ import annotations

from collections.abc import Sequence

import gemmi
import numpy as np
from numpy.typing import NDArray

from xrdml.errors import UserError

Cell = tuple[float, float, float, float, float, float]
"""a, b, c in Å; α, β, γ in degrees."""


def parse_cell(values: Sequence[float | str]) -> Cell:
    """Check six cell constants.

    Parameters
    ----------
    values
        a, b, c in Å; α, β, γ in degrees.

    Raises
    ------
    UserError
        Not six numbers, lengths outside 1–1000 Å, angles outside 10–170°, or angles that no
        lattice can have (their volume would be zero or imaginary).
    """
    text = ",".join(str(v)[:20] for v in values[:7])
    try:
        numbers = [float(v) for v in values]
    except ValueError:
        raise UserError(
            f"cell '{text}' holds something that is not a number; give a,b,c,alpha,beta,gamma"
        ) from None
    if len(numbers) != 6:
        raise UserError(f"cell '{text}' has {len(numbers)} numbers, not 6; give a,b,c,alpha,beta,gamma")
    a, b, c, alpha, beta, gamma = numbers
    if not all(1 <= x <= 1000 for x in (a, b, c)):
        raise UserError(f"cell '{text}': the lengths must lie between 1 and 1000 Å")
    cos = np.cos(np.radians([alpha, beta, gamma]))
    volume_squared = 1 - (cos**2).sum() + 2 * cos.prod()
    if not all(10 <= x <= 170 for x in (alpha, beta, gamma)) or not volume_squared > 1e-6:
        raise UserError(f"cell '{text}': no lattice has these angles; give degrees, not radians or cosines")
    return (a, b, c, alpha, beta, gamma)


def volume(cell: Cell) -> float:
    """Cell volume in Å³."""
    return float(gemmi.UnitCell(*cell).volume)


def reciprocal_metric(cell: Cell) -> NDArray[np.float64]:
    """Reciprocal metric tensor G*, shape (3, 3), Å⁻²; 1/d² = h·G*·h."""
    m = gemmi.UnitCell(*cell).reciprocal_metric_tensor()
    return np.array([[m.u11, m.u12, m.u13], [m.u12, m.u22, m.u23], [m.u13, m.u23, m.u33]])


def metric(cell: Cell) -> NDArray[np.float64]:
    """Direct metric tensor G, shape (3, 3), Å²; |x|² = x·G·x for fractional x."""
    m = gemmi.UnitCell(*cell).metric_tensor()
    return np.array([[m.u11, m.u12, m.u13], [m.u12, m.u22, m.u23], [m.u13, m.u23, m.u33]])


def orthogonalization(cell: Cell) -> NDArray[np.float64]:
    """Matrix O, shape (3, 3), with Cartesian x = O·fractional in Å (a along x, c* along z)."""
    return np.array(gemmi.UnitCell(*cell).orth.mat.tolist())


def inverse_d_squared(cell: Cell, hkl: NDArray[np.integer]) -> NDArray[np.float64]:
    """1/d² in Å⁻² of reflections, shape (..., 3) → (...)."""
    h = np.asarray(hkl, dtype=np.float64)
    return np.einsum("...i,...i->...", h @ reciprocal_metric(cell), h)


def d_spacing(cell: Cell, hkl: NDArray[np.integer]) -> NDArray[np.float64]:
    """d in Å of reflections, shape (..., 3) → (...); infinite for 0 0 0."""
    with np.errstate(divide="ignore"):
        return 1 / np.sqrt(inverse_d_squared(cell, hkl))


def index_limits(cell: Cell, d_min: float) -> tuple[int, int, int]:
    """Largest |h|, |k|, |l| of any reflection with d ≥ d_min: |h| ≤ a/d_min and so on."""
    return tuple(int(np.floor(length / d_min + 1e-9)) for length in cell[:3])  # type: ignore[return-value]
