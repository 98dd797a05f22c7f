"""Completion scripts, asked by the shells themselves."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from xrdml.cli.main import COMMANDS, main

SHELLS = ("bash", "zsh", "fish")


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completion")
    for shell in SHELLS:
        from contextlib import redirect_stdout

        with open(folder / shell, "w") as file, redirect_stdout(file):
            assert main(["completion", shell]) == 0
    return folder


def complete_bash(script, line: str, cwd) -> list[str]:
    """As bash calls it: words split at blanks and =, the cursor at the end."""
    words = line.replace("=", " = ").split() + ([""] if line.endswith((" ", "=")) else [])
    quoted = " ".join(f"'{word}'" for word in words)
    code = (
        f"source {script}; COMP_LINE='{line}'; COMP_POINT={len(line)}; COMP_WORDS=({quoted}); "
        f'COMP_CWORD={len(words) - 1}; _xrdml; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, cwd=cwd, check=True)
    assert not done.stderr
    return sorted(done.stdout.split())


def complete_fish(script, line: str, cwd) -> list[str]:
    code = f"source {script}; complete -C '{line}'"
    done = subprocess.run(["fish", "-c", code], capture_output=True, text=True, cwd=cwd, check=True)
    return sorted(row.split("\t")[0] for row in done.stdout.splitlines())


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_completions(scripts, shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    (tmp_path / "weak.hkl").touch()
    (tmp_path / "weak.ins").touch()

    def complete(line: str) -> list[str]:
        return {"bash": complete_bash, "fish": complete_fish}[shell](scripts / shell, line, tmp_path)

    assert complete("xrdml so") == ["solve"]
    assert set(complete("xrdml ")) >= set(COMMANDS)
    assert complete("xrdml solve --eng") == ["--engine"]
    assert complete("xrdml solve weak.hkl --engine ") == ["prior", "shelxt"]
    assert complete("xrdml infer --ins weak.i") == ["weak.ins"]
    assert complete("xrdml completion ") == ["bash", "fish", "zsh"]
    assert "--no-figures" in complete("xrdml infer weak.hkl --n")
    groups = complete("xrdml train model=u")
    assert [word.removeprefix("model=") for word in groups] == ["unet"]


def test_zsh_takes_it(scripts):
    """zsh completes only at a terminal; here it parses the script and defines the function."""
    if shutil.which("zsh") is None:
        pytest.skip("no zsh")
    code = f"autoload -U compinit; compinit -D -u; source {scripts / 'zsh'}; whence -w _xrdml"
    done = subprocess.run(["zsh", "-fc", code], capture_output=True, text=True, check=True)
    assert done.stdout == "_xrdml: function\n"
    assert not done.stderr
    text = (scripts / "zsh").read_text()
    assert all(f"            {name})" in text for name in COMMANDS)


def test_unknown_shell(capsys):
    with pytest.raises(SystemExit):
        main(["completion", "tcsh"])
    assert "bash" in capsys.readouterr().err
