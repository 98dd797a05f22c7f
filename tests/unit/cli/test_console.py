"""Loudness and colour, at the one place that decides them."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest

from xrdml.cli import _console
from xrdml.cli.main import main


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    _console.say("solved     12 atoms", "NOT SOLVED R1 0.4", "crystal    P 1 21 1", "12 of 20 entries")
    solved, not_solved, label, plain = terminal.getvalue().splitlines()
    assert solved == "\033[32msolved\033[0m     12 atoms"
    assert not_solved == "\033[33mNOT SOLVED\033[0m R1 0.4"
    assert label == "\033[2mcrystal    \033[0mP 1 21 1"
    assert plain == "12 of 20 entries"
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert not _console.has_colour(terminal)


def test_plain_elsewhere(capsys):
    _console.say("solved     12 atoms")
    _console.warn("weak data")
    _console.fail("infer", "no such file")
    out, err = capsys.readouterr()
    assert out == "solved     12 atoms\n"
    assert err == "warning    weak data\nxrdml infer: no such file\n"


def test_a_title_does_not_command_the_terminal(capsys):
    _console.say("title \033]0;owned\a and \033[2J")
    assert capsys.readouterr().out == "title �]0;owned� and �[2J\n"
    _console.fail("infer", "a\nb: no such file")
    assert capsys.readouterr().err == "xrdml infer: a b: no such file\n"


def test_a_stream_without_angstrom(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    with _console.console("infer", verbose=False, quiet=False):
        _console.say("1.5 Å")
    assert stream.buffer.getvalue() == b"1.5 ?\n"


def test_verbose_and_quiet(root, tmp_path, capfd):
    """On a real command: the same files, with more and with fewer words."""
    argv = ["powder", str(root / "data_samples/sucrose.cif"), "--out", str(tmp_path / "p")]
    assert main(argv) == 0
    said, aside = capfd.readouterr()
    assert said.count("\n") == 1
    assert not aside
    assert main([*argv, "-q"]) == 0
    assert capfd.readouterr() == ("", "")
    assert main([*argv, "-v"]) == 0
    out, err = capfd.readouterr()
    assert out == said
    assert all(line.startswith("xrdml powder: ") for line in err.splitlines())
    assert "sucrose.cif" in err
    assert "report.json" in err
    assert not logging.getLogger("xrdml").handlers, "nothing is left behind"
    assert main(["powder", str(tmp_path / "none.cif"), "-q"]) == 2
    assert "no such file" in capfd.readouterr().err


def test_loudness_excludes_quietness(capsys):
    with pytest.raises(SystemExit):
        main(["info", "-v", "-q"])
    assert "not allowed with" in capsys.readouterr().err


def test_info(capsys, tmp_path):
    assert main(["info", "-q"]) == 0  # what it prints is what it is for
    text = capsys.readouterr().out
    assert main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert main(["info", "--json", str(tmp_path / "info.json")]) == 0
    assert json.loads((tmp_path / "info.json").read_text()) == facts
    assert facts["packages"]["torch"].startswith("2.")
    assert facts["devices"]["cpu"]["cores"] >= 1
    assert "density_prior" in facts["weights"]
    for name, found in facts["weights"].items():
        assert "error" not in found
        assert name in text
        assert found["card"], "every model has a card with its key facts"
        assert found["card"][0] in text


def test_info_names_damaged_weights(tmp_path, monkeypatch, capsys, root):
    import shutil

    shutil.copytree(root / "weights/unet", tmp_path / "weights/unet")
    (tmp_path / "weights/unet/model.safetensors").write_bytes(b"no tensors")
    monkeypatch.setattr("xrdml.models.weights.shipped_folders", lambda name: [tmp_path / name])
    assert main(["info"]) == 0
    assert "unet: " in (text := capsys.readouterr().out)
    assert "damaged" in text
