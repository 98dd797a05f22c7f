"""What a tensor network sees of a batch: its input channels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from xrdml.data import keys
from xrdml.data.tensors import TensorBatch
from xrdml.errors import UserError
from xrdml.physics.patterson import triplet_sums
from xrdml.physics.wilson import expected_amplitude


def _everywhere(batch: TensorBatch, value: Tensor) -> Tensor:
    """One number a crystal, (B,), at every position."""
    return value.reshape(-1, 1, 1, 1).expand_as(batch[keys.S])


def _length(i: int) -> Callable[[TensorBatch], Tensor]:
    # 3 to 60 Å become −1.2 to 1.8.
    return lambda batch: _everywhere(batch, (batch[keys.CELL][:, i] / 10).log())


def _cosine(i: int) -> Callable[[TensorBatch], Tensor]:
    return lambda batch: _everywhere(batch, (batch[keys.CELL][:, i] * (math.pi / 180)).cos())


_CELL: dict[str, Callable[[TensorBatch], Tensor]] = {
    **{name: _length(i) for i, name in enumerate("abc")},
    **{f"cos_{name}": _cosine(3 + i) for i, name in enumerate(("alpha", "beta", "gamma"))},
}


def _triplets(batch: TensorBatch, e: Tensor) -> Tensor:
    return triplet_sums(e, batch[keys.MEASURED], batch[keys.S], batch[keys.GRID].lower)


_CHANNELS: dict[str, Callable[[TensorBatch], Tensor]] = {
    "f": lambda batch: batch[keys.F_INPUT],
    "measured": lambda batch: batch[keys.MEASURED],
    "predict": lambda batch: batch[keys.PREDICT],
    "absent": lambda batch: batch[keys.ABSENT],
    "centric": lambda batch: batch[keys.CENTRIC] & (batch[keys.MEASURED] | batch[keys.PREDICT]),
    "epsilon": lambda batch: batch[keys.EPSILON],
    "s": lambda batch: batch[keys.S],
    **_CELL,
}
_OF_E: dict[str, Callable[[TensorBatch, Tensor], Tensor]] = {"triplets": _triplets}


def input_channels(model: Mapping[str, Any]) -> tuple[str, ...]:
    """The channels of a model's configuration: `channels`, and with ``cell: true`` the metric.

    The metric is s at every position and the six cell parameters, each where it is not listed.

    Raises
    ------
    UserError
        A name that is no channel, or one that stands twice.
    """
    names = tuple(model["channels"])
    check_channels(names)
    metric = ("s", *_CELL) if model.get("cell") else ()
    return names + tuple(name for name in metric if name not in names)


def check_channels(names: Sequence[str]) -> None:
    """Raise UserError unless every name is a channel, each once."""
    unknown = [name for name in names if name not in _CHANNELS | _OF_E]
    if unknown or not names or len(set(names)) != len(names):
        known = ", ".join(_CHANNELS | _OF_E)
        raise UserError(f"model.channels=[{','.join(names)}]: choose from {known}, each at most once")


def assemble_channels(batch: TensorBatch, names: Sequence[str], unit: Tensor | None = None) -> Tensor:
    """The input of a network, float32 (B, C, H, K, L), one channel a name.

    f is |F|/F_SCALE of the measured reflections (the thesis' only channel), divided by `unit`
    (B, H, K, L) if there is one; measured, predict, absent and centric are masks as 0 and 1 (centric
    among the reflections to d_min_high); epsilon is ε and s is 1/2d in Å⁻¹ at every position; triplets
    is :func:`xrdml.physics.patterson.triplet_sums`. The cell is the same at every position: a, b and c as
    ln(length / 10 Å), and cos_alpha, cos_beta, cos_gamma.
    """
    check_channels(names)
    f = batch[keys.F_INPUT]
    found = {name: make(batch).float() for name, make in _CHANNELS.items() if name in names}
    if unit is not None and "f" in found:
        found["f"] = f / unit
    if wanted := [name for name in names if name in _OF_E]:
        given = (batch[key] for key in (keys.MEASURED, keys.EPSILON, keys.S))
        e = f / (expected_amplitude(f, *given) if unit is None else unit)
        found |= {name: _OF_E[name](batch, e).float() for name in wanted}
    return torch.stack([found[name] for name in names], 1)
