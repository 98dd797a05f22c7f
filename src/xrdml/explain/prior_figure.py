"""Pictures of the density prior at work: one application, and a whole solution."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
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


def draw_path(path: Path, way: SolutionPath, f_true: Tensor | None) -> None:
    """R, map correlation and agreement by iteration, above the map at some moments, seen along b."""
    chosen = np.unique(
        np.linspace(0, len(way.iterations) - 1, PICTURES - (f_true is not None)).round().astype(int)
    )
    pictures = [(f"iteration {way.iterations[i] + 1}", way.maps[i]) for i in chosen]
    if f_true is not None:
        pictures.append(("truth", f_true.cpu()))
    figure = plt.figure(figsize=(1.9 * len(pictures), 5.4), layout="constrained")
    grid = figure.add_gridspec(2, len(pictures), height_ratios=(1.5, 1))
    axis = figure.add_subplot(grid[0, :])
    x = np.arange(1, len(way.r) + 1)
    axis.plot(x, way.r, lw=1, label="R, figure of merit")
    if np.isfinite(way.map_cc).any():
        axis.plot(x, way.map_cc, lw=1, label="map correlation with the truth")
    looked = np.isfinite(way.agreement)
    axis.plot(x[looked], way.agreement[looked], ".", ms=4, label="agreement with the space group")
    axis.plot(x, way.level, color="0.7", ls=":", lw=1, label="error level told")
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
