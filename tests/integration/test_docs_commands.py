"""Every command in README and docs: understood by the program, and run where it is no long work.

Commands are taken from code blocks (indented by four spaces, or fenced) as they stand. Understanding one
means that argparse and Hydra take all of it. To be run, files that a reader would bring are laid beside it,
and options that make the work small are added at its end.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import xrdml
from xrdml.cli.main import COMMANDS, build_parser, main
from xrdml.cli.train import PRIOR
from xrdml.evaluate import compare
from xrdml.evaluate.table import TableConfig
from xrdml.training.config import load_config
from xrdml.training.denoise import PriorConfig

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "data_samples/README.md",
    *sorted(ROOT.glob("docs/*.md")),
]


@dataclass(frozen=True)
class Command:
    """One command line, without comment."""

    document: str
    line: int
    text: str

    @property
    def words(self) -> list[str]:
        """Up to the first operator of the shell."""
        lexer = shlex.shlex(self.text, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        lexer.commenters = ""
        words = list(lexer)
        ends = [i for i, word in enumerate(words) if word and set(word) <= set("|&;<>")]
        return words[: ends[0]] if ends else words

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def name_of(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


def code_lines(text: str) -> Iterator[tuple[int, str, str]]:
    """(line, language, text) of the lines of code blocks; "" for indented ones."""
    fence = None
    in_list = False
    for number, line in enumerate(text.splitlines(), 1):
        opened = re.match(r"```(\w*)", line)
        if opened:
            fence = None if fence is not None else opened[1]
        elif fence is not None:
            yield number, fence or "text", line
        elif line.startswith("    ") and not in_list:
            yield number, "", line[4:]
        elif line.strip():
            in_list = bool(re.match(r"\s*([*-]|\d+\.) ", line)) or (in_list and line.startswith(" "))


def commands(*programs: str) -> list[Command]:
    """All commands of the documents that begin with one of the names."""
    found: dict[tuple[str, str], Command] = {}
    for document in DOCUMENTS:
        waiting, begins = "", 0
        for number, language, line in code_lines(document.read_text()):
            if language == "python":
                continue
            text = waiting + re.sub(r"\s{2,}# .*", "", line).strip().removeprefix("$ ").removeprefix("sudo ")
            begins = begins if waiting else number
            if text.endswith("\\"):
                waiting = text[:-1]
                continue
            waiting = ""
            if text.split(" ", 1)[0] in programs:
                found.setdefault((name_of(document), text), Command(name_of(document), begins, text))
    return list(found.values())


XRDML = commands("xrdml")


def test_commands_are_found():
    assert len(XRDML) > 20
    assert {c.words[1] for c in XRDML} >= {
        "infer",
        "solve",
        "simulate",
        "train",
        "test",
        "report",
        "import-cif",
    }


@pytest.mark.parametrize("command", XRDML, ids=str)
def test_the_program_understands(command, capsys):
    name, *words = command.words[1:]
    if name.startswith("-"):
        return
    assert name in COMMANDS, command.text
    try:
        args = build_parser([name]).parse_args([name, *words])
    except SystemExit as error:
        pytest.fail(f"{command}: {command.text}\n{capsys.readouterr().err}" if error.code else command.text)
    if name in ("train", "test"):
        hydra(name, args)


def hydra(name: str, args: argparse.Namespace) -> None:
    """Compose the configuration as the command does, and read nothing."""
    words = args.overrides
    if name == "test":
        chosen, schema = ("table", TableConfig) if args.table else ("test", compare.TestConfig)
        load_config(words, chosen, schema)
    elif PRIOR in words:
        load_config([word for word in words if word != PRIOR], "prior", PriorConfig)
    else:
        load_config(words)


@pytest.mark.parametrize("command", commands("make"), ids=str)
def test_make_targets_exist(command):
    done = subprocess.run(["make", "-n", *command.words[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", commands("python"), ids=str)
def test_scripts_know_their_options(command):
    script, *words = command.words[1:]
    text = (ROOT / script).read_text()
    for option in (word.split("=")[0] for word in words if word.startswith("--")):
        assert f'"{option}"' in text, f"{command}: {option}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_words_and_files_that_are_mentioned_exist(path):
    text = path.read_text()
    for name in re.findall(r"`xrdml ([a-z][a-z-]*)", text):
        assert name in COMMANDS, name
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (path.parent / target).exists(), target
    for script in re.findall(r"`((?:scripts|benchmarks|configs|src|tests)/[\w/.]+\.\w+)`", text):
        assert (ROOT / script).exists(), script


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_python_in_the_documents_names_what_is_there(path):
    lines = code_lines(path.read_text())
    tree = ast.parse("\n".join(line for _, language, line in lines if language == "python"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "xrdml":
            assert hasattr(xrdml, node.attr), node.attr


SMALL = {
    "infer": ["--starts", "1", "--iterations", "10"],
    "solve": ["--starts", "1", "--iterations", "10"],
    "inspect": ["--limit", "5"],
    "simulate": ["--n", "6", "--workers", "1"],
    "molecules": ["--n", "6", "--workers", "1"],
    "import-cif": ["--workers", "1"],
    "powder": ["--n", "3", "--workers", "1"],
}
"""Options that make a command quick; the last one given counts."""

ELSEWHERE = ("../shared", "…", "set.h5 --crystal 17")
"""Of commands that are not run: data that a checkout has not."""


def laid_out(folder: Path) -> None:
    """What a reader of the documents has: measured crystals, CIFs."""
    samples = ROOT / "data_samples"
    (folder / "data_samples").symlink_to(samples)
    for target, source in (("weak", "paracetamol_1p5"), ("good", "sucrose_0p8")):
        for ending in (".hkl", ".ins"):
            shutil.copy(samples / f"{source}{ending}", folder / f"{target}{ending}")
    shutil.copy(samples / "sucrose.cif", folder / "good.cif")
    shutil.copy(samples / "paracetamol.cif", folder / "crystal.cif")
    for name in ("CIFS", "FOLDER", "BENCHMARK"):
        (folder / name).mkdir()
    for name in ("CIFS", "FOLDER"):
        for sample in ("sucrose.cif", "paracetamol.cif"):
            shutil.copy(samples / sample, folder / name)
    for ending in (".hkl", ".ins"):
        shutil.copy(samples / f"paracetamol_1p5{ending}", folder / "FOLDER")
    shutil.copy(samples / "sucrose.cif", folder / "BENCHMARK")
    shutil.copy(samples / "simulated_small.h5", folder / "set.h5")
    shutil.copytree(ROOT / "weights/density_prior", folder / "mine")  # what training would export
    shutil.copy(samples / "simulated_small.h5", folder / "real.h5")


def execute(command: Command) -> None:
    """Run it, made small."""
    name, *words = command.words[1:]
    few = [] if name == "powder" and not words[0].endswith(".h5") else SMALL.get(name, [])
    assert main([name, *words, *few]) == 0, command.text


def test_the_tutorial_works(tmp_path, monkeypatch):
    """All its commands in their order; `shelxl` is not ours."""
    laid_out(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("weak.hkl", "weak.ins"):
        (tmp_path / name).unlink()
    done = []
    for command in commands("xrdml", "cp"):
        if command.document != "docs/tutorial.md":
            continue
        program, *words = command.words
        if program == "cp":
            shutil.copy(*words)
        else:
            execute(command)
        done.append(program)
    assert done.count("cp") == 4
    for name in (
        "solved/weak.res",
        "solved/report.html",
        "filled/weak.hkl",
        "refined.ins",
        "tested/report.json",
    ):
        assert (tmp_path / name).exists(), name
    # The contract of files names every field that these runs wrote.
    contract = set(re.findall(r"\w+", (ROOT / "docs/files.md").read_text()))
    for folder in ("solved", "filled", "tested"):
        report = json.loads((tmp_path / folder / "report.json").read_text())
        assert set(fields(report)) <= contract, folder


FREE = {"contents", "metrics", "versions", "files", "options", "weights"}
"""Whose keys are elements, names of packages and the like."""


def fields(value: object) -> Iterator[str]:
    """Names of all fields of a report."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            if key not in FREE:
                yield from fields(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from fields(inner)


ORDER = [
    "molecules",
    "simulate",
    "import-cif",
    "infer",
    "solve",
    "report",
    "inspect",
    "powder",
    "info",
    "completion",
]
"""Commands that are run, those first whose files others read."""


@pytest.mark.slow
@pytest.mark.parametrize("document", [name_of(p) for p in DOCUMENTS if p.name != "tutorial.md"])
def test_commands_of_a_document_run(document, tmp_path, monkeypatch):
    """Slow: some thirty commands, several of which start processes."""
    laid_out(tmp_path)
    monkeypatch.chdir(tmp_path)
    chosen = [c for c in XRDML if c.document == document and c.words[1] in ORDER]
    chosen = [c for c in chosen if not any(word in c.text for word in ELSEWHERE)]
    for command in sorted(chosen, key=lambda c: ORDER.index(c.words[1])):
        name, *words = command.words[1:]
        if name in ("simulate", "import-cif"):
            # The same file with other options is refused.
            made = [word for word in words if word.endswith(".h5")][:1]
            for path in (p for stem in made for p in tmp_path.glob(f"{Path(stem).stem}*")):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        if name == "report" and not Path(words[0]).exists():
            continue  # of a training run, or of another document
        execute(command)
