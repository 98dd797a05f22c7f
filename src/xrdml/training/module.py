"""The Lightning module: any network of `xrdml.models` on batches of `xrdml.data`."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor

from xrdml.data import keys
from xrdml.data.tensors import TensorBatch
from xrdml.errors import UserError
from xrdml.training.losses import check_loss, loss, r_factor
from xrdml.training.network import Network, complete

_OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
_SCHEDULES = ("plateau", "cosine", "constant")


class FillModule(L.LightningModule):
    """Trains a network to fill the reflections to predict.

    Parameters
    ----------
    model, loss, optimizer
        The sections of that name in train.yaml, as plain dicts, so that a checkpoint holds them
        and loads without anything else.
    """

    def __init__(self, model: dict[str, Any], loss: dict[str, Any], optimizer: dict[str, Any]):
        super().__init__()
        check_loss(loss["name"], loss["region"])
        for option, known in (("name", tuple(_OPTIMIZERS)), ("schedule", _SCHEDULES)):
            if optimizer[option] not in known:
                raise UserError(f"optimizer.{option}={optimizer[option]}: choose from {', '.join(known)}")
        self.save_hyperparameters()
        self.network = Network(model)

    def forward(self, batch: TensorBatch) -> Tensor:
        return self.network(batch)

    def training_step(self, batch: TensorBatch, _: int) -> Tensor:
        return self._step(batch, "train")

    def validation_step(self, batch: TensorBatch, _: int) -> None:
        self._step(batch, "val")

    def _step(self, batch: TensorBatch, stage: str) -> Tensor:
        prediction = self.network(batch).float()
        value = loss(prediction, batch, self.hparams["loss"]["name"], self.hparams["loss"]["region"])
        completed = complete(prediction.detach(), batch)
        logged = {
            f"{stage}/loss": value.detach(),
            f"{stage}/R_ext": r_factor(completed, batch, "extension").mean(),
            f"{stage}/R_all": r_factor(completed, batch, "all").mean(),
        }
        training = stage == "train"
        self.log_dict(
            logged,
            on_step=training,
            on_epoch=not training,
            sync_dist=not training,
            batch_size=len(batch[keys.CELL]),
        )
        return value

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

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Dropout goes on where it stopped, so that a resumed run equals an unbroken one.
        checkpoint["rng_state"] = torch.get_rng_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        torch.set_rng_state(checkpoint["rng_state"].cpu())
