"""Powder patterns of many crystals at once, on any device: structure factors → lines → profile.

An integrated intensity is m |F|² LP times the share of its wavelength, with m the multiplicity and
LP = (1 + A cos²2θ) / (sin²θ cosθ), where A is cos²2θ of the monochromator (1 without one). |F| has no
anomalous scattering; the displacement factors are those of the structure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrdml.crystal.cell import d_spacing
from xrdml.crystal.radiation import Scan
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Hkl, Symmetry
from xrdml.physics.powder_render import Instrument, render
from xrdml.physics.structure_factors import collate, structure_factors

MARGIN = 1.0
"""Degrees beyond the ends of a scan from which lines still come: their tails reach in."""


@dataclass(frozen=True)
class PowderReflections:
    """Laue-unique reflections in order of falling d.

    Attributes
    ----------
    hkl, multiplicity, d
        (n, 3); number of equivalents, Friedel mates included, (n,); Å, (n,).
    f
        |F| in electrons per cell, (n,).
    """

    hkl: Hkl
    multiplicity: NDArray[np.int64]
    d: NDArray[np.float64]
    f: NDArray[np.float64]


def multiplicity(group: Symmetry, hkl: Hkl) -> NDArray[np.int64]:
    """Number of Laue equivalents of each reflection, Friedel mates included, (n, 3) → (n,)."""
    rotations = np.unique(np.concatenate([group.rotations, -group.rotations]), axis=0)
    stabilizer = ((hkl @ rotations) == hkl).all(-1).sum(0)
    return len(rotations) // stabilizer


def powder_reflections(
    structures: Sequence[Structure], scan: Scan, device: torch.device | str = "cpu"
) -> list[PowderReflections]:
    """All reflections whose lines lie in the scan or at most `MARGIN` beside it."""
    lists = [_in_scan(structure, scan) for structure in structures]
    longest = max(len(hkl) for hkl in lists)
    hkl = torch.zeros(len(lists), longest, 3, dtype=torch.int32)
    mask = torch.zeros(len(lists), longest, dtype=torch.bool)
    for row, used, some in zip(hkl, mask, lists, strict=True):
        row[: len(some)] = torch.from_numpy(some)
        used[: len(some)] = True
    batch = collate(structures).to(device)
    with torch.no_grad():
        f = structure_factors(batch, hkl.to(device), mask.to(device)).abs().double().cpu().numpy()
    return [
        PowderReflections(some, multiplicity(s.symmetry, some), d_spacing(s.cell, some), row[: len(some)])
        for s, some, row in zip(structures, lists, f, strict=True)
    ]


def _in_scan(structure: Structure, scan: Scan) -> Hkl:
    wavelengths = scan.radiation.wavelengths
    high = np.radians(min(scan.stop + MARGIN, 179.99) / 2)
    low = np.radians(max(scan.start - MARGIN, 0.01) / 2)
    d_min, d_max = min(wavelengths) / 2 / np.sin(high), max(wavelengths) / 2 / np.sin(low)
    hkl = structure.symmetry.unique_reflections(structure.cell, d_min, d_max)
    return hkl[np.argsort(-d_spacing(structure.cell, hkl), kind="stable")]


def bragg_angle(d: NDArray[np.float64], wavelength: float) -> NDArray[np.float64]:
    """2θ in degrees, any shape; NaN where λ > 2d."""
    with np.errstate(invalid="ignore"):
        return np.degrees(2 * np.arcsin(wavelength / 2 / d))


def lorentz_polarization(two_theta: NDArray[np.float64], polarization: float = 1.0) -> NDArray[np.float64]:
    """(1 + A cos²2θ) / (sin²θ cosθ); 2θ in degrees."""
    theta = np.radians(two_theta) / 2
    return (1 + polarization * np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))


def line_positions(
    reflections: PowderReflections, scan: Scan
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """2θ in degrees and integrated intensity of each reflection and wavelength, both (n, wavelengths).

    No zero shift and no axial divergence; NaN and 0 where a wavelength does not reach.
    """
    source = scan.radiation
    two_theta = np.stack([bragg_angle(reflections.d, wave) for wave in source.wavelengths], 1)
    strength = (reflections.multiplicity * reflections.f**2)[:, None] * np.array(source.weights)
    intensity = np.nan_to_num(strength * lorentz_polarization(two_theta, scan.polarization))
    return two_theta, intensity


def powder_patterns(
    structures: Sequence[Structure],
    scan: Scan,
    instruments: Sequence[Instrument],
    device: torch.device | str = "cpu",
) -> Tensor:
    """Patterns without background and noise, float32 (B, n_points), intensity per degree.

    On the CPU the values of one crystal do not depend on which others are in the batch but for the
    rounding of |F|.
    """
    reflections = powder_reflections(structures, scan, device)
    return render([line_positions(r, scan) for r in reflections], scan, instruments, device)
