"""`xrdml report`: the command, and the page in a browser."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from report_folders import EVIL, run_folder, solved_folder
from xrdml.cli.main import main
from xrdml.crystal.cell import metric
from xrdml.crystal.shelx_atoms import atom_labels
from xrdml.crystal.structure import Structure

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

QUIET = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--enable-logging=stderr", "--v=0",
]  # fmt: skip


def browse(page: Path, tmp_path: Path, *flags: str) -> tuple[str, list[str]]:
    """The document after its scripts have run, and what the console said."""
    done = subprocess.run(
        [BROWSER, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", *flags, "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, re.findall(r"CONSOLE.*", done.stderr)


needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium on PATH (apt-get install chromium)")


@needs_browser
def test_a_result_in_the_browser(tmp_path):
    folder, _ = solved_folder(tmp_path / "r", EVIL)
    assert main(["report", str(folder)]) == 0
    dom, console = browse(folder / "report.html", tmp_path, "--window-size=400,900")
    assert console == []
    assert 'data-ready="true"' in dom  # the molecule was drawn
    assert 'aria-pressed="true"' in dom
    for heading in (
        "Verdict, and why",
        "The molecule",
        "What was measured",
        "What was predicted",
        "The search",
    ):
        assert f">{heading}</h2>" in dom
    assert "onerror=" not in re.sub(r"<title>.*?</title>|&lt;img[^<]*", "", dom, flags=re.DOTALL)


@pytest.fixture
def driven(tmp_path):
    """A function that sends a command of the WebDriver protocol to a browser of its own."""
    driver = shutil.which("chromedriver")
    if BROWSER is None or driver is None:
        pytest.skip("no chromium and chromedriver on PATH (apt-get install chromium chromium-driver)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    session = ""

    def send(method: str, command: str, **body):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/session{session}{command}", json.dumps(body).encode() if body else None,
            {"Content-Type": "application/json"}, method=method,
        )  # fmt: skip
        for attempt in range(100):
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return json.load(answer)["value"]
            except urllib.error.HTTPError as error:
                raise AssertionError(error.read().decode()) from None
            except OSError:  # not there yet
                if attempt == 99:
                    raise
                time.sleep(0.1)

    options = {"binary": BROWSER, "args": [*QUIET, f"--user-data-dir={tmp_path / 'profile'}"]}
    try:
        wanted = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}
        session = f"/{send('POST', '', capabilities=wanted)['sessionId']}"
        yield send
        send("DELETE", "")
    finally:
        process.terminate()
        process.wait(10)


def test_the_molecule_answers_to_keys(tmp_path, driven):
    folder, structure = solved_folder(tmp_path / "r")
    assert main(["report", str(folder)]) == 0
    driven("POST", "/url", url=(folder / "report.html").as_uri())

    def element(css: str) -> str:
        (name,) = driven("POST", "/element", using="css selector", value=css).values()
        return f"/element/{name}"

    canvas, said = element("#molecule-view"), element("#molecule-picked")
    for keys in ("\ue014\ue014", "+", "l", "c"):  # \ue014 is the right arrow
        before = driven("GET", f"{canvas}/screenshot")
        driven("POST", f"{canvas}/value", text=keys)
        deadline = time.monotonic() + 30
        while driven("GET", f"{canvas}/screenshot") == before:
            assert time.monotonic() < deadline, f"{keys} changed nothing"
    driven("POST", f"{canvas}/value", text="nm")
    names, distance = re.fullmatch(r"(\S+)\s+([\d.]+) Å", driven("GET", f"{said}/text")).groups()
    first, second = (structure.frac[atom_labels(structure).index(name)] for name in names.split("–"))
    images = np.concatenate([r @ second + t for r, t in zip(*operations(structure), strict=True)]).reshape(
        -1, 3
    )
    shifts = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
    delta = (images[:, None] + shifts - first).reshape(-1, 3)
    real = np.sqrt(np.einsum("ni,ij,nj->n", delta, metric(structure.cell), delta))
    assert np.abs(real - float(distance)).min() < 2e-3


def operations(structure: Structure) -> tuple[np.ndarray, np.ndarray]:
    return structure.symmetry.rotations, structure.symmetry.translations


@needs_browser
def test_the_console_is_listened_to(tmp_path):
    """What the other tests rest on: errors are seen. A foreign script is not run."""
    folder, _ = solved_folder(tmp_path / "r")
    assert main(["report", str(folder)]) == 0
    page = folder / "report.html"
    page.write_text(page.read_text().replace("</main>", "<script>document.title = 'run'</script></main>"))
    dom, console = browse(page, tmp_path)
    assert "<title>run</title>" not in dom
    assert any("Content Security Policy" in line for line in console)


@needs_browser
def test_a_run_in_the_browser(tmp_path):
    assert main(["report", str(run_folder(tmp_path / "run", EVIL)), "--out", str(tmp_path / "run.html")]) == 0
    dom, console = browse(tmp_path / "run.html", tmp_path)
    assert console == []
    assert dom.count("<svg") >= 2
    assert ">Learning curves</h2>" in dom


def test_the_command_says_where(tmp_path, capsys):
    folder, _ = solved_folder(tmp_path / "r")
    assert main(["report", str(folder)]) == 0
    assert capsys.readouterr().out == f"written: {folder / 'report.html'}\n"


@pytest.mark.parametrize("what", ["absent", "empty", "file", "unwritable"])
def test_bad_input(tmp_path, capsys, what):
    folder, _ = solved_folder(tmp_path / "r")
    argv = {
        "absent": [tmp_path / "none"],
        "empty": [tmp_path],
        "file": [folder / "x.hkl"],
        "unwritable": [folder, "--out", tmp_path / "no" / "x.html"],
    }[what]
    assert main(["report", *map(str, argv)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert str(argv[0] if what != "unwritable" else argv[-1]) in line
