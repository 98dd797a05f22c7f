"""Training runs: resumed like unbroken, stopped without loss, exported with everything."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise

import lightning as L
import pytest
import torch

from crystals import complaint, random_structure
from xrdml.crystal.store import write_store
from xrdml.data import keys
from xrdml.data.datamodule import CrystalDataModule
from xrdml.training.config import load_config
from xrdml.training.fit import fit
from xrdml.training.losses import loss
from xrdml.training.module import FillModule
from xrdml.training.network import load_network

SMALL_CELL = (5.1, 6.2, 7.3, 90.0, 103.0, 90.0)
N = 30


@pytest.fixture(scope="module")
def crystals(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "crystals.h5"
    structures = [
        random_structure("P 1 21 1" if i % 2 else "P 1 21/c 1", SMALL_CELL, n=5, seed=i) for i in range(N)
    ]
    write_store(path, structures, {"recipe": "random", "seed": 0})
    return path


@pytest.fixture
def words(crystals, tmp_path):
    return [
        *(f"data.path={crystals}", f"run.dir={tmp_path / 'run'}", "data.grid=-5:5,0:5,0:6"),
        *("data.d_min_low=2", "data.d_min_high=1.2", "data.batch_size=5", "trainer.threads=1"),
        *("model.width=4", "logger=none", "trainer.max_epochs=3"),
    ]


def weights(folder):
    stored = torch.load(folder / "last.ckpt", weights_only=True)
    return stored["global_step"], stored["state_dict"], stored["optimizer_states"]


def same(a, b) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


class StopAt(L.Callback):
    """What Ctrl-C does, at a chosen step."""

    def __init__(self, step: int):
        self.step = step

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.step - 1:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("stop", [1, 7, 10])
def test_a_resumed_run_equals_an_unbroken_one(words, tmp_path, stop, monkeypatch):
    """Stopped in the first epoch, in the middle of the second, and at the end of one (5 steps each)."""
    words = [*words, "optimizer.patience=0", "optimizer.lr=0.02"]  # so that the rate falls on the way
    whole = fit(load_config([*words, f"run.dir={tmp_path / 'whole'}"]))
    steps = weights(whole)[0]
    assert steps == 15
    assert weights(whole)[2][0]["param_groups"][0]["lr"] < 0.02

    import xrdml.training.fit as module

    original = module.progress
    monkeypatch.setattr(module, "progress", lambda: StopAt(stop))
    with pytest.raises(KeyboardInterrupt):
        fit(load_config(words))
    assert weights(tmp_path / "run")[0] == stop
    monkeypatch.setattr(module, "progress", original)
    resumed = fit(load_config([*words, "ckpt=last"]))
    assert resumed == tmp_path / "run"
    assert same(weights(resumed), weights(whole))


@pytest.mark.parametrize(
    "network",
    [
        # Dropout and a cosine go on where they stopped, in the middle of an epoch.
        ["experiment=pretrain_xrd_transformer", "model.width=8", "model.tokens=sphere", "model.blocks=1",
         "model.cell=true", "loss.ssim=0.1"],
        ["experiment=[pretrain_fft_unet,relative]", "model.form=full_sphere"],
        ["experiment=pretrain_patterson_unet"],
    ],
    ids=["xrd_transformer", "fft_unet", "patterson_unet"],
)  # fmt: skip
def test_a_resumed_network_equals_an_unbroken_one(words, tmp_path, network, monkeypatch):
    words = [*words, *network, "trainer.max_epochs=2"]
    whole = fit(load_config([*words, f"run.dir={tmp_path / 'whole'}"]))

    import xrdml.training.fit as module

    original = module.progress
    monkeypatch.setattr(module, "progress", lambda: StopAt(7))
    with pytest.raises(KeyboardInterrupt):
        fit(load_config(words))
    monkeypatch.setattr(module, "progress", original)
    assert same(weights(fit(load_config([*words, "ckpt=last"]))), weights(whole))


def curves(run):
    """What metrics.csv says of each step and epoch: {name: values}."""
    with (run / "logs" / "start_1" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = [f"{stage}/{name}" for stage in ("train", "val") for name in ("loss", "R_ext", "R_all")]
    return {name: [float(row[name]) for row in rows if row.get(name)] for name in names}


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [["model=unet"], ["model=xrd_transformer", "model.dropout=0.0"], ["model=patterson_unet"]],
    ids=lambda words: words[0],
)
def test_two_processes_learn_as_one(words, tmp_path, model):
    """DDP over gloo: the same curves as one process with the same global batch.

    Slow: every process starts torch anew. Sums in another order differ in the last digits of float32.
    """
    words = [*words, *model, "model.width=4", "logger=files", "logger.every_n_steps=1"]
    one = tmp_path / "one"
    fit(load_config([*words, f"run.dir={one}", "data.batch_size=4"]))
    two = tmp_path / "two"
    shared = [f"run.dir={two}", "data.batch_size=2", "trainer.strategy=ddp", "trainer.devices=2"]
    command = [sys.executable, "-m", "xrdml.cli.main", "train", *words, *shared]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LOCAL_", "MASTER_", "NODE_"))}
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    expected, got = curves(one), curves(two)
    assert len(expected["train/loss"]) == 18
    assert len(expected["val/loss"]) == 3
    for name, values in expected.items():
        assert got[name] == pytest.approx(values, rel=2e-3), name


def test_killed_without_warning(words, tmp_path):
    """SIGKILL between two checkpoints: goes on from the last one."""
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "xrdml.cli.main", "train", *words, "trainer.max_epochs=1000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (folder / "last.ckpt").exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
    process.kill()
    process.wait()
    before, _, _ = weights(folder)
    epochs = before // 5 + 1
    fit(load_config([*words, "ckpt=last", f"trainer.max_epochs={epochs}"]))
    assert weights(folder)[0] == 5 * epochs


def test_training_learns_and_logs(words, tmp_path, capsys):
    fit(load_config([*words, "logger=files", "logger.every_n_steps=1", "trainer.max_epochs=12"]))
    run = tmp_path / "run"
    rows = [line.split(",") for line in (run / "logs/start_1/metrics.csv").read_text().splitlines()]
    column = rows[0].index("val/loss")
    losses = [float(row[column]) for row in rows[1:] if row[column]]
    assert len(losses) == 12
    assert losses[-1] < 0.5 * losses[0]
    assert {"train/loss", "train/R_ext", "train/R_all", "val/R_ext", "val/R_all"} <= set(rows[0])
    speed = rows[0].index("speed/crystals_per_s")
    assert all(float(row[speed]) > 0 for row in rows[1:] if row[speed])
    assert any(row[speed] for row in rows[1:])
    assert list((run / "logs/start_1").glob("events.out.tfevents*"))
    assert "max_epochs: 12" in (run / "config.yaml").read_text()
    printed = capsys.readouterr().out
    assert "R_ext" in printed
    assert "epoch 12/12" in printed


def test_a_checkpoint_loads_by_itself(words):
    """TRAPS 3: with the safe loader, and with nothing but the file."""
    folder = fit(load_config([*words, "trainer.max_steps=2"]))
    module = FillModule.load_from_checkpoint(folder / "last.ckpt", weights_only=True)
    assert module.hparams["model"] == {
        "name": "unet",
        "width": 4,
        "channels": ["f", "measured", "predict", "s"],
        "cell": False,
        "quantity": "f",
    }


def test_export(words, tmp_path):
    target = tmp_path / "weights" / "mine"
    fit(load_config([*words, f"export={target}"]))
    network, config = load_network(target)
    assert config["data"]["space_groups"].keys() == {"P 1 21 1", "P 1 21/c 1"}
    assert config["data"]["recipe"]["recipe"] == "random"
    assert config["data"]["n_train"] + config["data"]["n_val"] < N
    assert config["training"]["seed"] == 1
    assert config["versions"]["torch"] == torch.__version__
    errors = config["error_model"]
    assert all(a < b for a, b in pairwise(errors["s_edges"]))
    assert all(0 < e < 100 for e in errors["acentric"] + errors["centric"])
    assert "R_ext" in (target / "README.md").read_text()

    # The loaded network is the trained one, on batches outside Lightning.
    data = CrystalDataModule(load_config(words).data, seed=1)
    data.setup()
    batch = data.tensors(next(iter(data.val_dataloader())))
    trained = FillModule.load_from_checkpoint(tmp_path / "run" / "best.ckpt").eval()
    with torch.no_grad():
        expected, got = (float(loss(n(batch), batch, "mse", "extension")) for n in (trained.network, network))
    assert got == pytest.approx(expected, rel=0.01)
    assert batch[keys.F_TARGET].shape[1:] == (11, 6, 7)


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_other_optimisers(words, schedule):
    folder = fit(load_config([*words, "optimizer.name=adamw", f"optimizer.schedule={schedule}"]))
    rate = torch.load(folder / "last.ckpt", weights_only=True)["optimizer_states"][0]["param_groups"][0]["lr"]
    assert rate == pytest.approx({"cosine": 0, "constant": 1e-3}[schedule], abs=1e-9)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["loss.name=huber"], "choose from mse, l1, intensity"),
        (["loss.ssim=-1"], "loss.ssim=-1"),
        (["model.quantity=i"], "choose from f, e"),
        (["init=nowhere"], "unknown model 'nowhere'"),
        (["optimizer.name=sgd"], "choose from adam, adamw"),
        (["optimizer.schedule=linear"], "choose from plateau, cosine, constant"),
        (["model.channels=[f,phase]"], "choose from f, measured"),
        (["model.width=wide"], "must be of type int"),
        (["data.grid=3"], "write them like"),
        (["data.grid=-1:1,0:1,0:1"], "none of 30 crystals fits"),
        (["data.d_min_low=1"], "data.d_min_low"),
        (["data.batch_size=0"], "data.batch_size"),
        (["data.path=nowhere.h5"], "nowhere.h5"),
        (["ckpt=last"], "ckpt=last: no last.ckpt"),
        (["ckpt=gone.ckpt"], "gone.ckpt: no such checkpoint"),
        (["trainer=ddp", "run.dir=null"], "give run.dir=DIR"),
        (["trainer.accelerator=abacus"], "trainer:"),
        (["trainer.precision=3"], "trainer:"),
        (["trainer.max_time=soon"], "trainer:"),
    ],
)
def test_bad_options_end_before_training(words, extra, message):
    assert message in complaint(fit, load_config([*words, *extra]))


def test_fine_tuning_begins_where_pre_training_ended(words, tmp_path):
    first = tmp_path / "first"
    fit(load_config([*words, f"export={first}", "trainer.max_steps=5"]))
    again = [*words, f"init={first}", f"run.dir={tmp_path / 'second'}", f"export={tmp_path / 'tuned'}"]
    fit(load_config([*again, "optimizer.lr=0.0", "optimizer.weight_decay=0.0", "trainer.max_steps=1"]))
    (before, _), (after, config) = (load_network(tmp_path / name) for name in ("first", "tuned"))
    assert same(*(dict(n.named_parameters()) for n in (before, after)))
    assert config["training"]["init"] == str(first)
    other = [*again, f"run.dir={tmp_path / 'third'}", "model.width=8"]
    assert "was trained with model.width=4; give the same options" in complaint(fit, load_config(other))


def test_only_the_chosen_laue_class_is_trained_on(tmp_path, words):
    path = tmp_path / "mixed.h5"
    groups = ["P 1 21 1", "P 21 21 21"] * 10
    cell = (*SMALL_CELL[:3], 90.0, 90.0, 90.0)
    structures = [random_structure(g, cell, n=5, seed=i) for i, g in enumerate(groups)]
    write_store(path, structures, {"recipe": "random", "seed": 0})
    data = CrystalDataModule(load_config([*words, f"data.path={path}"]).data, seed=1)
    data.setup()
    assert set(data.space_groups()) == {"P 1 21 1", "P 21 21 21"}
    wanted = [*words, f"data.path={path}", "data.laue_group=P 1 2/m 1"]
    data = CrystalDataModule(load_config(wanted).data, seed=1)
    data.setup()
    assert set(data.space_groups()) == {"P 1 21 1"}
    sphere = ["model=fft_unet", "model.form=full_sphere", "model.width=4"]
    assert "P 21 21 21 belongs to P m m m" in complaint(
        fit, load_config([*words, f"data.path={path}", *sphere, f"run.dir={tmp_path / 'r'}"])
    )


def test_runs_are_not_overwritten_or_confused(words, tmp_path):
    fit(load_config([*words, "trainer.max_steps=1"]))
    assert "holds a run already" in complaint(fit, load_config(words))
    assert "give the same model options" in complaint(
        fit, load_config([*words, "ckpt=last", "model.width=8"])
    )
    (tmp_path / "run" / "last.ckpt").write_bytes(b"\x80\x04.")
    assert "not a checkpoint of this project" in complaint(fit, load_config([*words, "ckpt=last"]))


def test_export_of_a_finished_run(words, tmp_path):
    """`ckpt=last export=` trains no further and writes what is there."""
    folder = fit(load_config([*words, "trainer.max_steps=7"]))
    fit(load_config([*words, "trainer.max_steps=7", "ckpt=last", f"export={tmp_path / 'w'}"]))
    _, config = load_network(tmp_path / "w")
    best = torch.load(folder / "best.ckpt", weights_only=True)
    assert config["training"]["steps"] == best["global_step"] == 5
    assert weights(folder)[0] == 7
