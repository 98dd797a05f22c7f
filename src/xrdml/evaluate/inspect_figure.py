"""What the crystals of a file look like, in one picture, beside a reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")  # no display is needed, and none may be there

from matplotlib import pyplot as plt

from xrdml.crystal.files import replace_when_done

OWN, BESIDE = "#c44e52", "0.45"
MOST_GROUPS = 8

PANELS = {
    "volume_per_non_h": "volume per non-H atom (Å³)",
    "axis_ratio_mid": "middle / shortest axis",
    "axis_ratio_long": "longest / shortest axis",
    "beta": "angle farthest from 90° (°)",
    "nearest": "nearest non-H atom (Å)",
    "bond": "bonds (Å)",
    "one_three": "1–3 distances (Å)",
    "contact": "nearest atom of another molecule (Å)",
    "u": "U (Å²)",
    "e_acentric": "|E|, acentric",
    "e_centric": "|E|, centric",
}


def draw_summary(path: Path, own: dict[str, Any], reference: dict[str, Any] | None) -> None:
    """Write a PNG of two summaries of :mod:`xrdml.evaluate.summary`: space groups, histograms, |F|.

    Raises
    ------
    UserError
        The file cannot be written.
    """
    shown = [own] if reference is None else [own, reference]
    keys = [key for key in PANELS if own["histograms"][key]["share"] is not None]
    n_panels = len(keys) + 2 * (own["radial"] is not None)
    columns = min(5, n_panels)
    rows = -(-n_panels // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.2 * columns, 2.5 * rows + 0.4), squeeze=False, layout="constrained"
    )
    panels = iter(axes.flat)
    if own["radial"] is not None:
        _space_groups(next(panels), shown)
    for key in keys:
        _histograms(next(panels), key, shown)
    if own["radial"] is not None:
        _radial(next(panels), shown)
    for unused in panels:
        unused.set_axis_off()
    # A name with $ in it is no formula.
    names = [s["source"].replace("$", r"\$") for s in shown]
    title = f"{names[0]}: {own['n']} {own['kind']} (red)"
    if reference is not None:
        title += f"; grey: {reference['n']} {reference['kind']}, {names[1]}"
    figure.suptitle(title, fontsize=10)
    with replace_when_done(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    plt.close(figure)


def _space_groups(axis: plt.Axes, shown: list[dict[str, Any]]) -> None:
    together: dict[str, float] = {}
    for summary in shown:
        for name, share in summary["space_groups"].items():
            together[name] = together.get(name, 0) + share
    names = sorted(together, key=lambda name: -together[name])[:MOST_GROUPS]
    width = 0.8 / len(shown)
    for k, (summary, colour) in enumerate(zip(shown, (OWN, BESIDE), strict=False)):
        shares = [summary["space_groups"].get(name, 0) for name in names]
        axis.bar(np.arange(len(names)) + (k - (len(shown) - 1) / 2) * width, shares, width, color=colour)
    axis.set_xticks(range(len(names)), names, rotation=45, fontsize=7)
    axis.set_title("space groups (share)", fontsize=9)
    axis.tick_params(axis="y", labelsize=7)


def _histograms(axis: plt.Axes, key: str, shown: list[dict[str, Any]]) -> None:
    for summary, colour, fill in zip(shown, (OWN, BESIDE), (False, True), strict=False):
        histogram = summary["histograms"].get(key)
        if summary["n"] == 1 and key in summary["quantities"]:
            axis.axvline(summary["quantities"][key]["mean"], color=colour, lw=1.3)
        elif histogram and histogram["share"] is not None:
            axis.stairs(
                histogram["share"], histogram["edges"], color=colour, fill=fill, alpha=0.6 if fill else 1,
                lw=1.3, zorder=1 if fill else 2,
            )  # fmt: skip
    if key == "u":
        axis.set_xscale("log")
    axis.set_title(PANELS[key], fontsize=9)
    axis.set_yticks([])
    axis.tick_params(labelsize=7)


def _radial(axis: plt.Axes, shown: list[dict[str, Any]]) -> None:
    for summary, colour in zip(shown, (OWN, BESIDE), strict=False):
        if (radial := summary["radial"]) is None:
            continue
        edges = np.array(radial["edges"])
        low, median, high = (np.array(radial[q], dtype=float) for q in ("0.05", "0.5", "0.95"))
        centre = (edges[1:] + edges[:-1]) / 2
        axis.plot(centre, median, color=colour, marker=".", ms=4, lw=1)
        axis.fill_between(centre, low, high, color=colour, alpha=0.2, lw=0)
    axis.set_yscale("log")
    axis.set_xlabel("1/d² (Å⁻²)", fontsize=7)
    axis.set_title("√(⟨|F|²/ε⟩ / Σf(0)²), 5–95 %", fontsize=9)
    axis.tick_params(labelsize=7)
