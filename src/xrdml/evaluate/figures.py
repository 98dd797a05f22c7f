"""Pictures of a filled crystal: central planes of reciprocal space and the Wilson plot."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray

matplotlib.use("Agg")  # no display is needed, and none may be there

from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

from xrdml.crystal.cell import index_limits, inverse_d_squared
from xrdml.crystal.files import replace_when_done
from xrdml.crystal.problem import FillProblem
from xrdml.crystal.statistics import shell_edges, shell_index, shell_mean
from xrdml.crystal.symmetry import Hkl
from xrdml.crystal.wilson import fit_wilson, sum_f_squared
from xrdml.postprocess.restore import Filled, Origin

Array = NDArray[np.float64]

PLANES = {"0 k l": 0, "h 0 l": 1, "h k 0": 2}


def central_planes(path: Path, problem: FillProblem, filled: Filled, f_true: Array | None) -> None:
    """Three central planes as precession photographs: input, prediction and, where known, truth.

    Parameters
    ----------
    f_true
        |F| of `problem.missing`, NaN where unknown; None leaves the column out.
    """
    keep = filled.origin != Origin.ABSENT
    f_filled = np.sqrt(np.maximum(filled.reflections.intensity, 0))
    columns = {
        "measured": (problem.measured.hkl, problem.f_obs),
        "measured + predicted": (filled.reflections.hkl[keep], f_filled[keep]),
    }
    if f_true is not None:
        known = np.isfinite(f_true)
        columns["truth (cut off before)"] = (
            np.concatenate([problem.measured.hkl, problem.missing[known]]),
            np.concatenate([problem.f_obs, f_true[known]]),
        )
    # A common scale on which weak outer reflections can be seen beside strong inner ones.
    top = float(np.quantile(problem.f_obs, 0.98)) or 1.0
    figure, axes = plt.subplots(
        3, len(columns), figsize=(3.6 * len(columns), 10.2), squeeze=False, layout="constrained"
    )
    for row, (plane, fixed) in zip(axes, PLANES.items(), strict=True):
        for axis, (title, (hkl, f)) in zip(row, columns.items(), strict=True):
            image, extent, names = _plane_image(problem, hkl, f, fixed)
            axis.imshow(
                np.sqrt(image / top).T, origin="lower", extent=extent, cmap="magma", vmin=0, vmax=1,
                interpolation="nearest", aspect="auto",
            )  # fmt: skip
            axis.set_facecolor("0.85")
            axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axis.yaxis.set_major_locator(MaxNLocator(5, integer=True))
            axis.set_title(f"{title}, {plane}", fontsize=9)
            axis.set_xlabel(names[0])
            axis.set_ylabel(names[1])
    with replace_when_done(path) as temporary:
        figure.savefig(temporary, dpi=110)
    plt.close(figure)


def _plane_image(problem: FillProblem, hkl: Hkl, f: Array, fixed: int):
    """|F| of all symmetry equivalents in the plane where index `fixed` is zero; NaN where unknown."""
    limits = index_limits(problem.cell, problem.d_min)
    free = [i for i in range(3) if i != fixed]
    n, m = limits[free[0]], limits[free[1]]
    first, second = np.meshgrid(np.arange(-n, n + 1), np.arange(-m, m + 1), indexing="ij")
    plane = np.zeros((first.size, 3), dtype=np.int32)
    plane[:, free[0]], plane[:, free[1]] = first.ravel(), second.ravel()
    value = {tuple(h): x for h, x in zip(hkl.tolist(), f.tolist(), strict=True)}
    unique = problem.symmetry.to_asu(plane)
    image = np.array([value.get(tuple(h), np.nan) for h in unique.tolist()])
    image[inverse_d_squared(problem.cell, plane) > problem.d_min**-2 * (1 + 1e-9)] = np.nan
    names = ["hkl"[i] for i in free]
    return image.reshape(first.shape), (-n - 0.5, n + 0.5, -m - 0.5, m + 0.5), names


def wilson_plot(path: Path, problem: FillProblem, filled: Filled, f_true: Array | None) -> None:
    """ln(⟨I⟩/ε Σf²) against 1/d²: measured, predicted and, where known, true."""
    m = problem.measured
    fit = fit_wilson(m.hkl, m.intensity, problem.cell, problem.symmetry, problem.contents)
    predicted = filled.origin == Origin.PREDICTED
    r = filled.reflections
    sets = {
        "measured": ("o", m.hkl, m.intensity),
        "predicted": ("s", r.hkl[predicted], r.intensity[predicted]),
    }
    if f_true is not None:
        known = np.isfinite(f_true)
        sets["true, cut off before"] = ("x", problem.missing[known], f_true[known] ** 2)
    figure, axis = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    edges = shell_edges(problem.d_min, 24)
    for label, (marker, hkl, intensity) in sets.items():
        if len(hkl) == 0:
            continue
        inverse_d2 = inverse_d_squared(problem.cell, hkl)
        inside = inverse_d2 <= edges[-1]
        ratio = intensity / problem.symmetry.epsilon(hkl) / sum_f_squared(fit.contents, inverse_d2)
        shell = shell_index(inverse_d2, edges)
        mean = shell_mean(ratio[inside], shell[inside], 24)
        centre = shell_mean(inverse_d2[inside], shell[inside], 24)
        good = np.nan_to_num(mean) > 0
        axis.plot(centre[good], np.log(mean[good]), marker, label=label, fillstyle="none")
    x = np.array([0, problem.d_min**-2])
    axis.plot(
        x,
        np.log(fit.scale) - fit.b_iso * x / 2,
        "-",
        color="0.5",
        lw=1,
        label=f"Wilson line, B = {fit.b_iso:.1f} Å²",
    )
    axis.axvline(problem.d_limit**-2, color="0.7", lw=1, ls=":")
    axis.set_xlabel("1/d² (Å⁻²)")
    axis.set_ylabel("ln(⟨I⟩ / ε Σf²)")
    axis.set_title(f"{problem.symmetry.name}: dotted line, data end at {problem.d_limit:.2f} Å", fontsize=10)
    axis.legend(fontsize=8)
    with replace_when_done(path) as temporary:
        figure.savefig(temporary, dpi=110)
    plt.close(figure)
