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
from xrdml.training.error_model import ErrorModel
from xrdml.training.losses import r_factor
from xrdml.training.module import FillModule
from xrdml.training.network import Network, complete

MAX_VALIDATED = 5000
"""Validation crystals that the metrics and the error table are made from: more change no digit."""

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
    device = "cuda" if torch.cuda.is_available() else "cpu"
    module = FillModule.load_from_checkpoint(checkpoint, map_location=device).eval()
    metrics, error_model = _validate(module.network, data, device)
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
        "metrics": metrics,
        "error_model": error_model,
        "training": {key: config[key] for key in ("seed", "init", "loss", "optimizer", "trainer")}
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
def _validate(
    network: Network, data: CrystalDataModule, device: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Mean R_ext and R_all, and the error table, over the first validation crystals."""
    errors = ErrorModel(data.limits)
    values: dict[str, list[float]] = {"extension": [], "all": []}
    for crystals in data.val_dataloader():
        batch = data.tensors(crystals.to(device))
        completed = complete(network(batch).float(), batch)
        errors.update(completed, batch)
        for part, found in values.items():
            found += r_factor(completed, batch, part).tolist()
        if len(values["all"]) >= MAX_VALIDATED:
            break
    r_ext, r_all = (round(sum(v) / len(v), 4) for v in values.values())
    metrics = {"set": "validation crystals", "n": len(values["all"]), "R_ext": r_ext, "R_all": r_all}
    return metrics, errors.table()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide about the result."""
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}


def commit() -> str | None:
    """The commit of the checkout that this package runs from, if it is one."""
    checkout = Path(__file__).resolve().parents[3]
    if not (checkout / "pyproject.toml").is_file():
        return None  # installed, perhaps inside the repository of somebody else's project
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=checkout,
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
    recipe, begun = data["recipe"].get("recipe", "unknown"), c["training"].get("init")
    published = recipe == "import-cif"
    crystals = "published crystals, |F| calculated" if published else f"simulated crystals, recipe {recipe}"
    start = f" It began with weights `{Path(begun).name}`." if begun else ""
    groups = ", ".join(f"{group} ({n})" for group, n in data["space_groups"].items())
    return f"""# {name}

* Model: {model["name"]} ({options}), {c["parameters"] / 1e6:.2f} M parameters.
* Input: {", ".join(model["channels"])}.
* Task: |F| from d ≥ {data["d_min_low"]:g} Å to d ≥ {data["d_min_high"]:g} Å on the grid {data["grid"]}.
* Trained in {c["training"]["steps"]} steps on {data["n_train"]} {crystals}:
  {groups}.{start}
* {metrics["n"]} {metrics["set"]}: R_ext {metrics["R_ext"]:.3f} (reflections that were missing), R_all
  {metrics["R_all"]:.3f} (measured ones put back and counted).
* Made on {c["date"]} with xrdml {c["versions"]["xrdml"]}, commit {c["commit"]}, seed {c["training"]["seed"]}.

These numbers are of exact |F|: on measured ones expect worse, and compare with the baselines (`xrdml test`).
`config.json` holds everything else, the errors by resolution (`error_model`) included.
"""
