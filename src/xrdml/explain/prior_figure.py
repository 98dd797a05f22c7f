"""Pictures of the density prior at work: one application, and a whole solution."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xrdml.explain.contraction import Step
from xrdml.explain.output import plt, save
from xrdml.explain.path import Path as SolutionPath
from xrdml.explain.path import projected

PICTURES = 8


def draw_contraction(path: Path, steps: Sequence[Step]) -> None:
    """Map correlation and phase error after one application against those before it."""
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.2), layout="constrained")
    told = sorted({s.told for s in steps} & {t for s in steps if (t := s.told) != s.level})
    lines = {"told the truth": [s for s in steps if s.told == s.level]}
    lines |= {f"told {t:g}": [s for s in steps if s.told == t] for t in told if _is_line(steps, t)}
    for name, line in lines.items():
        axes[0].plot([s.before.cc for s in line], [s.after.cc for s in line], "o-", ms=3, lw=1, label=name)
        axes[1].plot(
            [s.before.phase_error for s in line],
            [s.after.phase_error for s in line],
            "o-",
            ms=3,
            lw=1,
            label=name,
        )
    truth = lines["told the truth"]
    axes[1].plot(
        [s.before.phase_error for s in truth], [s.beyond.phase_error for s in truth], "x--", ms=4, lw=1,
        label="reflections beyond the data",
    )  # fmt: skip
    for axis, top, title in zip(axes, (1, 90), ("map correlation", "mean phase error (°)"), strict=True):
        axis.plot([0, top], [0, top], color="0.8", lw=1)
        axis.set_xlabel(f"{title} before")
        axis.set_ylabel("after one application")
        axis.legend(fontsize=7)
    save(figure, path)


def _is_line(steps: Sequence[Step], told: float) -> bool:
    return len({s.level for s in steps if s.told == told}) == len({s.level for s in steps})


def draw_path(path: Path, way: SolutionPath, level: NDArray[np.float64], f_true: Tensor | None) -> None:
    """R, map correlation and agreement by iteration, above the map at some moments, seen along b.

    Parameters
    ----------
    level
        Error level told at each moment, (n,).
    f_true
        F of the atoms, (X, Y, Z), where they are known.
    """
    n = len(way.moments)
    chosen = np.unique(np.linspace(0, n - 1, PICTURES - (f_true is not None)).round().astype(int))
    pictures = [(f"iteration {way.moments[i].iteration}", way.moments[i].f) for i in chosen]
    if f_true is not None:
        pictures.append(("truth", f_true.cpu()))
    figure = plt.figure(figsize=(max(1.9 * len(pictures), 6), 5.4), layout="constrained")
    grid = figure.add_gridspec(2, len(pictures), height_ratios=(1.5, 1))
    axis = figure.add_subplot(grid[0, :])
    x = way.column("iteration")
    curves = {
        "r": "R, figure of merit",
        "map_cc": "map correlation with the truth",
        "agreement": "agreement with the space group",
    }
    for name, label in curves.items():
        if np.isfinite(values := way.column(name)).any():
            axis.plot(x, values, "o-", ms=3, lw=1, label=label)
    axis.plot(x, level, color="0.7", ls=":", lw=1, label="error level told")
    axis.set_xlabel("iteration")
    axis.set_ylim(0, 1.02)
    axis.legend(fontsize=7)
    for i, (title, f) in enumerate(pictures):
        image = projected(f)
        small = figure.add_subplot(grid[1, i])
        small.imshow(
            image.T, origin="lower", cmap="magma", vmin=0, vmax=float(np.quantile(image, 0.995)) or 1
        )
        small.set_title(title, fontsize=8)
        small.set_xticks([])
        small.set_yticks([])
    save(figure, path)
