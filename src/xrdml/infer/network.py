"""Networks as predictors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xrdml.crystal.cell import inverse_d_squared
from xrdml.crystal.grid import HklGrid
from xrdml.crystal.problem import FillProblem, Prediction
from xrdml.crystal.symmetry import symmetry
from xrdml.data import keys
from xrdml.data.tensors import Amplitudes, Limits, TensorBatch, measured_tensors
from xrdml.errors import UserError
from xrdml.training.error_model import relative_error
from xrdml.training.network import complete, load_network


class NetworkPredictor:
    """A trained tensor network.

    Parameters
    ----------
    name
        Name or folder of the weights.
    grid
        Another tensor layout than that of the training, for crystals with longer axes.

    Attributes
    ----------
    network, config
        The network, in evaluation mode on the device, and its config.json.
    grid
        Its tensor layout.
    laue_groups
        Laue classes (as primitive symmorphic groups) of the crystals that it was trained on.
    provenance
        Where the weights come from, for reports.
    """

    def __init__(self, name: str, grid: HklGrid | None = None):
        self.network, self.config = load_network(name)
        self.name = Path(name).name
        data = self.config["data"]
        self.grid = grid or HklGrid.parse(data["grid"])
        self.laue_groups = {symmetry(group).laue_group.xhm() for group in data["space_groups"]}
        self.provenance: dict[str, Any] = {
            "weights": {key: self.config.get(key) for key in ("commit", "date", "parameters", "sha256")},
            "trained": {key: data[key] for key in ("d_min_low", "d_min_high", "space_groups", "n_train")},
            "grid": str(self.grid),
        }
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network.to(self._device)

    def predict(self, problems: Sequence[FillProblem]) -> list[Prediction]:
        """One prediction a problem.

        Raises
        ------
        UserError
            A crystal of a Laue class that the network never saw, or one that does not fit its grid.
        """
        return [self._one(p) for p in problems]

    def tensors(self, problem: FillProblem) -> TensorBatch:
        """The batch of one crystal that the network reads, F_TARGET unknown beyond the measured |F|.

        Raises
        ------
        UserError
            As :meth:`predict`.
        """
        laue = problem.symmetry.laue_group.xhm()
        if laue not in self.laue_groups:
            known = ", ".join(sorted(self.laue_groups))
            raise UserError(
                f"{self.name} was trained on Laue class {known}, not on {laue}; use --model ridge"
            )
        crystal = Amplitudes(problem.cell, problem.symmetry, problem.measured.hkl, problem.f_obs)
        limits = Limits(max(problem.d_limit, problem.d_min * 1.0001), problem.d_min)
        return measured_tensors([crystal], self.grid, limits, self._device)

    @torch.no_grad()
    def _one(self, problem: FillProblem) -> Prediction:
        batch = self.tensors(problem)
        completed = complete(self.network(batch).float(), batch)[0].cpu().numpy()
        scale = float(batch[keys.F_SCALE][0])
        f = self.grid.gather(completed, problem.missing).astype(np.float64) * scale
        return Prediction(f, self._sigma(problem, f))

    def _sigma(self, problem: FillProblem, f: NDArray[np.float64]) -> NDArray[np.float64]:
        """σ(F) = the relative error on validation crystals · rms |F| of the shell and class."""
        table = self.config["error_model"]
        s = np.sqrt(inverse_d_squared(problem.cell, problem.missing)) / 2
        centric = problem.symmetry.is_centric(problem.missing)
        shell = np.searchsorted(table["s_edges"][1:-1], s, side="right") * 2 + centric
        count = np.bincount(shell).clip(min=1)
        rms = np.sqrt(np.bincount(shell, f**2) / count)
        return relative_error(table, s, centric) * rms[shell]
