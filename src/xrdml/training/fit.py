"""One training run from its configuration."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from omegaconf import DictConfig, OmegaConf

from xrdml.crystal.files import write_text
from xrdml.data.datamodule import CrystalDataModule
from xrdml.errors import UserError
from xrdml.training.callbacks import LAST, SaveLast, Speed, best_checkpoint, progress
from xrdml.training.export import export_weights
from xrdml.training.module import FillModule

log = logging.getLogger("xrdml")
RUNS = Path("runs")


@dataclass(frozen=True)
class Task:
    """What is trained, and on what; the rest of a run is alike for all.

    Attributes
    ----------
    make
        Module and data from the plain configuration.
    monitor
        The logged value whose minimum is the best checkpoint.
    describe
        What the data are, in a few words, after their setup.
    export
        Writes the weights (folder, checkpoint, data, configuration) and says how good they are.
    trainer_options
        Options of the trainer beyond the configuration.
    """

    make: Callable[[dict[str, Any]], tuple[L.LightningModule, Any]]
    monitor: str
    describe: Callable[[Any], str]
    export: Callable[[str, Path, Any, dict[str, Any]], str]
    trainer_options: dict[str, Any] = field(default_factory=dict)


def fit(config: DictConfig) -> Path:
    """Train, or go on with, one tensor network; returns the folder of the run."""

    def export(folder: str, checkpoint: Path, data: CrystalDataModule, plain: dict[str, Any]) -> str:
        metrics = export_weights(folder, checkpoint, data, plain)["metrics"]
        return f"validation R_ext {metrics['R_ext']:.3f}"

    return execute(
        config,
        Task(
            make=lambda c: (
                FillModule(c["model"], c["loss"], c["optimizer"], c["init"]),
                CrystalDataModule(c["data"], c["seed"]),
            ),
            monitor="val/R_ext",
            describe=lambda d: (
                f"{len(d.parts['train'])} crystals to train on, {len(d.parts['val'])} to validate"
            ),
            export=export,
        ),
    )


def execute(config: DictConfig, task: Task) -> Path:
    """Run a task; returns the folder of the run.

    The folder holds config.yaml, best.ckpt, last.ckpt and, for each start, logs/start_<n> with
    metrics.csv and the TensorBoard events.

    Raises
    ------
    UserError
        Anything in the configuration or the files it names that cannot be used.
    """
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    _quiet()
    folder, checkpoint = _where(plain)
    if plain["trainer"]["threads"]:
        torch.set_num_threads(plain["trainer"]["threads"])
    L.seed_everything(plain["seed"], workers=True, verbose=False)
    module, data = task.make(plain)
    data.setup()
    if checkpoint:
        _check_resumable(checkpoint, plain["model"])
    if plain["trainer"]["compile"]:
        module.network.compile()  # type: ignore[union-attr]
    _make_folder(folder)
    write_text(folder / "config.yaml", OmegaConf.to_yaml(config, resolve=True))
    trainer = _make_trainer(plain, folder, best_checkpoint(folder, task.monitor), **task.trainer_options)
    if trainer.is_global_zero:
        size = sum(p.numel() for p in module.parameters() if p.requires_grad) / 1e6
        resumed = ", resumed" if checkpoint else ""
        name = plain["model"]["name"]
        print(f"{name}: {size:.2f} M parameters, {task.describe(data)}, run {folder}{resumed}", flush=True)
    _run(trainer, module, data, checkpoint)
    if plain["export"] and trainer.is_global_zero:
        best = folder / "best.ckpt"
        said = task.export(plain["export"], best if best.is_file() else folder / LAST, data, plain)
        print(f"weights in {plain['export']}, {said}", flush=True)
    return folder


def _run(
    trainer: L.Trainer, module: L.LightningModule, data: L.LightningDataModule, checkpoint: Path | None
) -> None:
    """Train; Ctrl-C is a KeyboardInterrupt."""
    try:
        trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    except SystemExit:
        # Lightning's answer to Ctrl-C; the command line has its own.
        raise KeyboardInterrupt from None


def _quiet() -> None:
    """Keep what concerns the user: our lines and real warnings."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    unhelpful = (
        "does not have many workers",
        "LeafSpec",
        "Checkpoint directory",
        "log_every_n_steps",
        "your dataloader is not resumable",  # its sampler is
        "Experiment logs directory",
    )
    for text in unhelpful:
        warnings.filterwarnings("ignore", f".*{text}.*")


def _where(config: dict[str, Any]) -> tuple[Path, Path | None]:
    """The folder of the run, and the checkpoint to go on from."""
    chosen, ckpt = config["run"]["dir"], config["ckpt"]
    mine = RUNS / config["model"]["name"]
    if config["trainer"]["strategy"] != "auto" and not chosen:
        raise UserError("several processes must share one folder: give run.dir=DIR with trainer=ddp")
    if ckpt is None:
        folder = Path(chosen) if chosen else mine / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        if (folder / LAST).exists():
            raise UserError(
                "this folder holds a run already; go on with ckpt=last, or give another run.dir", path=folder
            )
        return folder, None
    if ckpt != "last":
        checkpoint = Path(ckpt)
        if not checkpoint.is_file():
            raise UserError("no such checkpoint; give ckpt=last or the path of a .ckpt", path=checkpoint)
        return (Path(chosen) if chosen else checkpoint.parent), checkpoint
    found = [Path(chosen) / LAST] if chosen else sorted(mine.glob(f"*/{LAST}"))
    if not found or not found[-1].is_file():
        raise UserError(
            f"ckpt=last: no {LAST} in {chosen or mine}; train without ckpt= first, or give run.dir="
        )
    return found[-1].parent, found[-1]


def _check_resumable(path: Path, model: dict[str, Any]) -> None:
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        before = stored["hyper_parameters"]["model"]
    except Exception as error:
        # torch raises anything from EOFError to UnpicklingError on a damaged or foreign file.
        raise UserError(
            f"not a checkpoint of this project, or damaged ({type(error).__name__})", path=path
        ) from None
    if before != model:
        raise UserError(
            f"was trained with model {before}, not {model}; give the same model options", path=path
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make this folder ({error.strerror}); give run.dir=", path=folder) from None


def _make_trainer(config: dict[str, Any], folder: Path, best: Callback, **options: Any) -> L.Trainer:
    """The trainer of a configuration; `best` keeps the best checkpoint.

    Raises
    ------
    UserError
        A device that is not there, or a name that Lightning does not know.
    """
    t, files = dict(config["trainer"]), config["logger"]
    minutes = t.pop("save_minutes")
    for ours in ("threads", "compile"):
        t.pop(ours)
    # Each start logs into a folder of its own: the CSV logger empties one that exists.
    start = f"start_{len(list(folder.glob('logs/start_*'))) + 1}"
    loggers: list[Logger] = []
    if files["csv"]:
        loggers.append(CSVLogger(folder, name="logs", version=start))
    if files["tensorboard"]:
        loggers.append(TensorBoardLogger(folder, name="logs", version=start, default_hp_metric=False))
    shown = progress()
    try:
        return L.Trainer(
            **t,
            **options,
            default_root_dir=folder,
            logger=loggers,
            log_every_n_steps=files["every_n_steps"],
            callbacks=[best, SaveLast(folder, minutes), Speed(files["every_n_steps"]), shown],
            enable_model_summary=False,
            enable_progress_bar=isinstance(shown, ProgressBar),
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # ResumableShuffle does it
            deterministic="warn" if t["accelerator"] != "cpu" else True,
        )
    except Exception as error:
        # Lightning raises half a dozen types for a device that is not there or a name it does not know.
        raise UserError(f"trainer: {str(error).splitlines()[0]}") from None
