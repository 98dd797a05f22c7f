"""The Lightning module: any network of `xrdml.models` on batches of `xrdml.data`."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor

from xrdml.data import keys
from xrdml.data.tensors import TensorBatch
from xrdml.errors import UserError
from xrdml.models.weights import load_weights
from xrdml.training.losses import check_loss, loss, r_factor, total_loss
from xrdml.training.network import Network, complete
from xrdml.training.ssim import ssim

_OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
_SCHEDULES = ("plateau", "cosine", "constant")
_SUMS = ("errors", "reflections", "R_ext", "R_all", "SSIM", "crystals")


class FillModule(L.LightningModule):
    """Trains a network to fill the reflections to predict.

    Parameters
    ----------
    model, loss, optimizer
        The sections of that name in train.yaml, as plain dicts, so that a checkpoint holds them
        and loads without anything else.
    init
        Weights to begin from, by name or folder.
    """

    def __init__(
        self,
        model: dict[str, Any],
        loss: dict[str, Any],
        optimizer: dict[str, Any],
        init: str | None = None,
    ):
        super().__init__()
        check_loss(loss["name"], loss["region"])
        for option, known in (("name", tuple(_OPTIMIZERS)), ("schedule", _SCHEDULES)):
            if optimizer[option] not in known:
                raise UserError(f"optimizer.{option}={optimizer[option]}: choose from {', '.join(known)}")
        if not loss["ssim"] >= 0:
            raise UserError(f"loss.ssim={loss['ssim']:g} is a weight: 0 or more")
        self.save_hyperparameters(ignore=["init"])
        self.network = Network(model)
        if init is not None:
            self.network.model.load_state_dict(_initial(init, model))
        self._sums = torch.zeros(len(_SUMS))
        self._seed = 0

    def forward(self, batch: TensorBatch) -> Tensor:
        return self.network(batch)

    def training_step(self, batch: TensorBatch, _: int) -> Tensor:
        o = self.hparams["loss"]
        unit = self.network.unit(batch)
        raw = self.network.predict(batch, unit).float()
        value = loss(raw, batch, o["name"], o["region"], unit)
        prediction = raw if unit is None else raw * unit
        if o["ssim"]:
            value = value + o["ssim"] * (1 - _similarity(prediction, batch)).mean()
        completed = complete(prediction.detach(), batch)
        logged = {
            "train/loss": value.detach(),
            "train/R_ext": r_factor(completed, batch, "extension").mean(),
            "train/R_all": r_factor(completed, batch, "all").mean(),
        }
        self.log_dict(logged, sync_dist=True, batch_size=len(batch[keys.CELL]))
        return value

    def on_validation_epoch_start(self) -> None:
        self._sums = torch.zeros(len(_SUMS), dtype=torch.float64, device=self.device)

    def validation_step(self, batch: TensorBatch, _: int) -> None:
        o = self.hparams["loss"]
        unit = self.network.unit(batch)
        raw = self.network.predict(batch, unit).float()
        total, count = total_loss(raw, batch, o["name"], o["region"], unit)
        prediction = raw if unit is None else raw * unit
        completed = complete(prediction, batch)
        r_ext, r_all = (r_factor(completed, batch, part).sum() for part in ("extension", "all"))
        similarity = _similarity(prediction, batch).sum() if o["ssim"] else torch.zeros_like(total)
        n = total.new_tensor(float(len(completed)))
        self._sums += torch.stack([total, count.to(total), r_ext, r_all, similarity, n])

    def on_validation_epoch_end(self) -> None:
        # Sums, so that the figures do not depend on how crystals are shared out to batches and processes.
        sums = self.trainer.strategy.reduce(self._sums, reduce_op="sum")
        total, count, r_ext, r_all, similarity, n = sums.float()
        n = n.clamp_min(1)
        weight = self.hparams["loss"]["ssim"]
        value = total / count.clamp_min(1) + (weight * (1 - similarity / n) if weight else 0)
        logged = {"val/loss": value, "val/R_ext": r_ext / n, "val/R_all": r_all / n}
        self.log_dict(logged, sync_dist=True, batch_size=1)

    def configure_optimizers(self) -> Any:
        o = self.hparams["optimizer"]
        optimizer = _OPTIMIZERS[o["name"]](self.parameters(), lr=o["lr"], weight_decay=o["weight_decay"])
        if o["schedule"] == "plateau":
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer, factor=0.5, patience=o["patience"]
            )
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "val/loss"}}
        if o["schedule"] == "cosine":
            steps = int(self.trainer.estimated_stepping_batches)
            cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cosine, "interval": "step"}}
        return {"optimizer": optimizer}

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        # Lightning 2.6 steps a plateau after the checkpoints of an epoch are written, and not at all in
        # an epoch that was resumed: the rate of a resumed run would differ. See on_validation_end.
        if not isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            super().lr_scheduler_step(scheduler, metric)

    def on_validation_end(self) -> None:
        scheduler = self.lr_schedulers()
        if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            scheduler.step(self.trainer.callback_metrics["val/loss"])

    def on_fit_start(self) -> None:
        self._seed = torch.initial_seed()  # the seed of the run

    def on_train_batch_start(self, *_: Any) -> None:
        # Dropout follows from (seed, step, process) alone: a resumed run equals an unbroken one.
        step = self.global_step * self.trainer.world_size + self.global_rank
        torch.manual_seed((self._seed * 1_000_003 + step) % 2**63)


def _similarity(prediction: Tensor, batch: TensorBatch) -> Tensor:
    """SSIM of each crystal's completed tensor, (B,), differentiable."""
    completed = torch.where(batch[keys.PREDICT], prediction, batch[keys.F_INPUT])
    known = ~batch[keys.PREDICT] | batch[keys.KNOWN]
    return ssim(completed * known, batch[keys.F_TARGET])


def _initial(name: str, model: dict[str, Any]) -> dict[str, Tensor]:
    """Weights to begin from.

    Raises
    ------
    UserError
        They are of another model.
    """
    config, state = load_weights(name)
    theirs, ours = ({"cell": False, "quantity": "f"} | m for m in (config["model"], model))
    if differences := sorted(k for k in theirs | ours if theirs.get(k) != ours.get(k)):
        listed = " ".join(f"model.{k}={theirs.get(k)}" for k in differences)
        raise UserError(f"init={name} was trained with {listed}; give the same options")
    return state
