"""Training through submitit: its local executor stands for SLURM."""

from __future__ import annotations

import pytest
import torch

from crystals import complaint, random_structure
from xrdml.cli.main import main
from xrdml.crystal.store import write_store
from xrdml.training.config import load_config
from xrdml.training.launch import launch

submitit = pytest.importorskip("submitit")


@pytest.fixture
def words(tmp_path):
    cell = (5.1, 6.2, 7.3, 90.0, 103.0, 90.0)
    path = tmp_path / "crystals.h5"
    write_store(
        path, [random_structure("P 1 21 1", cell, n=5, seed=i) for i in range(30)], {"recipe": "random"}
    )
    return [
        *(f"data.path={path}", f"run.dir={tmp_path / 'run'}", "data.grid=-5:5,0:5,0:6"),
        *("data.d_min_low=2", "data.d_min_high=1.2", "trainer.threads=1"),
        *("model.width=4", "logger=none", "trainer.max_epochs=2"),
    ]


@pytest.mark.slow
def test_two_processes_by_submitit(words, tmp_path):
    """The weights are those of one process with the same global batch.

    Slow: every process starts torch anew.
    """
    ddp = ["trainer.strategy=ddp", "trainer.devices=2", "launcher.cluster=local", "launcher.minutes=20"]
    assert main(["train", *words, "data.batch_size=2", *ddp]) == 0
    alone = [*words, "data.batch_size=4", f"run.dir={tmp_path / 'alone'}"]
    assert main(["train", *alone]) == 0
    states = [
        torch.load(tmp_path / run / "last.ckpt", weights_only=True)["state_dict"] for run in ("run", "alone")
    ]
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], rtol=5e-3, atol=1e-4)
    assert list((tmp_path / "run/jobs").glob("*_1_log.out")), "the second process has its own log"


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["launcher.cluster=pbs"], "choose from slurm, local"),
        (["launcher.cluster=slurm"], "launcher.cluster=slurm"),
        (["launcher.cluster=local", "run.dir=null"], "run.dir"),
        (["launcher.cluster=local", "trainer.devices=-1"], "trainer.devices"),
    ],
)
def test_what_cannot_be_launched(words, extra, message):
    words = [*words, *extra]
    assert message in complaint(launch, words, load_config(words))
