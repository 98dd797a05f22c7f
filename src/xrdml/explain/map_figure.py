"""Central planes of anything that stands at the positions of a tensor, and curves by resolution."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrdml.explain.output import plt, save

Array = NDArray[np.float64]

PLANES = {"0 k l": 0, "h 0 l": 1, "h k 0": 2}


def draw_maps(
    path: Path,
    maps: Mapping[str, Array],
    lower: tuple[int, int, int],
    limits: Mapping[str, Array],
    relative: bool,
) -> None:
    """One map a row, its three central planes side by side.

    Parameters
    ----------
    maps
        Values at Miller indices from `lower` on, (H, K, L); NaN is left white.
    limits
        Masks (H, K, L) whose outlines are drawn, by their names.
    relative
        Each map has a colour scale of its own.
    """
    top = max(float(np.nanmax(m)) for m in maps.values())
    figure, axes = plt.subplots(
        len(maps), 3, figsize=(9.6, 2.9 * len(maps) + 0.3), squeeze=False, layout="constrained"
    )
    for row, (name, values) in zip(axes, maps.items(), strict=True):
        own = float(np.nanmax(values)) if relative else top
        shown: Any = None
        for axis, (plane, fixed) in zip(row, PLANES.items(), strict=True):
            free = [i for i in range(3) if i != fixed]
            at = -lower[fixed]
            image = values.take(at, fixed)
            extent = [e for i in free for e in (lower[i] - 0.5, lower[i] + values.shape[i] - 0.5)]
            shown = axis.imshow(
                image.T, origin="lower", extent=extent, cmap="magma", vmin=0, vmax=own or 1, aspect="auto",
                interpolation="nearest",
            )  # fmt: skip
            for mask, style in zip(limits.values(), ("-", ":"), strict=False):
                edge = mask.take(at, fixed).astype(float)
                if edge.min() < edge.max():
                    axis.contour(
                        edge.T,
                        [0.5],
                        colors="cyan",
                        linewidths=0.8,
                        linestyles=style,
                        origin="lower",
                        extent=extent,
                    )
            axis.set_title(f"{name}, {plane}", fontsize=8)
            axis.set_xlabel("hkl"[free[0]], fontsize=8)
            axis.set_ylabel("hkl"[free[1]], fontsize=8)
        figure.colorbar(shown, ax=row[-1])
    if limits:
        figure.suptitle(
            "cyan: " + ", ".join(f"{s} {n}" for n, s in zip(limits, ("——", "····"), strict=False)), fontsize=8
        )
    save(figure, path)


def draw_curves(path: Path, d: Array, curves: Mapping[str, Array], label: str, d_limit: float) -> None:
    """Lines against resolution, both axes logarithmic in value and rising to higher resolution."""
    figure, axis = plt.subplots(figsize=(6.0, 3.8), layout="constrained")
    for name, values in curves.items():
        axis.plot(d, values, "o-", ms=3, lw=1, label=name)
    axis.axvline(d_limit, color="0.7", lw=1, ls=":")
    axis.set_yscale("log")
    axis.invert_xaxis()
    axis.set_xlabel("d (Å); dotted: the data end")
    axis.set_ylabel(label)
    axis.legend(fontsize=7)
    save(figure, path)
