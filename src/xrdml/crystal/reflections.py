"""Reflection lists, and the merging of symmetry equivalents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.symmetry import Hkl, Symmetry

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Reflections:
    """Measured intensities, merged or not.

    Attributes
    ----------
    hkl
        Miller indices, (n, 3) int32.
    intensity
        F² on the scale of the file, (n,) float64; noise makes weak ones negative.
    sigma
        Standard uncertainty of the intensity, (n,) float64.
    """

    hkl: Hkl
    intensity: Array
    sigma: Array

    def __post_init__(self) -> None:
        n = len(self.hkl)
        expected = {"hkl": (n, 3), "intensity": (n,), "sigma": (n,)}
        for name, shape in expected.items():
            got = np.shape(getattr(self, name))
            if got != shape:
                raise ValueError(f"{name}: expected shape {shape}, got {got}")

    def __len__(self) -> int:
        return len(self.hkl)


@dataclass(frozen=True)
class Merged:
    """Unique reflections with the agreement of their observations.

    Attributes
    ----------
    reflections
        Laue-unique (Friedel mates merged), sorted by h, k, l; systematic absences are kept.
    redundancy
        Observations behind each unique reflection, (n,).
    r_int
        Σ|I − ⟨I⟩| / ΣI over the observations of reflections measured more than once; None where
        nothing was measured twice. As in SHELXL, absences do not count.
    r_sigma
        Σσ(⟨I⟩) / Σ⟨I⟩ over the unique reflections without absences; NaN without intensity.
    """

    reflections: Reflections
    redundancy: NDArray[np.int64]
    r_int: float | None
    r_sigma: float


def merge(reflections: Reflections, symmetry: Symmetry) -> Merged:
    """Average symmetry equivalents with weights 1/σ².

    The σ of a mean is the larger of 1/√Σw, what the single σ's promise, and
    √(Σw(I − ⟨I⟩)² / ((n − 1)Σw)), what the scatter shows: as in cctbx and SHELXL.

    An observation with σ ≤ 0 (rejected by the integration program, or rounded away) has no weight
    where the reflection has others; where it has none, the plain mean is taken, with the median σ
    of the data for each observation.

    Parameters
    ----------
    reflections
        Any equivalents, in any order.

    Raises
    ------
    ValueError
        No reflection, or none with a positive σ.
    """
    positive = reflections.sigma > 0
    if not positive.any():
        raise ValueError("nothing to merge: no reflection has a positive sigma")
    unique, group = _groups(symmetry.to_asu(reflections.hkl))
    n = len(unique)
    intensity = reflections.intensity

    has_sigma = np.bincount(group, positive, minlength=n) > 0
    counts = positive | ~has_sigma[group]
    sigma = np.where(positive, reflections.sigma, np.median(reflections.sigma[positive]))
    # Weights relative to the best observation of each reflection: no overflow on any scale.
    best = np.full(n, np.inf)
    np.minimum.at(best, group[counts], sigma[counts])
    weight = np.where(counts, (best[group] / sigma) ** 2, 0.0)

    total = np.bincount(group, weight, minlength=n)
    mean = np.bincount(group, weight * intensity, minlength=n) / total
    deviation = intensity - mean[group]
    used = np.bincount(group, counts, minlength=n)
    scatter = np.bincount(group, weight * deviation**2, minlength=n) / (np.maximum(used - 1, 1) * total)
    merged_sigma = np.sqrt(np.maximum(best**2 / total, scatter))

    redundancy = np.bincount(group, minlength=n)
    allowed = ~symmetry.is_absent(unique)
    repeated = (allowed & (used > 1))[group] & counts
    denominator = intensity[repeated].sum()
    r_int = float(np.abs(deviation[repeated]).sum() / denominator) if denominator > 0 else None
    signal = mean[allowed].sum()
    r_sigma = float(merged_sigma[allowed].sum() / signal) if signal > 0 else float("nan")
    return Merged(Reflections(unique, mean, merged_sigma), redundancy, r_int, r_sigma)


def _groups(hkl: Hkl) -> tuple[Hkl, NDArray[np.intp]]:
    """Distinct rows of `hkl`, sorted by h, k, l, and the number of the row that each entry is."""
    low = hkl.min(0).astype(np.int64)
    span = hkl.max(0) - low + 1
    h, k, l = (hkl - low).T
    # One integer a reflection: np.unique over rows is twenty times slower.
    key = (h * span[1] + k) * span[2] + l
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    return np.ascontiguousarray(hkl[first], dtype=np.int32), group
