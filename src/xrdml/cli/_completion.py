"""Completion scripts for shells, made from the parsers of the command line."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from xrdml.cli._options import OVERRIDES


@dataclass(frozen=True)
class Option:
    """An option: its names, what follows it, and its help.

    Attributes
    ----------
    takes
        "nothing", "file", "words" (one of `words`) or "value".
    """

    names: tuple[str, ...]
    takes: str
    words: tuple[str, ...]
    help: str


@dataclass(frozen=True)
class Command:
    """A command, its options, and the words and files that may stand by themselves."""

    name: str
    help: str
    options: tuple[Option, ...]
    words: tuple[str, ...] = field(default=())
    files: bool = False


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """The text that a shell sources; `parser` holds the options of every command."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands(parser))


def commands(parser: argparse.ArgumentParser) -> list[Command]:
    """What can be completed, in the order of the help."""
    [choices] = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    helps = {a.dest: a.help or "" for a in choices._choices_actions}
    return [_command(name, helps[name], sub) for name, sub in choices.choices.items()]


def _command(name: str, text: str, parser: argparse.ArgumentParser) -> Command:
    free = [action for action in parser._actions if not action.option_strings]
    words: list[str] = []
    for action in free:
        words += map(str, action.choices or ())
        if action.dest == OVERRIDES and name == "train":
            words += _groups()
    options = tuple(_option(action) for action in parser._actions if action.option_strings)
    return Command(name, text, options, tuple(words), any(a.type is Path for a in free))


def _option(action: argparse.Action) -> Option:
    words = tuple(map(str, action.choices or ()))
    if action.nargs == 0:
        takes = "nothing"
    elif words:
        takes = "words"
    else:
        takes = "file" if action.type is Path else "value"
    return Option(tuple(action.option_strings), takes, words, " ".join((action.help or "").split()))


def _groups() -> list[str]:
    """group=choice for each file in configs/."""
    from xrdml.cli.train import GROUPS
    from xrdml.shipped import shipped_folders

    folder = shipped_folders("configs")[0]
    return [f"{group}={path.stem}" for group in GROUPS for path in sorted((folder / group).glob("*.yaml"))]


def _bash(found: list[Command]) -> str:
    cases = []
    for command in found:
        lines = [f"        {command.name})", '            case "$before" in']
        for option in command.options:
            reply = {
                "nothing": None,
                "value": "",
                "file": '$(compgen -f -- "$word")',
                "words": f'$(compgen -W {shlex.quote(" ".join(option.words))} -- "$word")',
            }[option.takes]
            if reply is not None:
                lines.append(f"                {'|'.join(option.names)}) COMPREPLY=({reply}); return ;;")
        names = " ".join(name for option in command.options for name in option.names)
        cases += [*lines, "            esac", f'            words="{" ".join(command.words)}"']
        cases.append(f'            [[ "$word" == -* ]] && words="{names}" ;;')
    names = " ".join(command.name for command in found)
    body = "\n".join(cases)
    return f"""# bash completion of xrdml
_xrdml() {{
    local line word before command="" words="" i
    line="${{COMP_LINE:0:COMP_POINT}}"
    word="${{line##*[[:space:]]}}"
    before="${{COMP_WORDS[COMP_CWORD-1]}}"
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "${{COMP_WORDS[i]}}" in
            -*) ;;
            *) command="${{COMP_WORDS[i]}}"; break ;;
        esac
    done
    case "$command" in
        "") words="{names} --help --version" ;;
{body}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    # bash takes = for the end of a word: what stands before it is there already.
    case "$word" in
        *=*) COMPREPLY=("${{COMPREPLY[@]#"${{word%=*}}="}}") ;;
    esac
}}
complete -o bashdefault -o default -F _xrdml xrdml
"""


def _zsh(found: list[Command]) -> str:
    listed = "\n".join(f"        {_zsh_quoted(f'{c.name}:{c.help}')}" for c in found)
    cases = []
    for command in found:
        specs = [spec for option in command.options for spec in _zsh_option(option)]
        if command.words:
            specs.append(_zsh_quoted(f"*:word:({' '.join(command.words)})"))
        elif command.files:
            specs.append("'*:file:_files'")
        lines = " \\\n                ".join(specs)
        cases.append(
            f"            {command.name})\n                _arguments \\\n                {lines} ;;"
        )
    body = "\n".join(cases)
    return f"""#compdef xrdml
_xrdml() {{
    local -a commands
    commands=(
{listed}
    )
    local context state line
    _arguments '(-)--help[show help]' '(-)--version[show the version]' \\
        '1:command:->command' '*::option:->option'
    case $state in
        command) _describe command commands ;;
        option)
            case $words[1] in
{body}
            esac ;;
    esac
}}
if [ "$funcstack[1]" = _xrdml ]; then _xrdml "$@"; else compdef _xrdml xrdml; fi
"""


def _zsh_option(option: Option) -> list[str]:
    text = option.help.replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    after = {"nothing": "", "file": ":file:_files", "value": ":value: "}.get(
        option.takes, f":word:({' '.join(option.words)})"
    )
    return [_zsh_quoted(f"{name}[{text}]{after}") for name in option.names]


def _zsh_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fish(found: list[Command]) -> str:
    lines = ["# fish completion of xrdml", "complete -c xrdml -f"]
    start = "-n __fish_use_subcommand"
    lines += ["complete -c xrdml " + start + " -l help", "complete -c xrdml " + start + " -l version"]
    for command in found:
        lines.append(f"complete -c xrdml {start} -a {command.name} -d {_fish_quoted(command.help)}")
    for command in found:
        where = f"complete -c xrdml -n '__fish_seen_subcommand_from {command.name}'"
        if command.files:
            lines.append(f"{where} -F")
        if command.words:
            lines.append(f"{where} -a {_fish_quoted(' '.join(command.words))}")
        for option in command.options:
            names = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
            after = {"nothing": "", "file": " -r -F", "value": " -x"}.get(
                option.takes, f" -x -a {_fish_quoted(' '.join(option.words))}"
            )
            lines.append(f"{where} {names}{after} -d {_fish_quoted(option.help)}")
    return "\n".join(lines) + "\n"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
