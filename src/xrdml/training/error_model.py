"""How wrong a network's |F| are: the table from which σ of a prediction is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrdml.data import keys
from xrdml.data.tensors import Limits, TensorBatch
from xrdml.training.losses import region

SHELLS = 8


class ErrorModel:
    """Relative errors of predicted |F| by shell of s and by centric / acentric.

    In each shell and class the error of a crystal is divided by the rms of its **predicted** |F|
    there, because that is what is known when σ is wanted:
    error² = Σ (F_pred − F)² / rms(F_pred)² / n, over the predicted reflections of all crystals.
    Shells hold equal volumes of reciprocal space between the two limits.
    """

    def __init__(self, limits: Limits):
        low, high = 1 / (2 * limits.low), 1 / (2 * limits.high)
        self.edges = np.cbrt(np.linspace(low**3, high**3, SHELLS + 1))
        self._sum = np.zeros(2 * SHELLS)
        self._count = np.zeros(2 * SHELLS)

    def update(self, completed: Tensor, batch: TensorBatch) -> None:
        """Add a batch: `completed` is |F|/F_SCALE as from `training.network.complete`, (B, H, K, L)."""
        mask = region(batch, "extension")
        inner = torch.tensor(self.edges[1:-1], dtype=torch.float32, device=mask.device)
        shell = torch.bucketize(batch[keys.S], inner, right=True)
        row = torch.arange(len(mask), device=mask.device).reshape(-1, 1, 1, 1)
        cell = (shell + SHELLS * batch[keys.CENTRIC] + 2 * SHELLS * row)[mask]
        predicted = completed[mask].double()
        error = predicted - batch[keys.F_TARGET][mask]

        def total(values: Tensor) -> Tensor:
            return torch.bincount(cell, values, minlength=2 * SHELLS * len(mask)).reshape(len(mask), -1)

        n = total(torch.ones_like(error))
        mean_square = total(predicted**2) / n.clamp_min(1)
        # A shell of few reflections can be predicted as all but zero, and would swamp the rest.
        usable = (n >= 5) & (mean_square > 0)
        relative = torch.where(usable, total(error**2) / mean_square.clamp_min(1e-30), 0)
        self._sum += relative.sum(0).cpu().numpy()
        self._count += torch.where(usable, n, 0).sum(0).cpu().numpy()

    def table(self) -> dict[str, Any]:
        """``{s_edges (SHELLS + 1), acentric, centric (SHELLS)}``; classes without reflections take
        the mean over all."""
        mean = self._sum.sum() / max(self._count.sum(), 1)
        values = np.where(self._count > 0, self._sum / np.maximum(self._count, 1), mean)
        acentric, centric = np.sqrt(values).reshape(2, SHELLS).round(4).tolist()
        return {"s_edges": self.edges.round(6).tolist(), "acentric": acentric, "centric": centric}


def relative_error(
    table: dict[str, Any], s: NDArray[np.floating], centric: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """σ(F) / rms(F_pred of the shell) of reflections, from `ErrorModel.table()`.

    Parameters
    ----------
    s
        1/2d in Å⁻¹, (n,); outside the table its first or last shell counts.
    centric
        (n,).
    """
    shell = np.searchsorted(table["s_edges"][1:-1], s, side="right")
    return np.where(centric, np.array(table["centric"])[shell], np.array(table["acentric"])[shell])
