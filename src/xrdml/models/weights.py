"""Trained networks on disk: ``<folder>/{config.json, model.safetensors, README.md}``."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from xrdml.crystal.files import replace_when_done, write_text
from xrdml.errors import UserError
from xrdml.models import build_model
from xrdml.shipped import shipped_folders

log = logging.getLogger("xrdml")

FORMAT = "xrdml weights"
FORMAT_VERSION = 1
CONFIG, TENSORS, CARD = "config.json", "model.safetensors", "README.md"


def save_weights(folder: str | Path, config: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
    """Write a network.

    Matrices and kernels are stored in half precision; vectors stay as they are, because they are
    small and the variances of a normalisation can leave the range of half precision.

    Parameters
    ----------
    folder
        Made if it does not exist; a network in it is replaced.
    config
        Anything JSON holds; `config["model"]` is what :func:`xrdml.models.build_model` takes.
    state
        Its `state_dict()`.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make this folder ({error.strerror})", path=folder) from None
    tensors = {
        name: (value.half() if value.ndim > 1 and value.is_floating_point() else value).cpu().contiguous()
        for name, value in state.items()
    }
    data = safetensors.torch.save(tensors)
    described = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "sha256": hashlib.sha256(data).hexdigest(),
        **config,
    }
    with replace_when_done(folder / TENSORS) as temporary:
        temporary.write_bytes(data)
    write_text(folder / CONFIG, json.dumps(described, indent=2, ensure_ascii=False) + "\n")


def weights_names() -> list[str]:
    """Names of the networks that come with the project."""
    folders = [path.parent for root in shipped_folders("weights") for path in root.glob(f"*/{CONFIG}")]
    return sorted({folder.name for folder in folders})


def find_weights(name: str | Path) -> Path:
    """The folder of a network, given that folder or the name of one that comes with the project."""
    for root in shipped_folders("weights"):
        if Path(name).name == str(name) and (root / name / CONFIG).is_file():
            return root / name
    path = Path(name)
    if path.is_dir():
        return path
    if path.suffix in {".ckpt", ".pt", ".pth", ".pkl", ".bin"}:
        raise UserError(
            "weights are a folder with config.json and model.safetensors; pickled files can run any "
            "code and are not read; write the folder with `xrdml train ckpt=last export=FOLDER`",
            path=path,
        )
    known = ", ".join(weights_names()) or "none"
    raise UserError(f"unknown model '{name}'; known: {known}; or give the folder of its weights")


def load_weights(name: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a network and check that file, configuration and tensors belong together.

    Returns
    -------
    config, state
        As given to :func:`save_weights`; all tensors in single precision or integer.

    Raises
    ------
    UserError
        Unknown name, damaged or foreign files, or a newer format.
    """
    folder = find_weights(name)
    config = _read_config(folder / CONFIG)
    path = folder / TENSORS
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the weights ({error.strerror}); fetch them again", path=path) from None
    if hashlib.sha256(data).hexdigest() != config["sha256"]:
        raise UserError(
            "damaged, or not the weights that config.json beside it describes; fetch both again", path=path
        )
    try:
        stored = safetensors.torch.load(data)
    except SafetensorError as error:
        raise UserError(f"not a safetensors file ({error}); fetch it again", path=path) from None
    log.info("weights: %s, %s", folder, config.get("commit", "commit unknown"))
    state = {key: value.float() if value.is_floating_point() else value for key, value in stored.items()}
    with torch.device("meta"):
        expected = build_model(config["model"]).state_dict()
    for key in sorted(expected.keys() | state.keys()):
        want, got = (list(d[key].shape) if key in d else "nothing" for d in (expected, state))
        if want != got:
            raise UserError(f"{key}: config.json expects {want}, the weights hold {got}", path=path)
    return config, state


def read_config(name: str | Path) -> dict[str, Any]:
    """The config.json of a network, by its name or folder; errors as in :func:`load_weights`."""
    return _read_config(find_weights(name) / CONFIG)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"cannot be read ({error.strerror}); weights are a folder with config.json and model.safetensors",
            path=path,
        ) from None
    except ValueError as error:
        raise UserError(f"not JSON ({error}); fetch the weights again", path=path) from None
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise UserError("these are not weights of this project; give a folder written by xrdml", path=path)
    version = config.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise UserError(
            f"format version {version} is newer than {FORMAT_VERSION}, which this xrdml reads; update xrdml",
            path=path,
        )
    if not isinstance(config.get("model"), dict) or not isinstance(config.get("sha256"), str):
        raise UserError("damaged: model or sha256 is missing; fetch the weights again", path=path)
    return config
