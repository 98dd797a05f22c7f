"""Simulated powder measurements: pattern i depends on the crystal, the options, and (seed, i) alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.structure import Structure
from xrdml.data.powder_options import Measurement, PowderOptions
from xrdml.errors import UserError
from xrdml.physics.powder import PowderReflections, line_positions, powder_reflections
from xrdml.physics.powder_render import render


@dataclass(frozen=True)
class PowderPattern:
    """One simulated measurement.

    Attributes
    ----------
    measurement
        Its parameters.
    reflections
        What it is made of.
    expected
        Expected counts, lines and background, (n_points,) float64.
    counts
        Poisson counts, (n_points,) uint32.
    """

    measurement: Measurement
    reflections: PowderReflections
    expected: NDArray[np.float64]
    counts: NDArray[np.uint32]


def make_patterns(
    structures: Sequence[Structure], options: PowderOptions, seed: int, indices: Sequence[int]
) -> list[PowderPattern]:
    """Measurements of crystals of these indices.

    |F| of crystals that are computed together may differ in the seventh digit from those of one alone:
    for equal bytes give equal batches.

    Raises
    ------
    UserError
        A crystal without a reflection in the scan; ranges that hold no usable parameters.
    """
    scan = options.scan
    rngs = [np.random.default_rng((seed, i)) for i in indices]
    drawn = [options.draw(rng) for rng in rngs]
    reflections = powder_reflections(structures, scan)
    lines = [line_positions(r, scan) for r in reflections]
    profiles = render(lines, scan, [m.instrument for m in drawn]).double().numpy()
    out = []
    for i, rng, measurement, found, profile in zip(indices, rngs, drawn, reflections, profiles, strict=True):
        highest = profile.max()
        if not highest > 0:
            raise UserError(
                f"crystal {i} has no reflection between {scan.start:g} and {scan.stop:g}° 2θ at "
                f"{scan.radiation.wavelengths[0]:g} Å; give a wider --range"
            )
        expected = profile * (measurement.peak_counts / highest) + measurement.expected_background(scan)
        counts = rng.poisson(expected).astype(np.uint32)
        out.append(PowderPattern(measurement, found, expected, counts))
    return out
