"""Weights that are unknown, damaged, foreign or from the future."""

from __future__ import annotations

import hashlib
import json

import pytest
import safetensors.torch
import torch

from crystals import complaint
from xrdml.models import build_model
from xrdml.models.weights import find_weights, load_weights, save_weights, weights_names
from xrdml.shipped import shipped_folders

CONFIG = {"name": "unet", "channels": ["f"], "width": 4}


@pytest.fixture
def folder(tmp_path):
    save_weights(tmp_path / "w", {"model": CONFIG}, build_model(CONFIG).state_dict())
    return tmp_path / "w"


def edit(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def replace_tensors(folder, data: bytes):
    (folder / "model.safetensors").write_bytes(data)
    edit(folder, sha256=hashlib.sha256(data).hexdigest())


def test_damage(folder):
    path = folder / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    assert f"{path}: damaged" in complaint(load_weights, folder)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert f"{path}: damaged" in complaint(load_weights, folder)
    path.unlink()
    assert "No such file" in complaint(load_weights, folder)


def test_foreign_files(folder, tmp_path):
    replace_tensors(folder, b"nothing like it")
    assert "not a safetensors file" in complaint(load_weights, folder)
    (tmp_path / "empty").mkdir()
    assert "config.json: cannot be read" in complaint(load_weights, tmp_path / "empty")
    (folder / "config.json").write_text('{"architectures": ["Bert"]}')
    assert "not weights of this project" in complaint(load_weights, folder)
    (folder / "config.json").write_text("[1, 2")
    assert "not JSON" in complaint(load_weights, folder)


def test_pickles_are_refused_unread(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path / "ran").touch, ()

    torch.save(Bomb(), tmp_path / "model.pt")
    assert "pickled files can run any code" in complaint(load_weights, tmp_path / "model.pt")
    assert not (tmp_path / "ran").exists()


def test_tensors_that_do_not_belong(folder):
    edit(folder, model={**CONFIG, "width": 8})
    assert (
        "bottom.0.weight: config.json expects [32, 16, 3, 3, 3], the weights hold [16, 8, 3, 3, 3]"
        in complaint(load_weights, folder)
    )
    edit(folder, model={**CONFIG, "name": "resnet"})
    assert "unknown model 'resnet'" in complaint(load_weights, folder)
    edit(folder, model=CONFIG)
    state = build_model(CONFIG).state_dict()
    replace_tensors(folder, safetensors.torch.save({**state, "other": torch.zeros(2)}))
    assert "other: config.json expects nothing, the weights hold [2]" in complaint(load_weights, folder)
    del state["out.bias"]
    replace_tensors(folder, safetensors.torch.save(state))
    assert "out.bias: config.json expects [1], the weights hold nothing" in complaint(load_weights, folder)


@pytest.mark.parametrize("version", [2, "1", None])
def test_other_formats(folder, version):
    edit(folder, format_version=version)
    assert f"format version {version} is newer than 1" in complaint(load_weights, folder)


def test_names(folder):
    known = weights_names()
    for name in known:
        assert find_weights(name).parent in shipped_folders("weights")
    message = complaint(load_weights, "no-such-model")
    assert message.startswith("unknown model 'no-such-model'; known: ")
    assert all(name in message for name in known)
    assert find_weights(folder) == folder


def test_replacing_is_whole(folder, monkeypatch):
    """Stopped between its two files, an export leaves a folder that says so and never a wrong network."""
    import xrdml.models.weights as module

    def stop(*_):
        raise KeyboardInterrupt

    state = {k: v + 1 for k, v in build_model(CONFIG).state_dict().items()}
    monkeypatch.setattr(module, "write_text", stop)
    with pytest.raises(KeyboardInterrupt):
        save_weights(folder, {"model": CONFIG}, state)
    assert "damaged, or not the weights" in complaint(load_weights, folder)
