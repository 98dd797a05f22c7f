"""Pictures of attention: links in reciprocal space, and absences against ordinary reflections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrdml.explain.output import plt, save

Array = NDArray[np.float64]

COLOURS = {"measured": "0.75", "predicted": "0.92", "absent": "tab:red"}


def draw_links(path: Path, points: Mapping[str, Array], links: Sequence[Sequence[Array]]) -> None:
    """Strongest links, one block a row and one head a column.

    Parameters
    ----------
    points
        Cartesian reciprocal coordinates in Å⁻¹ of the reflections of each kind of `COLOURS`, (n, 3).
    links
        For every block and head: two ends, (n, 2, 3), in the same coordinates, the strongest first.
    """
    rows, columns = len(links), len(links[0])
    figure = plt.figure(figsize=(3.0 * columns, 2.9 * rows), layout="constrained")
    for i, block in enumerate(links):
        for j, ends in enumerate(block):
            axis: Any = figure.add_subplot(rows, columns, i * columns + j + 1, projection="3d")
            for kind, xyz in points.items():
                axis.scatter(*xyz.T, s=6 if kind == "absent" else 1, color=COLOURS[kind], depthshade=False)
            for rank, pair in enumerate(ends):
                shade = 1 - 0.8 * rank / max(len(ends), 1)
                axis.plot(*pair.T, color="tab:blue", lw=0.8, alpha=shade)
            axis.set_title(f"block {i + 1}, head {j + 1}", fontsize=8)
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_zticks([])
            axis.view_init(elev=20, azim=-60)
    figure.suptitle(
        "strongest links (blue); grey: measured and predicted reflections, red: absences", fontsize=9
    )
    save(figure, path)


def draw_absences(
    path: Path,
    edges: Array,
    counts: Mapping[str, Sequence[Array]],
    effects: Mapping[str, Sequence[Mapping[str, float]]],
) -> None:
    """Distributions of attention values by block, and δ by block with its controls.

    Parameters
    ----------
    edges
        log₁₀(N · attention) of the bins, (m + 1,).
    counts
        Links to each kind of reflection by block, each (m,).
    effects
        For every condition and block {mean, low, high}.
    """
    n = len(next(iter(counts.values())))
    figure, axes = plt.subplots(1, n + 1, figsize=(2.6 * n + 3.6, 3.0), layout="constrained")
    middle = (edges[1:] + edges[:-1]) / 2
    for i, axis in enumerate(axes[:n]):
        for kind, blocks in counts.items():
            axis.step(middle, blocks[i] / max(blocks[i].sum(), 1), where="mid", lw=1, label=kind)
        axis.axvline(0, color="0.8", lw=0.8)
        axis.set_title(f"block {i + 1}", fontsize=9)
        axis.set_xlabel("log₁₀(N · attention)")
        axis.set_yticks([])
    axes[0].set_ylabel("share of links")
    axes[0].legend(fontsize=7)
    for k, (condition, found) in enumerate(effects.items()):
        x = np.arange(n) + 1 + 0.15 * (k - (len(effects) - 1) / 2)
        mean, low, high = (np.array([b[key] for b in found]) for key in ("mean", "low", "high"))
        axes[n].errorbar(x, mean, yerr=[mean - low, high - mean], fmt="o", ms=4, lw=1, label=condition)
    axes[n].axhline(0, color="0.8", lw=0.8)
    axes[n].set_ylim(-1.05, 1.05)
    axes[n].set_xticks(range(1, n + 1))
    axes[n].set_xlabel("block")
    axes[n].set_title("Cliff's δ, absences against ordinary", fontsize=9)
    axes[n].legend(fontsize=7)
    save(figure, path)
