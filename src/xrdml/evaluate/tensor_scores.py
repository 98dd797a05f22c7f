"""Scores over the whole tensor of a crystal, as the thesis takes them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from xrdml.crystal.grid import GridTooSmall, HklGrid
from xrdml.crystal.problem import FillProblem
from xrdml.training.ssim import ssim

Array = NDArray[np.float64]

DESCRIPTIONS = {
    "ssim": "3-D SSIM of the completed tensor and the true one, |F| divided by the largest measured one",
    "mse_tensor": "mean squared error over all positions of that tensor, empty ones included",
}


def tensor_scores(problem: FillProblem, f_true: Array, f_pred: Array) -> dict[str, float]:
    """SSIM and mean squared error of a completed tensor; the keys of `DESCRIPTIONS`.

    The tensor has the thesis' layout where the crystal fits into it, else the smallest one. Missing
    reflections of which the truth is unknown (NaN in `f_true`) are zero on both sides.

    Parameters
    ----------
    f_true, f_pred
        |F| of `problem.missing`, (p,), on the scale of the measured ones.
    """
    known = np.isfinite(f_true)
    hkl = np.concatenate([problem.measured.hkl, problem.missing[known]])
    grid = HklGrid.thesis()
    if not grid.contains(hkl).all():
        grid = HklGrid.for_crystal(problem.cell, problem.symmetry, problem.d_min)
    scale = problem.f_obs.max()
    try:
        true, predicted = (
            grid.scatter(hkl, np.concatenate([problem.f_obs, f[known]]) / scale) for f in (f_true, f_pred)
        )
    except GridTooSmall:
        # Measured beyond d_min: no tensor of the task holds these.
        return {name: float("nan") for name in DESCRIPTIONS}
    a, b = (torch.from_numpy(x)[None] for x in (predicted, true))
    return {"ssim": float(ssim(a, b)[0]), "mse_tensor": float(((predicted - true) ** 2).mean())}
