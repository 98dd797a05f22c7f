"""Full disks, read-only folders, two runs at once, names that try to leave their folder, hostile weights."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reliability import forked
from reliability.rows import Row

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "data_samples"
CELL = ["--cell", "7.1,9.4,11.7,90,97.5,90", "--space-group", "P21/n"]


def xrdml(*words: object, cwd: Path | None = None) -> tuple[int, str]:
    """A command: exit status, and what it said."""
    with tempfile.TemporaryDirectory() as folder:
        ended = forked.run([str(word) for word in words], Path(folder) / "log", cwd)
    return ended.code, ended.said


@contextmanager
def small_disk(place: Path, kilobytes: int) -> Iterator[Path | None]:
    """A file system of that size; None where mounting is not allowed."""
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)], capture_output=True
    )
    if mounted.returncode:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _commands(out: Path, data: Path) -> dict[str, list[str]]:
    sample = str(SAMPLES / "paracetamol_1p5.hkl")
    return {
        "infer": ["infer", sample, "--model", "radial", "--out", str(out / "filled")],
        "solve": ["solve", sample, "--starts", "1", "--iterations", "4", "--out", str(out / "solved")],
        "simulate": ["simulate", str(out / "set.h5"), "--n", "1000", "--workers", "1"],
        "molecules": ["molecules", str(out / "lib.h5"), "--n", "100", "--workers", "1"],
        "import-cif": ["import-cif", str(SAMPLES), str(out / "real.h5"), "--workers", "1"],
        "powder": ["powder", str(SAMPLES / "sucrose.cif"), "--out", str(out / "powder")],
        "inspect": [
            "inspect", str(SAMPLES / "sucrose.cif"), "--out", str(out / "x.png"),
            "--json", str(out / "x.json"),
        ],
        "train": [
            "train", f"run.dir={out / 'run'}", f"data.path={SAMPLES / 'simulated_small.h5'}", "model.width=4",
            "experiment=quick", "trainer.max_steps=2", f"export={out / 'weights'}",
        ],
    }  # fmt: skip


def one_line(code: int, said: str) -> str | None:
    if code == 0:
        return None
    last = said.strip().splitlines()[-1:] or [""]
    if code != 2 or "Traceback" in said or not last[0].startswith("xrdml "):
        return f"status {code}: {said.strip()[-200:]}"
    return None


def full_disk(place: Path) -> Row:
    """Every command on file systems of three sizes; a file that was there before stays as it was."""
    row = Row(
        "full disk (tmpfs of 8, 64 and 512 kB)",
        "one line, status 2 (or done); no half-written file; what was there is intact",
    )
    for kilobytes in (8, 64, 512):
        for name in _commands(place, place):
            with small_disk(place / f"{name}-{kilobytes}", kilobytes) as disk:
                if disk is None:
                    row.remarks.append("mounting is not allowed here: nothing was tried")
                    return row
                (disk / "mine.txt").write_text("mine")
                code, said = xrdml(*_commands(disk, place)[name])
                failure = one_line(code, said)
                if (disk / "mine.txt").read_text() != "mine":
                    failure = "the user's file changed"
                empty = [
                    p.name
                    for p in disk.rglob("*")
                    if p.is_file() and not p.stat().st_size and p.suffix not in ("", ".unfinished")
                ]
                if code and [e for e in empty if not e.startswith((".", "lock"))]:
                    failure = failure or f"empty files: {empty}"
            row.count(failure and f"{name}, {kilobytes} kB: {failure}")
    return row


def read_only(place: Path) -> Row:
    """Every command into a file system that is mounted read-only: root may not write there either."""
    row = Row("read-only folder", "one line, status 2")
    with small_disk(place / "ro", 512) as disk:
        if disk is None:
            row.remarks.append("mounting is not allowed here: nothing was tried")
            return row
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for name, words in _commands(disk, place).items():
            code, said = xrdml(*words)
            failure = one_line(code, said) if code else "it said that all was well"
            row.count(failure and f"{name}: {failure}")
    return row


def two_at_once(place: Path) -> Row:
    """The same command twice at the same time."""
    row = Row(
        "two processes with the same output", "one result as of one run; the other says so, or comes later"
    )
    for name in ("infer", "simulate", "molecules", "import-cif", "powder"):
        folder = place / name
        folder.mkdir()
        words = _commands(folder, place)[name]
        logs = [folder.with_name(f"{name}-{i}.log") for i in range(2)]
        pids = [forked.start(words, log) for log in logs]
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        said = [(log.read_text(), code) for log, code in zip(logs, codes, strict=True)]
        failures = [f for text, code in said if (f := one_line(code, text))]
        if not any(code == 0 for _, code in said):
            failures.append("neither came to an end")
        left = [p.name for p in folder.rglob("*") if p.name.startswith(".") or p.name.endswith(".parts")]
        if left:
            failures.append(f"left behind: {left}")
        row.count(f"{name}: {failures[0]}" if failures else None)
    return row


class _Evil:
    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def hostile_weights(place: Path) -> Row:
    """Pickles under every name that weights and checkpoints can have."""
    import torch

    row = Row("weights and checkpoints that hold code (pickle)", "refused; the code does not run")
    mark = place / "the-code-ran"
    evil = pickle.dumps(_Evil(mark))
    hkl = [str(SAMPLES / "paracetamol_1p5.hkl"), "--out", str(place / "out")]
    for name in ("w.pt", "w.pth", "w.ckpt", "w.bin", "w.pkl", "model.safetensors"):
        path = place / name
        path.write_bytes(evil)
        code, said = xrdml("infer", *hkl, "--model", path)
        row.count(_refused(code, said, mark, name))
    folder = Path(shutil.copytree(ROOT / "weights/unet", place / "mixed"))
    (folder / "model.safetensors").write_bytes(evil)
    row.count(_refused(*xrdml("infer", *hkl, "--model", folder), mark, "pickle in a folder of weights"))
    torch.save({"hyper_parameters": _Evil(mark), "state_dict": {}}, place / "evil.ckpt")
    words = _commands(place, place)["train"]
    row.count(_refused(*xrdml(*words, f"ckpt={place / 'evil.ckpt'}"), mark, "ckpt= of train"))
    return row


def _refused(code: int, said: str, mark: Path, name: str) -> str | None:
    if mark.exists():
        mark.rmdir()
        return f"{name}: the code ran"
    return None if code == 2 and "Traceback" not in said else f"{name}: status {code}, {said[-200:]}"


def path_tricks(place: Path) -> Row:
    """Titles, labels, blocks and file names that try to write elsewhere, or to command a terminal."""
    row = Row(
        "names inside files and of files that try to leave the folder",
        "nothing outside the folder of results is written",
    )
    hkl = (SAMPLES / "paracetamol_1p5.hkl").read_bytes()
    ins = (SAMPLES / "paracetamol_1p5.ins").read_text().splitlines()
    titles = (
        "../../evil",
        "/etc/evil",
        "x\x1b]0;owned\x07",
        "%s%n",
        "a" * 5000,
        "$(touch evil)",
        "evil\u202egpj.exe",
    )
    for i, title in enumerate(titles):
        inside = place / f"t{i}" / "in"
        inside.mkdir(parents=True)
        (inside / "x.hkl").write_bytes(hkl)
        (inside / "x.ins").write_text("\n".join([f"TITL {title}", *ins[1:]]), encoding="utf-8")
        row.count(_stays_inside(place / f"t{i}", inside / "x.hkl", title[:20]))
    names = (
        b"new\nline.hkl",
        b"-rf.hkl",
        b"\xff\xfe.hkl",
        b"a b'c\".hkl",
        b"..hkl",
        b"%d{x}.hkl",
        "Å½.hkl".encode(),
    )
    for i, name in enumerate(names):
        inside = place / f"n{i}" / "in"
        inside.mkdir(parents=True)
        path = Path(os.fsdecode(os.fsencode(inside) + b"/" + name))
        path.write_bytes(hkl)
        row.count(_stays_inside(place / f"n{i}", path, repr(name), *CELL))
    return row


def _stays_inside(base: Path, path: Path, what: str, *words: str) -> str | None:
    before = set(base.rglob("*"))
    code, said = xrdml("infer", path, *words, "--model", "radial", "--out", base / "out", cwd=base)
    outside = [p for p in base.rglob("*") if p not in before and base / "out" not in (p, *p.parents)]
    if outside:
        return f"{what}: wrote {outside[0]}"
    if "\x1b" in said:
        return f"{what}: a control character reached the terminal"
    return one_line(code, said) and f"{what}: {one_line(code, said)}"


def run(place: Path) -> Iterator[Row]:
    """All of these, each in a folder of its own."""
    forked.prepare()
    for part in (hostile_weights, path_tricks, read_only, two_at_once, full_disk):
        folder = place / part.__name__
        folder.mkdir()
        started = time.monotonic()
        row = part(folder)
        row.remarks.append(f"{time.monotonic() - started:.0f} s")
        yield row
