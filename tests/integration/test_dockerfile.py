"""The Dockerfile, as far as it can be read; scripts/check_dockerfile.py executes it."""

from __future__ import annotations

import importlib.util
import json
import shlex
import sys

import pytest


@pytest.fixture(scope="module")
def script(root):
    spec = importlib.util.spec_from_file_location("check_dockerfile", root / "scripts/check_dockerfile.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_dockerfile"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["check_dockerfile"]


@pytest.fixture(scope="module")
def steps(script, root):
    return script.parse((root / "Dockerfile").read_text())


def texts(steps, name) -> list[str]:
    return [step.text for step in steps if step.name == name]


def test_it_ends_without_privileges_at_the_command(steps):
    assert texts(steps, "USER")[-1] not in {"root", "0"}
    assert json.loads(texts(steps, "ENTRYPOINT")[-1]) == ["xrdml"]
    last_user = max(i for i, s in enumerate(steps) if s.name == "USER")
    assert not [s for s in steps[last_user:] if s.name in {"RUN", "COPY"}]


def test_images_have_versions_and_layers_no_leftovers(steps):
    for text in texts(steps, "FROM"):
        name = text.split()[0]
        assert ":" in name
        assert not name.endswith(":latest")
    for text in texts(steps, "RUN"):
        if "apt-get install" in text:
            assert "--no-install-recommends" in text
            assert "apt-get update" in text
            assert "rm -rf /var/lib/apt/lists" in text
    installs = [text for text in texts(steps, "RUN") if "pip install" in text]
    assert installs
    environment = " ".join(texts(steps, "ENV"))
    assert "PIP_CONSTRAINT=/app/constraints.txt" in environment
    assert "PIP_NO_CACHE_DIR=1" in environment


def test_what_is_copied_is_there(script, steps, root):
    patterns = script.ignore_patterns(root)
    for text in texts(steps, "COPY"):
        names = [word for word in shlex.split(text)[:-1] if not word.startswith("--")]
        if "--from=" not in text:
            assert all((root / name).exists() for name in names)
            assert not any(script.ignored(name, patterns) for name in names if name != ".")
    needed = [
        "src/xrdml/cli/main.py",
        "src/xrdml/html_report/assets/report.css",
        "configs/train.yaml",
        "weights/density_prior/model.safetensors",
        "scripts/reproduce.py",
        "Makefile",
        "data_samples/simulated_small.h5",
    ]
    for name in needed:
        assert (root / name).is_file(), name
        assert not script.ignored(name, patterns), name
    for name in (
        ".git/config",
        ".venv/bin/python",
        "tests/conftest.py",
        "results/x/y",
        "src/xrdml/__pycache__/a.pyc",
    ):
        assert script.ignored(name, patterns), name


@pytest.mark.parametrize(
    ("path", "pattern", "is_ignored"),
    [
        ("a/b.txt", "a", True),
        ("a/b.txt", "*.txt", False),
        ("b.txt", "*.txt", True),
        ("a/b.txt", "**/*.txt", True),
        ("a/data/x", "data", False),
        ("data/x", "data", True),
        ("a/b/c", "a/b", True),
    ],
)
def test_ignore_rules_are_dockers(script, path, pattern, is_ignored):
    assert script.ignored(path, [pattern]) is is_ignored


def test_parsing(script):
    parsed = script.parse("# x\nFROM a:1 AS b\nRUN one \\\n    # aside\n    && two\n\nENV A=1 B=$A\n")
    assert [(s.name, s.line) for s in parsed] == [("FROM", 2), ("RUN", 3), ("ENV", 7)]
    assert parsed[1].text.split() == ["one", "&&", "two"]
    with pytest.raises(ValueError, match="line 1"):
        script.parse("ONBUILD RUN x\n")
    assert script.substituted("${A}/x$B", {"A": "1"}) == "1/x"
