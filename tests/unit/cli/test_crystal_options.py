"""Options that commands share."""

from __future__ import annotations

import argparse

import pytest

from xrdml.cli import infer, solve
from xrdml.cli._crystal import search_arguments
from xrdml.phasing.prior import DEFAULT_PRIOR
from xrdml.phasing.solve import SolveOptions


def parser_of(command) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser


def options_of(command) -> dict[str, argparse.Action]:
    return {name: a for a in parser_of(command)._actions for name in a.option_strings or [a.dest]}


def test_the_same_words_mean_the_same():
    ours, theirs = options_of(infer), options_of(solve)
    common = set(ours) & set(theirs)
    assert common >= {
        "input", "--ins", "--cif", "--cell", "--space-group", "--formula", "--z", "--cut", "--starts",
        "--iterations", "--seconds", "--seed", "--phases", "--out",
    }  # fmt: skip
    for name in common:
        for field in ("type", "default", "metavar", "choices", "nargs"):
            assert getattr(ours[name], field) == getattr(theirs[name], field), name
        if name != "--out":  # whose default is named after the command
            assert ours[name].help == theirs[name].help


@pytest.mark.parametrize("command", [infer, solve])
def test_defaults_are_those_of_the_search(command):
    """The command line writes them down, as it must not load torch to know them."""
    assert search_arguments(parser_of(command).parse_args(["x.hkl"])) == {"search": SolveOptions()}
    assert options_of(infer)["--model"].default == options_of(solve)["--weights"].default == DEFAULT_PRIOR
