"""A picture of a powder pattern: counts, expected curve, background, and where the reflections are."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")  # no display is needed, and none may be there

from matplotlib import pyplot as plt

from xrdml.crystal.files import replace_when_done
from xrdml.crystal.radiation import Scan
from xrdml.data.powder_patterns import PowderPattern
from xrdml.physics.powder import line_positions


def draw_powder(path: Path, scan: Scan, pattern: PowderPattern, title: str) -> None:
    """Write a PNG with a row of ticks for each wavelength.

    Raises
    ------
    UserError
        The file cannot be written.
    """
    figure, axis = plt.subplots(figsize=(11, 5), layout="constrained")
    angle = scan.two_theta
    axis.plot(angle, pattern.counts, ".", color="0.55", ms=2, label="counts")
    axis.plot(angle, pattern.expected, color="#b03030", lw=0.8, label="expected")
    axis.plot(
        angle, pattern.measurement.expected_background(scan), color="#3060b0", lw=0.8, label="background"
    )
    two_theta, _ = line_positions(pattern.reflections, scan)
    height = float(pattern.counts.max())
    for row, wavelength in enumerate(scan.radiation.wavelengths):
        level = -height * (0.04 + 0.04 * row)
        ticks = two_theta[:, row] + pattern.measurement.instrument.zero
        ticks = ticks[(ticks >= scan.start) & (ticks <= scan.stop)]
        axis.plot(
            ticks, np.full(len(ticks), level), "|", color=f"C{row + 2}", ms=6, label=f"{wavelength:g} Å"
        )
    axis.set_xlim(scan.start, scan.stop)
    axis.set_xlabel("2θ (°)")
    axis.set_ylabel("counts")
    axis.set_title(title, fontsize=10)
    axis.legend(fontsize=8)
    with replace_when_done(path) as temporary:
        figure.savefig(temporary, dpi=120)
    plt.close(figure)
