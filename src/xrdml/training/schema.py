"""The typed form of configs/train.yaml: a misspelt or mistyped option fails before anything starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class Run:
    dir: str | None = None


@dataclass
class Loss:
    name: str = MISSING
    region: str = MISSING
    ssim: float = MISSING


@dataclass
class Optimizer:
    name: str = MISSING
    lr: float = MISSING
    weight_decay: float = MISSING
    schedule: str = MISSING
    patience: int = MISSING


@dataclass
class MeasurementEffects:
    noise: float = MISSING
    beam_stop: float = MISSING
    wedge: float = MISSING
    scale: float = MISSING
    extinction: float = MISSING
    anomalous: bool = MISSING
    wavelength: float = MISSING


@dataclass
class Data:
    path: str = MISSING
    val_path: str | None = None
    test_path: str | None = None
    val_fraction: float = MISSING
    test_fraction: float = MISSING
    d_min_low: float = MISSING
    d_min_high: float = MISSING
    grid: str = MISSING
    laue_group: str | None = None
    batch_size: int = MISSING
    workers: int = MISSING
    library: str | None = None
    library_workers: int = MISSING
    measurement: MeasurementEffects = field(default_factory=MeasurementEffects)


@dataclass
class Trainer:
    accelerator: str = MISSING
    devices: int = MISSING
    num_nodes: int = MISSING
    strategy: str = MISSING
    precision: str = MISSING
    max_epochs: int = MISSING
    max_steps: int = MISSING
    max_time: str | None = None
    check_val_every_n_epoch: int = MISSING
    save_minutes: float = MISSING
    threads: int | None = None
    compile: bool = MISSING


@dataclass
class Launcher:
    cluster: str | None = None
    cpus: int = MISSING
    minutes: int = MISSING
    partition: str | None = None
    wait: bool = MISSING


@dataclass
class Logger:
    csv: bool = MISSING
    tensorboard: bool = MISSING
    every_n_steps: int = MISSING


@dataclass
class TrainConfig:
    """Everything `xrdml train` takes; the comments are in the YAML files.

    `model` alone is free: its keys are the arguments of the chosen network, which
    :func:`xrdml.models.build_model` checks.
    """

    seed: int = MISSING
    ckpt: str | None = None
    init: str | None = None
    export: str | None = None
    run: Run = field(default_factory=Run)
    model: dict[str, Any] = MISSING
    data: Data = field(default_factory=Data)
    trainer: Trainer = field(default_factory=Trainer)
    logger: Logger = field(default_factory=Logger)
    launcher: Launcher = field(default_factory=Launcher)
    loss: Loss = field(default_factory=Loss)
    optimizer: Optimizer = field(default_factory=Optimizer)
