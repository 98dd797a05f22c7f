"""Options: the same concept has the same name, form and words in every command and Python call."""

from __future__ import annotations

import argparse
import inspect
import os
from collections import defaultdict

import pytest

import xrdml
from xrdml.cli.main import COMMANDS, build_parser
from xrdml.phasing.prior import DEFAULT_PRIOR
from xrdml.phasing.solve import SolveOptions

# What an option is may depend on the command for these alone; the reason stands beside each.
OWN_DEFAULT = {
    "--n": "as many as the command makes",
    "--seed": "random phases begin at 0, simulations at 1",
    "--model": "explain takes several, and all that come along without it",
}
OWN_HELP = {
    "--n": "names what is counted",
    "--seed": "names what depends on it",
    "--out": "names the default",
    "--model": "infer takes baselines as well",
    "--reference": "inspect takes any collection",
    "--limit": "names what is counted",
    "--grid": "of a network, or of the cells that are drawn",
    "--cut": "explain shows both sides of it",
}
OWN_FORM = {
    "--out": "a folder, a picture or a data set, as its metavar says",
    "--reference": "inspect takes the words none and published as well",
    "--grid": "the cells of `simulate` need one",
}


def parsers() -> dict[str, argparse.ArgumentParser]:
    parser = build_parser(COMMANDS)
    [choices] = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(choices.choices)


def options() -> dict[str, dict[str, argparse.Action]]:
    """{option: {command: action}}."""
    found: dict[str, dict[str, argparse.Action]] = defaultdict(dict)
    for command, parser in parsers().items():
        for action in parser._actions:
            for name in action.option_strings:
                found[name][command] = action
    return found


@pytest.mark.parametrize(
    ("fields", "exceptions"),
    [
        (("type", "metavar", "choices", "nargs", "dest"), OWN_FORM),
        (("default",), OWN_DEFAULT | OWN_FORM),
        (("help",), OWN_HELP | OWN_FORM),
    ],
    ids=["form", "default", "help"],
)
def test_one_name_one_meaning(fields, exceptions):
    for name, where in options().items():
        if name in exceptions:
            continue
        for field in fields:
            values = {command: getattr(action, field) for command, action in where.items()}
            assert len(set(map(str, values.values()))) == 1, (name, field, values)


def test_every_option_says_what_it_takes():
    for name, where in options().items():
        for command, action in where.items():
            assert action.help, (command, name)
            if action.nargs != 0:
                assert action.metavar or action.choices, (command, name)


def test_every_command_can_be_loud_and_quiet():
    assert set(options()["--verbose"]) == set(options()["-q"]) == set(COMMANDS)


def test_one_meaning_one_name():
    """By what they store: no two names for one thing."""
    by_dest: dict[str, set[str]] = defaultdict(set)
    for name, where in options().items():
        for action in where.values():
            if name.startswith("--"):
                by_dest[action.dest].add(name)
    assert all(len(names) == 1 for names in by_dest.values()), by_dest
    assert not {"--weights", "--number", "--jobs", "--threads", "--output"} & set(options())


@pytest.mark.parametrize(
    ("command", "call", "free"),
    [
        ("infer", xrdml.fill, {"input"}),
        ("solve", xrdml.solve, {"input"}),
        ("simulate", xrdml.simulate, {"output", "n"}),
        ("report", xrdml.report, {"source"}),
    ],
)
def test_calls_have_the_options_of_commands(command, call, free):
    actions = {a.dest: a for a in parsers()[command]._actions} | {}
    parameters = inspect.signature(call).parameters
    ours = {"help", "verbose", "quiet"}
    batch = {"list", "workers"} if command in {"infer", "solve"} else set()
    assert actions.keys() - ours - batch == parameters.keys() - {"progress"}
    for name in parameters.keys() - free - {"progress"} | ({"n"} & free):
        expected = actions[name].default
        if name == "workers":
            assert (expected, parameters[name].default) == (os.cpu_count(), None)
        else:
            assert parameters[name].default == expected, name


def test_defaults_are_those_of_the_search():
    """The command line writes them down, as it must not load torch to know them."""
    for command in ("infer", "solve"):
        actions = {a.dest: a.default for a in parsers()[command]._actions}
        options = SolveOptions()
        for name in ("starts", "iterations", "seed", "seconds"):
            assert actions[name] == getattr(options, name)
        assert actions["model"] == DEFAULT_PRIOR
