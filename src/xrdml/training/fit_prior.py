"""One training run of the density prior."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from xrdml.crystal.files import write_text
from xrdml.data.density import D_HIGH
from xrdml.models.weights import CARD, save_weights
from xrdml.training.denoise import DenoiseModule, DensityDataModule, PriorConfig
from xrdml.training.export import commit, versions
from xrdml.training.fit import Task, execute

__all__ = ["PriorConfig", "fit_prior"]

VALIDATE_EVERY = 500
"""Steps."""


def fit_prior(config: DictConfig) -> Path:
    """Train, or go on with, the density prior; returns the folder of the run."""
    return execute(
        config,
        Task(
            make=lambda c: (
                DenoiseModule(c["model"], c["optimizer"], c["init"]),
                DensityDataModule(c["data"], c["seed"]),
            ),
            monitor="val/loss",
            describe=lambda d: ", ".join(f"{n} of {name}" for name, n in d.counts.items()),
            export=lambda *args: f"validation loss {export_prior(*args):.4f}",
            trainer_options={"val_check_interval": VALIDATE_EVERY},
        ),
    )


@torch.no_grad()
def export_prior(
    folder: str | Path, checkpoint: Path, data: DensityDataModule, config: dict[str, Any]
) -> float:
    """Write the averaged network with what is needed to use or repeat it; returns its validation loss."""
    module = DenoiseModule.load_from_checkpoint(checkpoint, map_location="cpu").eval()
    losses = [float(module._loss(module.average, batch)) for batch in data.val_dataloader()]
    loss = sum(losses) / len(losses)
    described = {
        "model": dict(config["model"]),
        "d_high": D_HIGH,
        "data": {"n_train": data.counts, "d_limits": config["data"]["d_limits"]},
        "metrics": {"val_loss": round(loss, 5)},
        "training": {key: config[key] for key in ("seed", "init", "optimizer", "trainer")}
        | {"steps": torch.load(checkpoint, map_location="cpu", weights_only=True)["global_step"]},
        "parameters": sum(p.numel() for p in module.network.parameters()),
        "versions": versions(),
        "commit": commit(),
        "date": date.today().isoformat(),
    }
    save_weights(folder, described, module.average.state_dict())
    write_text(Path(folder) / CARD, _card(Path(folder).name, described))
    return loss


def _card(name: str, c: dict[str, Any]) -> str:
    counts = ", ".join(f"{n} crystals of {source}" for source, n in c["data"]["n_train"].items())
    low, high = c["data"]["d_limits"]
    return f"""# {name}

* Density prior: a periodic 3-D U-Net, width {c["model"]["width"]}, {c["parameters"] / 1e6:.2f} M parameters.
* Task: the density at {c["d_high"]:g} Å from a map to {low:g}–{high:g} Å with partly wrong phases.
* Trained on {counts}; {c["training"]["steps"]} steps; no family of the test crystals among them.
* Validation loss {c["metrics"]["val_loss"]:.4f} (squared error over variance, all error levels alike).
* Made on {c["date"]} with xrdml {c["versions"]["xrdml"]}, commit {c["commit"]}, seed {c["training"]["seed"]}.

What it solves and what it does not is measured by `make bench-phasing`.
"""
