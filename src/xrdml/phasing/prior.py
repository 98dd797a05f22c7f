"""The trained density prior."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from xrdml.errors import UserError
from xrdml.models import build_model
from xrdml.models.weights import load_weights

DEFAULT_PRIOR = "density_prior"


def load_prior(name: str | Path = DEFAULT_PRIOR) -> tuple[nn.Module, dict[str, Any]]:
    """The network, on the GPU where there is one, and its config.json.

    Raises
    ------
    UserError
        Unknown, damaged or foreign weights, or weights of another kind of network.
    """
    config, state = load_weights(name)
    if config["model"]["name"] != "density_prior":
        raise UserError(f"weights '{name}' are a {config['model']['name']}, not a density_prior")
    network = build_model(config["model"])
    network.load_state_dict(state)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return network.eval().requires_grad_(False).to(device), config
