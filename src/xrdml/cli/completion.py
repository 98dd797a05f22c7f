"""`xrdml completion`: what makes a shell complete commands, options and their choices."""

from __future__ import annotations

import argparse
import sys

PRINTS_ITS_PRODUCT = True
SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join(
        [
            "to switch it on:",
            "  bash   xrdml completion bash > ~/.local/share/bash-completion/completions/xrdml",
            "  zsh    xrdml completion zsh > DIR/_xrdml, DIR being one of $fpath",
            "  fish   xrdml completion fish > ~/.config/fish/completions/xrdml.fish",
        ]
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell to write for")


def run(args: argparse.Namespace) -> int:
    from xrdml.cli._completion import script
    from xrdml.cli.main import COMMANDS, build_parser

    sys.stdout.write(script(args.shell, build_parser(COMMANDS)))
    return 0
