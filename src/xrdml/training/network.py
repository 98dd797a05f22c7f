"""A network with its input channels: from a batch of tensors to |F|."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xrdml.data import keys
from xrdml.data.tensors import TensorBatch, assemble_channels, check_channels
from xrdml.errors import UserError
from xrdml.models import build_model
from xrdml.models.weights import load_weights


class Network(nn.Module):
    """A model of `xrdml.models` that reads batches of `xrdml.data`.

    Parameters
    ----------
    config
        ``{name: unet, channels: [f, …], **arguments}``.
    """

    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        if config["name"] == "density_prior":
            raise UserError("a density_prior reads maps, not tensors; train it with model=density_prior")
        self.channels = tuple(config["channels"])
        check_channels(self.channels)
        # 3-D convolutions on the CPU are twice as fast in this layout.
        self.model = build_model(config)
        self.model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def forward(self, batch: TensorBatch) -> Tensor:
        """The raw prediction of |F|/F_SCALE at every position, (B, H, K, L)."""
        return self.model(assemble_channels(batch, self.channels))


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
