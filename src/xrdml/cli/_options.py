"""Options that many commands have, so that they are called and described alike."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xrdml.errors import UserError

OVERRIDES = "overrides"


def add_n(parser: argparse._ActionsContainer, default: int | None, what: str) -> None:
    """`--n N`: how many."""
    shown = "all" if default is None else default
    parser.add_argument("--n", type=int, default=default, metavar="N", help=f"{what} (default {shown})")


def add_seed(parser: argparse._ActionsContainer, what: str) -> None:
    """`--seed N` of a simulation: what depends on it."""
    parser.add_argument("--seed", type=int, default=1, metavar="N", help=f"{what} (default 1)")


def add_workers(parser: argparse._ActionsContainer) -> None:
    """`--workers N`: processes at work."""
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes; the result does not depend on it (default: one a core)",
    )


def add_json(parser: argparse._ActionsContainer) -> None:
    """`--json [FILE]`: the same for programs."""
    parser.add_argument(
        "--json",
        nargs="?",
        const=Path("-"),
        type=Path,
        metavar="FILE",
        help="the same as JSON, into FILE or instead of the text",
    )


def write_json(value: Any, target: Path) -> bool:
    """Write what `--json` asked for; whether it went into a file."""
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    if str(target) == "-":
        sys.stdout.write(text)
        return False
    from xrdml.crystal.files import write_text

    write_text(target, text)
    return True


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Words of Hydra's grammar."""
    parser.add_argument(
        OVERRIDES, nargs="*", metavar="KEY=VALUE", help="group=choice or option=value, in any number"
    )


def given(args: argparse.Namespace, call: Callable[..., object]) -> dict[str, Any]:
    """The options of a command that are keywords of the Python call behind it."""
    return {name: value for name, value in vars(args).items() if name in (call.__kwdefaults__ or {})}


def check_least(args: argparse.Namespace, **least: int) -> None:
    """Refuse numbers that are too small.

    Raises
    ------
    UserError
        One of the named options was given a value below its least one.
    """
    for name, lowest in least.items():
        value = getattr(args, name)
        if value is not None and value < lowest:
            raise UserError(f"--{name} {value}: give {lowest} or more")
