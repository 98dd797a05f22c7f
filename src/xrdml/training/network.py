"""A network with its input channels: from a batch of tensors to |F|."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xrdml.crystal.symmetry import symmetry
from xrdml.crystal.wilson import MEDIAN_E
from xrdml.data import keys
from xrdml.data.channels import assemble_channels, input_channels
from xrdml.data.tensors import TensorBatch
from xrdml.errors import UserError
from xrdml.models import build_model
from xrdml.models.layout import Layout
from xrdml.models.weights import load_weights
from xrdml.physics.patterson import LAUE_GROUP
from xrdml.physics.ridge_curve import ridge_amplitude
from xrdml.physics.wilson import expected_amplitude

QUANTITIES = {"f": None, "e": expected_amplitude, "e_ridge": ridge_amplitude}


class Network(nn.Module):
    """A model of `xrdml.models` that reads batches of `xrdml.data`.

    Parameters
    ----------
    config
        ``{name: unet, channels: [f, …], cell: false, quantity: f, **arguments}``. With
        ``quantity: e`` the model reads |E| = |F| / √(ε Σ(s)), where Σ(s) is the Wilson line of the
        measured reflections, carried on beyond them, and predicts what is to be added to the median
        |E| of centric or acentric reflections: where it says 0, the radial baseline stands. With
        ``e_ridge`` Σ(s) is the curve of the ridge baseline.
    """

    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        if config["name"] == "density_prior":
            raise UserError("a density_prior reads maps, not tensors; train it with model=density_prior")
        self.channels = input_channels(config)
        self.quantity = config.get("quantity", "f")
        if self.quantity not in QUANTITIES:
            raise UserError(f"model.quantity={self.quantity}: choose from {', '.join(QUANTITIES)}")
        # 3-D convolutions on the CPU are twice as fast in this layout.
        self.model = build_model(config)
        self.model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def compile(self, **options: Any) -> None:
        """Compile what is alike in every batch; parameters keep their names."""
        self.model.compile(**options)

    def unit(self, batch: TensorBatch) -> Tensor | None:
        """What the model measures amplitudes in: √(ε Σ(s))/F_SCALE, (B, H, K, L); None is 1."""
        expected = QUANTITIES[self.quantity]
        if expected is None:
            return None
        return expected(*(batch[k] for k in (keys.F_INPUT, keys.MEASURED, keys.EPSILON, keys.S)))

    def predict(self, batch: TensorBatch, unit: Tensor | None) -> Tensor:
        """The raw prediction in multiples of `unit` at every position, (B, H, K, L)."""
        self._check_laue(batch)
        sphere = batch[keys.MEASURED] | batch[keys.PREDICT] | batch[keys.ABSENT]
        layout = Layout(batch[keys.GRID].lower, sphere, batch[keys.CELL])
        raw = self.model(assemble_channels(batch, self.channels, unit), layout)
        return (
            raw if unit is None else raw + torch.where(batch[keys.CENTRIC], MEDIAN_E[True], MEDIAN_E[False])
        )

    def forward(self, batch: TensorBatch) -> Tensor:
        """The raw prediction of |F|/F_SCALE at every position, (B, H, K, L)."""
        unit = self.unit(batch)
        raw = self.predict(batch, unit)
        return raw if unit is None else raw.float() * unit

    def _check_laue(self, batch: TensorBatch) -> None:
        wanted = LAUE_GROUP if "triplets" in self.channels else getattr(self.model, "laue_group", None)
        if wanted is None:
            return
        for name in set(batch[keys.SPACE_GROUP]):
            if (found := symmetry(name).laue_group.xhm()) != wanted:
                raise UserError(
                    f"this network expands reflections by {wanted}; {name} belongs to {found}: "
                    "leave such crystals out with data.laue_group, or choose another model"
                )


def complete(prediction: Tensor, batch: TensorBatch) -> Tensor:
    """|F|/F_SCALE with the measured reflections put back, (B, H, K, L).

    Predicted where PREDICT, never negative; 0 at absences and outside d_min_high.
    """
    return torch.where(batch[keys.PREDICT], prediction.clamp_min(0), batch[keys.F_INPUT])


def load_network(name: str | Path) -> tuple[Network, dict[str, Any]]:
    """A trained network ready to use, and its config.json.

    Raises
    ------
    UserError
        Unknown, damaged or foreign weights.
    """
    config, state = load_weights(name)
    network = Network(config["model"])
    network.model.load_state_dict(state)
    return network.eval().requires_grad_(False), config
