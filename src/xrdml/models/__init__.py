"""Networks: one plain `nn.Module` a file, chosen by the name of the file.

A model takes ``in_channels`` and the other keys of its YAML as arguments and maps
(B, C, H, K, L), with the :class:`xrdml.models.layout.Layout` of these positions, to (B, H, K, L), for
any H, K, L. One that is right for a single Laue class alone names it in `laue_group`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import Any

from torch import nn

from xrdml.data.channels import input_channels
from xrdml.errors import UserError


def _model_class(name: str) -> type[nn.Module] | None:
    module = importlib.import_module(f"{__name__}.{name}")
    classes = [
        c
        for c in vars(module).values()
        if inspect.isclass(c) and issubclass(c, nn.Module) and c.__module__ == module.__name__
    ]
    public = [c for c in classes if not c.__name__.startswith("_")]
    return public[0] if public else None


def model_names() -> list[str]:
    """The models there are."""
    names = [m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")]
    return sorted(name for name in names if _model_class(name) is not None)


def build_model(config: Mapping[str, Any]) -> nn.Module:
    """Make a network from ``{name: unet, channels: [f, …], cell: false, quantity: f, **arguments}``.

    `cell` and `quantity` say what :class:`xrdml.training.network.Network` puts in; both may be absent.

    Raises
    ------
    UserError
        Unknown name, or arguments that this model does not take.
    """
    arguments = dict(config)
    name, channels = arguments.pop("name", None), arguments.pop("channels", None)
    if name not in model_names():
        raise UserError(f"unknown model '{name}'; choose from {', '.join(model_names())}")
    if not isinstance(channels, list | tuple) or not channels:
        raise UserError(f"model.channels of {name} must be a list of at least one channel")
    cell, quantity = arguments.pop("cell", False), arguments.pop("quantity", "f")
    if not isinstance(cell, bool) or not isinstance(quantity, str):
        raise UserError(f"model.cell={cell} must be true or false, and model.quantity={quantity} a name")
    in_channels = len(input_channels(config)) if cell else len(channels)
    chosen = _model_class(name)
    assert chosen is not None  # model_names() lists no other
    options = dict(inspect.signature(chosen, eval_str=True).parameters)
    options.pop("in_channels", None)
    for key, value in arguments.items():
        if key not in options:
            raise UserError(f"model {name} has no option '{key}'; its options are {', '.join(options)}")
        wanted = options[key].annotation
        if (
            wanted in (int, float, str, bool)
            and type(value) is not wanted
            and (wanted, type(value)) != (float, int)
        ):
            raise UserError(f"model.{key}={value} must be of type {wanted.__name__}")
    try:
        return chosen(in_channels=in_channels, **arguments)
    except (TypeError, ValueError) as error:
        values = ", ".join(f"{key}={value}" for key, value in arguments.items())
        raise UserError(f"model {name} cannot be built with {values}: {error}") from None
