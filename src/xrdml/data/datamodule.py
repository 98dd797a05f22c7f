"""Batches for Lightning: crystals are read on the CPU, |F| is computed where the network is."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
from torch.utils.data import DataLoader

from xrdml.crystal.grid import HklGrid
from xrdml.crystal.molecular_options import MolecularOptions
from xrdml.crystal.store import StructureStore
from xrdml.crystal.symmetry import symmetry
from xrdml.data.dataset import CrystalDataset, fitting, split
from xrdml.data.reservoir import Reservoir
from xrdml.data.sampler import ResumableShuffle
from xrdml.data.tensors import Limits, TensorBatch, simulated_tensors
from xrdml.errors import UserError
from xrdml.physics.measurement import MeasurementOptions
from xrdml.physics.structure_factors import CrystalBatch, collate

log = logging.getLogger("xrdml")


class CrystalDataModule(L.LightningDataModule):
    """Train, validation and test crystals of dataset files.

    Parameters
    ----------
    config
        The section `data` of train.yaml.
    seed
        Of the order of the training crystals.
    """

    def __init__(self, config: Mapping[str, Any], seed: int):
        super().__init__()
        self.config, self.seed = config, seed
        self.grid = HklGrid.parse(config["grid"])
        self.limits = Limits(config["d_min_low"], config["d_min_high"])
        self.measurement = MeasurementOptions(**config["measurement"])
        self.reservoir: Reservoir | None = None
        self.attributes: dict[str, Any] = {}
        self.parts: dict[str, CrystalDataset] = {}
        if config["batch_size"] < 1 or config["workers"] < 0:
            raise UserError("data.batch_size must be at least 1 and data.workers at least 0")
        if config["library"] and (config["workers"] or config["library_workers"] < 1):
            raise UserError("data.library needs data.workers=0 and data.library_workers of at least 1")

    def setup(self, stage: str | None = None) -> None:
        """Open the files, share out the crystals, and leave out those that the grid cannot hold."""
        if self.parts:
            return
        main = StructureStore(self.config["path"])
        self.attributes = main.attributes
        separate = {part: self.config[f"{part}_path"] for part in ("val", "test")}
        fraction = {part: 0.0 if path else self.config[f"{part}_fraction"] for part, path in separate.items()}
        fits = self._usable(main)
        for part, indices in split(len(main), fraction["val"], fraction["test"], main.labels).items():
            self.parts[part] = CrystalDataset(main, indices[fits[indices]])
        self._report(str(self.config["path"]), fits)
        for part, path in separate.items():
            if path:
                store = StructureStore(path)
                fits = self._usable(store)
                self.parts[part] = CrystalDataset(store, np.flatnonzero(fits))
                self._report(str(path), fits)
        for part in ("train", "val"):
            if not len(self.parts[part]):
                raise UserError(
                    f"no crystal is left for {part}; give more crystals, or another data.val_fraction",
                    path=self.config["path"],
                )

    def _usable(self, store: StructureStore) -> np.ndarray:
        """Which crystals the grid can hold, and are of the chosen Laue class, (n,)."""
        fits, wanted = fitting(store, self.grid, self.limits.high), self.config["laue_group"]
        if wanted is None:
            return fits
        right = np.array(
            [symmetry(store[i].space_group).laue_group.xhm() == wanted for i in range(len(store))]
        )
        if not right.any():
            raise UserError(f"no crystal is of data.laue_group={wanted}", path=self.config["path"])
        return right

    def _report(self, path: str, fits: np.ndarray) -> None:
        if not fits.all():
            log.warning(
                "%s: %d of %d crystals left out, too large for data.grid=%s at %g Å%s",
                path,
                (~fits).sum(),
                len(fits),
                self.grid,
                self.limits.high,
                "" if self.config["laue_group"] is None else " or of another Laue class",
            )

    def space_groups(self) -> dict[str, int]:
        """How many training crystals there are of each space group."""
        train = self.parts["train"]
        names, counts = np.unique([train[i].space_group for i in range(len(train))], return_counts=True)
        return dict(zip(names.tolist(), counts.tolist(), strict=True))

    def train_dataloader(self) -> DataLoader:
        trainer, batch_size = self.trainer, self.config["batch_size"]
        assert trainer is not None  # Lightning attaches it before it asks for batches
        sampler = ResumableShuffle(
            len(self.parts["train"]),
            batch_size,
            self.seed,
            seen=lambda: trainer.global_step,  # one step a batch
            rank=trainer.global_rank,
            world=trainer.world_size,
        )
        if self.config["library"]:
            self._fill_reservoir(trainer)
        return self._loader("train", sampler=sampler)

    def _fill_reservoir(self, trainer: L.Trainer) -> None:
        """Begin to pack crystals; a resumed run packs others than the first did."""
        options = MolecularOptions.make(
            list(self.space_groups()), Path(self.config["library"]), grid=self.grid, d_min=self.limits.high
        )
        self.teardown("fit")
        self.reservoir = Reservoir(
            self.parts["train"],
            options,
            (self.seed << 32) + trainer.global_step,
            self.config["library_workers"],
            trainer.global_rank,
            trainer.world_size,
        )

    def teardown(self, stage: str) -> None:
        """End the processes that pack crystals."""
        if self.reservoir is not None:
            log.info("%d crystals packed while training", self.reservoir.packed)
            self.reservoir.close()
            self.reservoir = None

    def val_dataloader(self) -> DataLoader:
        return self._loader("val", sampler=self._share("val"))

    def test_dataloader(self) -> DataLoader:
        return self._loader("test", sampler=self._share("test"))

    def _share(self, part: str) -> range | None:
        """What this process evaluates, where there are several: every crystal once among them all."""
        if self.trainer is None or self.trainer.world_size == 1:
            return None
        return range(self.trainer.global_rank, len(self.parts[part]), self.trainer.world_size)

    def _loader(self, part: str, **options: Any) -> DataLoader:
        workers = self.config["workers"]
        return DataLoader(
            self.reservoir if part == "train" and self.reservoir is not None else self.parts[part],
            batch_size=self.config["batch_size"],
            collate_fn=collate,
            num_workers=workers,
            persistent_workers=workers > 0,
            # Forked workers of a process that runs torch threads or CUDA can hang.
            multiprocessing_context="spawn" if workers else None,
            pin_memory=self.trainer is not None and self.trainer.strategy.root_device.type == "cuda",
            **options,
        )

    def on_after_batch_transfer(self, batch: CrystalBatch, dataloader_idx: int) -> TensorBatch:
        """|F|, masks and geometry on the device of the network."""
        return self.tensors(batch)

    def tensors(self, crystals: CrystalBatch) -> TensorBatch:
        """The tensors of crystals, on their device."""
        return simulated_tensors(crystals, self.grid, self.limits, self.measurement, self.seed)
