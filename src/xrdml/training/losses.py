"""Losses and figures of merit over masked reflections."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from xrdml.data import keys
from xrdml.data.tensors import TensorBatch
from xrdml.errors import UserError

_PER_REFLECTION: dict[str, Callable[[Tensor], Tensor]] = {"mse": torch.square, "l1": torch.abs}
_REGIONS: dict[str, Callable[[TensorBatch], Tensor]] = {
    "extension": lambda batch: batch[keys.PREDICT] & batch[keys.KNOWN],
    "all": lambda batch: batch[keys.KNOWN],
}


def region(batch: TensorBatch, name: str) -> Tensor:
    """Mask of the reflections that count, (B, H, K, L): ``extension`` or ``all``."""
    return _REGIONS[name](batch)


def check_loss(name: str, region_name: str) -> None:
    """Raise UserError unless both names are known."""
    for option, value, known in (("name", name, _PER_REFLECTION), ("region", region_name, _REGIONS)):
        if value not in known:
            raise UserError(f"loss.{option}={value}: choose from {', '.join(known)}")


def loss(prediction: Tensor, batch: TensorBatch, name: str, region_name: str) -> Tensor:
    """Mean of (F_pred − F)² or |F_pred − F| over the reflections of all crystals that count."""
    mask = region(batch, region_name)
    error = _PER_REFLECTION[name](prediction - batch[keys.F_TARGET])
    return torch.where(mask, error, 0).sum() / mask.sum().clamp_min(1)


def r_factor(completed: Tensor, batch: TensorBatch, region_name: str) -> Tensor:
    """R = Σ||F_obs| − |F_calc|| / Σ|F_obs| of each crystal, (B,).

    Parameters
    ----------
    completed
        Prediction with the measured reflections put back: R over ``all`` counts them, as the
        thesis does.
    """
    mask, truth = region(batch, region_name), batch[keys.F_TARGET]
    difference = (completed - truth).abs() * mask
    total = (truth * mask).flatten(1).sum(1)
    return difference.flatten(1).sum(1) / total.clamp_min(torch.finfo(truth.dtype).tiny)
