"""Curves of relative change against resolution, of any model: table, picture and means."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrdml.evaluate.metrics import summarise
from xrdml.explain.map_figure import draw_curves
from xrdml.explain.output import write_csv
from xrdml.explain.sensitivity import LEVELS
from xrdml.explain.setting import Setting


def write_shells(setting: Setting, d: NDArray[np.float64], curves: NDArray[np.float64]) -> dict[str, Any]:
    """Write sensitivity_shells.csv and .png.

    Parameters
    ----------
    d
        Middle of each shell in Å, (n,).
    curves
        rms change / rms output of each crystal, level and shell, (crystals, levels, n).

    Returns
    -------
    ``n_crystals``, and ``gain``: relative change of the output / relative error of the input, by
    region and level, as {mean, low, high, n} over crystals. A curve of resolution alone averages the
    errors of a shell and has a gain far below 1; what copies a reflection has 1.
    """
    names = [f"{s:g}" for s in LEVELS]
    mean = np.nanmean(curves, 0)
    columns = {f"relative_change_{n}": m for n, m in zip(names, mean, strict=True)}
    write_csv(setting.out / "sensitivity_shells.csv", {"d": d} | columns)
    label = "rms change of the output / rms output"
    d_limit = setting.subject.problem.d_limit
    shown = {f"σ = {n}": m for n, m in zip(names, mean, strict=True)}
    draw_curves(setting.out / "sensitivity_shells.png", d, shown, label, d_limit)
    gain = {}
    for region, chosen in (("measured", d >= d_limit), ("beyond", d < d_limit)):
        for i, name in enumerate(names):
            rows = [{"gain": float(np.nanmean(c[i, chosen]) / LEVELS[i])} for c in curves]
            gain[f"{region} {name}"] = summarise(rows)["gain"]
    return {"n_crystals": len(curves), "gain": gain}
