"""From a finished run to a weights folder that says what it is."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from xrdml.crystal.files import write_text
from xrdml.data.datamodule import CrystalDataModule
from xrdml.models.weights import CARD, save_weights
from xrdml.training.error_model import measure_errors
from xrdml.training.losses import r_factor
from xrdml.training.module import FillModule
from xrdml.training.network import Network, complete

_PACKAGES = ("xrdml", "torch", "lightning", "numpy", "gemmi", "hydra-core")


def export_weights(
    folder: str | Path, checkpoint: Path, data: CrystalDataModule, config: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the network of a checkpoint with everything that is needed to use or repeat it.

    Returns
    -------
    dict
        What config.json holds.
    """
    module = FillModule.load_from_checkpoint(checkpoint, map_location="cpu").eval()
    batches = [data.tensors(crystals) for crystals in data.val_dataloader()]
    described = {
        "model": dict(config["model"]),
        "data": {
            "grid": str(data.grid),
            "d_min_low": data.limits.low,
            "d_min_high": data.limits.high,
            "space_groups": data.space_groups(),
            "n_train": len(data.parts["train"]),
            "n_val": len(data.parts["val"]),
            "recipe": data.attributes,
        },
        "metrics": _metrics(module.network, batches),
        "error_model": measure_errors(module.network, batches, data.limits),
        "training": {key: config[key] for key in ("seed", "loss", "optimizer", "trainer")}
        | {"steps": torch.load(checkpoint, map_location="cpu", weights_only=True)["global_step"]},
        "parameters": sum(p.numel() for p in module.network.parameters()),
        "versions": versions(),
        "commit": commit(),
        "date": date.today().isoformat(),
    }
    save_weights(folder, described, module.network.model.state_dict())
    write_text(Path(folder) / CARD, _card(Path(folder).name, described))
    return described


@torch.no_grad()
def _metrics(network: Network, batches: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean over the validation crystals of R_ext and R_all."""
    values: dict[str, list[float]] = {"R_ext": [], "R_all": []}
    for batch in batches:
        completed = complete(network(batch).float(), batch)
        for name, part in (("R_ext", "extension"), ("R_all", "all")):
            values[name] += r_factor(completed, batch, part).tolist()
    means = {name: round(sum(v) / len(v), 4) for name, v in values.items()}
    return {"set": "validation crystals", "n": len(values["R_ext"]), **means}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide about the result."""
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}


def commit() -> str | None:
    """The commit of the checkout that this package runs from, if it is one."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def _card(name: str, c: Mapping[str, Any]) -> str:
    model, data, metrics = c["model"], c["data"], c["metrics"]
    options = ", ".join(f"{key} {value}" for key, value in model.items() if key not in ("name", "channels"))
    groups = ", ".join(f"{group} ({n})" for group, n in data["space_groups"].items())
    return f"""# {name}

* Model: {model["name"]} ({options}), {c["parameters"] / 1e6:.2f} M parameters.
* Input: {", ".join(model["channels"])}.
* Task: |F| from d ≥ {data["d_min_low"]:g} Å to d ≥ {data["d_min_high"]:g} Å on the grid {data["grid"]}.
* Trained in {c["training"]["steps"]} steps on {data["n_train"]} simulated crystals, recipe
  {data["recipe"].get("recipe", "unknown")}: {groups}.
* {metrics["n"]} {metrics["set"]}: R_ext {metrics["R_ext"]:.3f} (reflections that were missing), R_all
  {metrics["R_all"]:.3f} (measured ones put back and counted).
* Made on {c["date"]} with xrdml {c["versions"]["xrdml"]}, commit {c["commit"]}, seed {c["training"]["seed"]}.

These numbers are of simulated crystals: on measured ones expect worse, and compare with the baselines
(`xrdml test`). `config.json` holds everything else, the errors by resolution (`error_model`) included.
"""
