"""Configurations: what is composed, and what a slip of the keyboard is answered."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import ReadonlyConfigError

from crystals import complaint
from xrdml.training.config import choices, load_config


def test_defaults_are_complete_and_read_only(root):
    config = load_config([])
    assert config.model.name == "unet"
    assert config.loss.region == "extension"
    assert (config.data.d_min_low, config.data.d_min_high) == (1.5, 0.8)
    assert config.data.path == str(root / "data_samples" / "simulated_small.h5")
    with pytest.raises(ReadonlyConfigError):
        config.trainer.max_epochs = 3
    assert OmegaConf.to_container(config)["optimizer"]["lr"] == 1e-3


@pytest.mark.parametrize("group", ["model", "data", "trainer", "logger", "experiment"])
def test_every_choice_composes(group):
    assert choices(group)
    for choice in choices(group):
        load_config([f"{group}={choice}"])


def test_experiments_hold_differences():
    assert load_config(["experiment=thesis"]).model.channels == ["f"]
    assert load_config(["experiment=quick", "model.width=4"]).model.width == 4
    both = load_config(["experiment=[pretrain_xrd_transformer,normalised_e]", "model.width=8"])
    assert (both.model.name, both.model.quantity, both.model.width) == ("xrd_transformer", "e", 8)
    assert both.optimizer.schedule == "cosine"
    assert load_config(["experiment=finetune_unet"]).data.laue_group == "P 1 2/m 1"
    assert load_config(["trainer=ddp"]).trainer.save_minutes == load_config([]).trainer.save_minutes


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("data.grid=-9:9,0:8,0:12", "-9:9,0:8,0:12"),
        ("data.path=my crystals (1)/a=b,c.h5", "my crystals (1)/a=b,c.h5"),
        ("data.path=it's.h5", "it's.h5"),
        ("data.path=${shipped:configs}/x.h5", None),
    ],
)
def test_values_need_no_quotes(word, value, root):
    config = load_config([word])
    got = OmegaConf.select(config, word.partition("=")[0])
    assert got == (value or f"{root / 'configs'}/x.h5")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("trainer.max_epoch=3", "did you mean trainer.max_epochs?"),
        ("model.widht=3", "did you mean model.width?"),
        ("modle=unet", "did you mean model?"),
        ("xyz.abc=3", "unknown option 'xyz.abc'"),
        ("+model.depth=3", "unknown option '+model.depth'"),
        ("~loss", "'~loss' is no override"),
        ("model=resnet", "unknown choice model=resnet; choose from"),
        ("experiment=[quick,slow]", "unknown choice experiment=slow"),
        ("trainer=tpu", "choose from cpu, ddp, gpu"),
        ("trainer.max_epochs=many", "trainer.max_epochs: Value 'many'"),
        ("data.batch_size=2.5", "data.batch_size: Value '2.5'"),
        ("optimizer.lr=fast", "optimizer.lr: Value 'fast'"),
        ("quickly", "'quickly' is no override"),
    ],
)
def test_slips(word, message):
    got = complaint(load_config, [word])
    assert message in got
    assert "\n" not in got
