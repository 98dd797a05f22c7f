"""What every part of an explanation is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch

from xrdml.crystal.grid import HklGrid
from xrdml.crystal.problem import Predictor
from xrdml.explain.subject import Subject
from xrdml.infer.choose import BASELINES, load_predictor
from xrdml.infer.network import NetworkPredictor
from xrdml.models.weights import read_config
from xrdml.phasing.prior import load_prior
from xrdml.phasing.solve import SolveOptions
from xrdml.training.network import Network

PRIOR = "density_prior"
TENSOR_NETWORKS = ("unet", "fft_unet", "xrd_transformer", "patterson_unet")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Explained:
    """A model by the name or folder of its weights.

    Attributes
    ----------
    weights
        As given.
    kind
        Its name in configs/model, or the name of a baseline.
    grid
        Another tensor layout than that of the training.
    """

    weights: str
    kind: str
    grid: HklGrid | None = None

    @property
    def name(self) -> str:
        return Path(self.weights).name

    @property
    def sha256(self) -> str | None:
        """Of the weights; None for a baseline."""
        return None if self.kind in BASELINES else read_config(self.weights)["sha256"]

    @cached_property
    def tensors(self) -> NetworkPredictor:
        """A tensor network with its layout."""
        return NetworkPredictor(self.weights, self.grid)

    @cached_property
    def prior(self) -> torch.nn.Module:
        return load_prior(self.weights)[0]

    def untrained(self, seed: int) -> Network:
        """A tensor network of the same make as it was before training, on the same device."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            fresh = Network(self.tensors.config["model"])
        device = next(self.tensors.network.parameters()).device
        return fresh.eval().requires_grad_(False).to(device)

    def predictor(self, search: SolveOptions, say: Say) -> Predictor:
        """The model as one that fills crystals; a density prior solves them."""
        return load_predictor(
            self.weights,
            self.grid,
            search=search,
            progress=lambda what, r: say(f"{self.name}: {what}, best R {r:.3f}"),
        )

    def check(self, subject: Subject) -> None:
        """Raise UserError where the model cannot take the crystal."""
        if self.kind in TENSOR_NETWORKS:
            self.tensors.tensors(subject.problem)


def explained(weights: str, grid: HklGrid | None = None) -> Explained:
    """Find out what a model is.

    Raises
    ------
    UserError
        Unknown, damaged or foreign weights.
    """
    kind = weights if weights in BASELINES else read_config(weights)["model"]["name"]
    return Explained(weights, kind, grid)


@dataclass(frozen=True)
class Setting:
    """One part for one model.

    Attributes
    ----------
    model
        What is explained.
    subject
        The crystal that pictures show.
    others
        Crystals for means, the subject among them.
    out
        Folder of the model.
    search
        How hard to try to solve a crystal.
    say
        Called with what is going on.
    """

    model: Explained
    subject: Subject
    others: Sequence[Subject]
    out: Path
    search: SolveOptions = field(default_factory=SolveOptions)
    say: Say = print

    def count(self, what: str, n: int) -> None:
        """Say that n crystals are done."""
        self.say(f"{self.model.name}: {what}, {n} of {len(self.others)} crystals")
