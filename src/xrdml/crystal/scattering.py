"""Neutral-atom scattering factors, International Tables C (1992), table 6.1.1.4."""

from __future__ import annotations

from functools import lru_cache

import gemmi
import numpy as np
from numpy.typing import NDArray

MAX_ATOMIC_NUMBER = 98


@lru_cache(maxsize=1)
def it92_table() -> NDArray[np.float64]:
    """Cromer–Mann coefficients a1–a4, b1–b4 (Å²), c of the neutral atoms, shape (99, 9).

    Row Z belongs to the element of atomic number Z; row 0 is zero, so that padding scatters
    nothing. f(s) = Σ aᵢ exp(−bᵢ s²) + c in electrons, s = sinθ/λ = 1/2d in Å⁻¹.
    """
    table = np.zeros((MAX_ATOMIC_NUMBER + 1, 9))
    for z in range(1, MAX_ATOMIC_NUMBER + 1):
        table[z] = gemmi.Element(z).it92.get_coefs()
    return table


def form_factor(z: int | NDArray[np.integer], s_squared: NDArray[np.float64]) -> NDArray[np.float64]:
    """f in electrons at s² = (sinθ/λ)² in Å⁻²; z and s² broadcast against each other."""
    coefs = it92_table()[z]
    s2 = np.asarray(s_squared)[..., None]
    return (coefs[..., :4] * np.exp(-coefs[..., 4:8] * s2)).sum(-1) + coefs[..., 8]
