"""Checkpoints and progress of a training run."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, RichProgressBar

from xrdml.data import keys
from xrdml.data.density import NoisyBatch

LAST = "last.ckpt"


class SaveLast(Callback):
    """Keep one `last.ckpt`: every `minutes`, after every epoch, and on Ctrl-C or SIGTERM.

    The old file is replaced only when the new one is complete. A signal is obeyed after the step
    it came in, or after the validation that ends an epoch, so that the file is a whole state; a second
    one stops at once.
    """

    def __init__(self, folder: Path, minutes: float):
        self.path, self.seconds = folder / LAST, 60 * minutes
        self._saved = time.monotonic()
        self._stop = False
        self._handlers: dict[int, Any] = {}

    def on_train_start(self, *_: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._on_signal)

    def _on_signal(self, *_: Any) -> None:
        self._stop = True
        self._restore_handlers()

    def _restore_handlers(self) -> None:
        while self._handlers:
            signal.signal(*self._handlers.popitem())

    def teardown(self, *_: Any, **__: Any) -> None:
        self._restore_handlers()

    def _save(self, trainer: L.Trainer) -> None:
        temporary = self.path.with_suffix(".part")
        trainer.save_checkpoint(temporary)
        if trainer.is_global_zero:
            os.replace(temporary, self.path)
        self._saved = time.monotonic()

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.is_last_batch:
            return  # the epoch ends with a validation, which a resumed run would leave out
        # All processes take part in saving, so they must agree on when.
        agree = trainer.strategy.reduce_boolean_decision
        stop = agree(self._stop, all=False)
        if stop or agree(time.monotonic() - self._saved > self.seconds, all=False):
            self._save(trainer)
        if stop:
            raise KeyboardInterrupt

    def on_train_epoch_end(self, trainer: L.Trainer, _: L.LightningModule) -> None:
        self._save(trainer)
        if trainer.strategy.reduce_boolean_decision(self._stop, all=False):
            raise KeyboardInterrupt


def _crystals(batch: Any) -> int:
    return len(batch.f) if isinstance(batch, NoisyBatch) else len(batch[keys.CELL])


class PlainProgress(Callback):
    """One line every `seconds` and after every validation, for logs and pipes."""

    def __init__(self, seconds: float = 30):
        self.seconds = seconds
        self._started = self._printed = time.monotonic()
        self._samples = 0

    def on_train_start(self, *_: Any) -> None:
        self._started = self._printed = time.monotonic()

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, _out: Any, batch: Any, i: int
    ) -> None:
        self._samples += _crystals(batch) * trainer.world_size
        if time.monotonic() - self._printed > self.seconds:
            self._print(trainer, "train", f"batch {i + 1}/{trainer.num_training_batches}")

    def on_validation_end(self, trainer: L.Trainer, _: L.LightningModule) -> None:
        if not trainer.sanity_checking:
            self._print(trainer, "val", "validation")

    def _print(self, trainer: L.Trainer, stage: str, where: str) -> None:
        if not trainer.is_global_zero:
            return
        self._printed = time.monotonic()
        shown = {name: trainer.callback_metrics.get(f"{stage}/{name}") for name in ("loss", "R_ext", "R_all")}
        values = "  ".join(f"{name} {float(value):.4g}" for name, value in shown.items() if value is not None)
        speed = self._samples / max(self._printed - self._started, 1e-9)
        print(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  {where}  step {trainer.global_step}  "
            f"{values}  {speed:.1f} crystals/s",
            flush=True,
        )


class Speed(Callback):
    """Log how many crystals a second are trained on, over all processes, beside the other curves."""

    def __init__(self, every_n_steps: int) -> None:
        self.every_n_steps = every_n_steps
        self._since, self._crystals = 0.0, 0

    def on_train_epoch_start(self, *_: Any) -> None:
        self._since, self._crystals = time.monotonic(), 0

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, _out: Any, batch: Any, i: int
    ) -> None:
        self._crystals += _crystals(batch) * trainer.world_size
        if trainer.global_step % self.every_n_steps == 0:
            now = time.monotonic()
            module.log(
                "speed/crystals_per_s", self._crystals / max(now - self._since, 1e-9), rank_zero_only=True
            )
            self._since, self._crystals = now, 0

    def on_validation_end(self, *_: Any) -> None:
        # A validation within an epoch is no training.
        self._since, self._crystals = time.monotonic(), 0


def best_checkpoint(folder: Path, monitor: str) -> ModelCheckpoint:
    """Keeps the checkpoint with the smallest value on the validation crystals."""
    return ModelCheckpoint(
        dirpath=folder,
        filename="best",
        monitor=monitor,
        mode="min",
        save_top_k=1,
        enable_version_counter=False,
    )


def progress() -> Callback:
    """A live bar in a terminal, lines everywhere else."""
    return RichProgressBar() if sys.stdout.isatty() else PlainProgress()
