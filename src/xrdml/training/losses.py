"""Losses and figures of merit over masked reflections."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor

from xrdml.data import keys
from xrdml.data.tensors import TensorBatch
from xrdml.errors import UserError

_PER_REFLECTION: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": lambda f, truth: (f - truth) ** 2,
    "l1": lambda f, truth: (f - truth).abs(),
    # By Parseval's theorem the squared error of the Patterson map, but for multiplicities.
    "intensity": lambda f, truth: (f**2 - truth**2) ** 2,
}
_REGIONS: dict[str, Callable[[TensorBatch], Tensor]] = {
    "extension": lambda batch: batch[keys.PREDICT] & batch[keys.KNOWN],
    "all": lambda batch: batch[keys.KNOWN],
    "tensor": lambda batch: ~batch[keys.PREDICT] | batch[keys.KNOWN],
}


def region(batch: TensorBatch, name: str) -> Tensor:
    """Mask of the positions that count, (B, H, K, L).

    ``extension``: the reflections to predict; ``all``: the measured ones too; ``tensor``: every
    position, with 0 as the truth where no reflection is, as in the thesis.
    """
    return _REGIONS[name](batch)


def check_loss(name: str, region_name: str) -> None:
    """Raise UserError unless both names are known."""
    for option, value, known in (("name", name, _PER_REFLECTION), ("region", region_name, _REGIONS)):
        if value not in known:
            raise UserError(f"loss.{option}={value}: choose from {', '.join(known)}")


def total_loss(
    prediction: Tensor, batch: TensorBatch, name: str, region_name: str, unit: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Sum of the errors over the positions that count, and how many these are.

    ``mse`` is (F_pred − F)², ``l1`` |F_pred − F|, ``intensity`` (F_pred² − F²)².

    Parameters
    ----------
    prediction
        In multiples of `unit`, (B, H, K, L).
    unit
        See :meth:`xrdml.training.network.Network.unit`; errors are measured in it.
    """
    mask = region(batch, region_name)
    truth = batch[keys.F_TARGET] if unit is None else batch[keys.F_TARGET] / unit
    error = _PER_REFLECTION[name](prediction, truth)
    return torch.where(mask, error, 0).sum(), mask.sum()


def loss(
    prediction: Tensor, batch: TensorBatch, name: str, region_name: str, unit: Tensor | None = None
) -> Tensor:
    """Mean of :func:`total_loss` over the reflections of all crystals, those of other processes counted.

    Where several processes share a batch, the mean of their values (and gradients, which DDP
    takes) is the value of the whole batch in one process.
    """
    total, count = total_loss(prediction, batch, name, region_name, unit)
    return total / mean_over_processes(count.float()).clamp_min(1)


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of a tensor without gradient over all processes of a training."""
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return value
    value = value.clone()
    dist.all_reduce(value)
    return value / dist.get_world_size()


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
