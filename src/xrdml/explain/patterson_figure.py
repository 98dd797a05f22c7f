"""Sections of Patterson maps, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from xrdml.explain.output import plt, save
from xrdml.explain.patterson import PattersonMap

SECTIONS = (0.0, 0.5)
"""y: the plane of the origin, and the Harker section of a 2₁ axis along b."""


def draw_sections(path: Path, maps: Mapping[str, PattersonMap]) -> None:
    """One map a column, one section a row; true lengths and angle of a and c are not kept."""
    figure, axes = plt.subplots(
        len(SECTIONS),
        len(maps),
        figsize=(3.4 * len(maps), 3.6 * len(SECTIONS)),
        squeeze=False,
        layout="constrained",
    )
    for row, v in zip(axes, SECTIONS, strict=True):
        for axis, (name, found) in zip(row, maps.items(), strict=True):
            section = found.section(v)
            # The peak at the origin would hide all others; each map has a scale of its own.
            top = float(np.quantile(found.away_from_origin(), 0.999))
            axis.imshow(
                section.T,
                origin="lower",
                extent=(0, 1, 0, 1),
                cmap="viridis",
                vmin=0,
                vmax=top,
                aspect="auto",
            )
            axis.set_title(f"{name}\ny = {v:g}", fontsize=9)
            axis.set_xlabel("x")
            axis.set_ylabel("z")
    save(figure, path)
