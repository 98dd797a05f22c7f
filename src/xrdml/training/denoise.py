"""Training of the density prior: denoising maps with wrong phases."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
import torch
from omegaconf import MISSING
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from xrdml.data.density import (
    DensityCrystal,
    NoisyBatch,
    NoisyDensities,
    Source,
    density_crystal,
    to_density,
)
from xrdml.data.structures import read_structures
from xrdml.errors import UserError
from xrdml.models import build_model
from xrdml.models.weights import load_weights
from xrdml.training.schema import Logger, Run, Trainer

log = logging.getLogger("xrdml")

MAX_POINTS = 40_000
"""Grid points of the largest crystal that is trained on: a batch holds at least two."""
VALIDATION_SEED, VALIDATION_BATCHES = 20_000, 24
EMA_DECAY = 0.999


@dataclass
class PriorData:
    paths: list[str] = MISSING
    shares: list[float] | None = None
    limit: int | None = None
    points: int = MISSING
    level_error: float = MISSING
    d_limits: list[float] = MISSING


@dataclass
class PriorOptimizer:
    lr: float = MISSING
    weight_decay: float = MISSING
    warm_up: int = MISSING


@dataclass
class PriorConfig:
    """Everything `xrdml train model=density_prior` takes; the comments are in configs/prior.yaml."""

    seed: int = MISSING
    ckpt: str | None = None
    init: str | None = None
    export: str | None = None
    run: Run = field(default_factory=Run)
    model: dict[str, Any] = MISSING
    data: PriorData = field(default_factory=PriorData)
    trainer: Trainer = field(default_factory=Trainer)
    logger: Logger = field(default_factory=Logger)
    optimizer: PriorOptimizer = field(default_factory=PriorOptimizer)


class _Stream(IterableDataset):
    """Batches from the one that the trainer has reached, without an end."""

    def __init__(self, densities: NoisyDensities, module: L.LightningDataModule):
        self._densities, self._module = densities, module

    def __iter__(self) -> Iterator[NoisyBatch]:
        trainer = self._module.trainer
        i = (trainer.global_step if trainer else 0) * (trainer.world_size if trainer else 1)
        rank = trainer.global_rank if trainer else 0
        while True:
            yield self._densities.draw(i + rank)
            i += trainer.world_size if trainer else 1


class DensityDataModule(L.LightningDataModule):
    """Crystals of dataset files and of folders of CIFs, the fifth for testing left out of folders.

    Parameters
    ----------
    config
        The section `data` of prior.yaml.
    seed
        Of the batches.
    """

    def __init__(self, config: dict[str, Any], seed: int):
        super().__init__()
        self.config, self.seed = config, seed
        self.counts: dict[str, int] = {}
        self._densities: NoisyDensities | None = None
        self._validation: list[NoisyBatch] = []

    def setup(self, stage: str | None = None) -> None:
        """Turn every structure into structure factors on its grid."""
        if self._densities is not None:
            return
        paths, shares = self.config["paths"], self.config["shares"]
        if not paths or (shares is not None and len(shares) != len(paths)):
            raise UserError("data.paths must name at least one source, and data.shares one number for each")
        low, high = self.config["d_limits"]
        sources, held_out = [], []
        for i, path in enumerate(paths):
            crystals = self._crystals(Path(path), "train")
            sources.append(Source(crystals, shares[i] if shares else len(crystals)))
            self.counts[Path(path).name] = len(crystals)
            held_out += self._crystals(Path(path), "test")[:200]
        points, limits = self.config["points"], (low, high)
        c = self.config
        self._densities = NoisyDensities(sources, points, limits, self.seed, c["level_error"])
        validation = NoisyDensities([Source(held_out)], points, limits, VALIDATION_SEED)
        self._validation = [validation.draw(i) for i in range(VALIDATION_BATCHES)]

    def _crystals(self, path: Path, subset: str) -> list[DensityCrystal]:
        found = [density_crystal(s) for _, s in read_structures(path, subset, self.config["limit"])]
        usable = [c for c in found if math.prod(c.shape) <= MAX_POINTS]
        if not usable:
            raise UserError(f"no crystal for {subset} with at most {MAX_POINTS} grid points", path=path)
        if len(usable) < len(found):
            log.info(
                "%s: %d of %d crystals are too large and left out", path, len(found) - len(usable), len(found)
            )
        return usable

    def train_dataloader(self) -> DataLoader:
        assert self._densities is not None
        return DataLoader(_Stream(self._densities, self), batch_size=None)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self._validation, batch_size=None)  # type: ignore[arg-type]

    def transfer_batch_to_device(self, batch: NoisyBatch, device: torch.device, _: int) -> NoisyBatch:
        return batch.to(device)


class DenoiseModule(L.LightningModule):
    """Minimises the squared error of the map relative to its variance.

    Parameters
    ----------
    model, optimizer
        The sections of that name in prior.yaml.
    init
        Weights to begin from, by name or folder.
    """

    def __init__(self, model: dict[str, Any], optimizer: dict[str, Any], init: str | None = None):
        super().__init__()
        self.save_hyperparameters(ignore=["init"])
        self.network = build_model(model)
        if init is not None:
            config, state = load_weights(init)
            if config["model"] != model:
                raise UserError(f"init={init} is {config['model']}, not {model}; give the same model options")
            self.network.load_state_dict(state)
        # A running mean over the last thousand steps is better than any one of them.
        self.average = deepcopy(self.network).requires_grad_(False)

    def training_step(self, batch: NoisyBatch, _: int) -> Tensor:
        value = self._loss(self.network, batch)
        self.log("train/loss", value.detach(), batch_size=len(batch.f))
        return value

    def validation_step(self, batch: NoisyBatch, _: int) -> None:
        self.log("val/loss", self._loss(self.average, batch), batch_size=len(batch.f), sync_dist=True)

    @staticmethod
    def _loss(network: torch.nn.Module, batch: NoisyBatch) -> Tensor:
        drawn = draw(network, batch)
        error = (drawn - batch.target).square().mean((1, 2, 3))
        return (error / batch.target.square().mean((1, 2, 3))).mean()

    def on_train_batch_end(self, *_: Any) -> None:
        decay = min(EMA_DECAY, (1 + self.global_step) / (20 + self.global_step))
        with torch.no_grad():
            pairs = zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True)
            for mean, value in pairs:
                mean.lerp_(value, 1 - decay)

    def configure_optimizers(self) -> Any:
        o = self.hparams["optimizer"]
        optimizer = torch.optim.AdamW(self.network.parameters(), lr=o["lr"], weight_decay=o["weight_decay"])
        total, warm_up = int(self.trainer.estimated_stepping_batches), o["warm_up"]

        def factor(step: int) -> float:
            return min(1.0, (step + 1) / warm_up) * (
                0.5 * (1 + math.cos(math.pi * min(1, step / total))) + 0.01
            )

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def draw(network: torch.nn.Module, batch: NoisyBatch) -> Tensor:
    """The network's map of a batch, (B, X, Y, Z)."""
    density = to_density(batch.f)
    rms = density.square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-6)
    drawn: Tensor = network((density / rms)[:, None], batch.conditions)
    return drawn.float()
