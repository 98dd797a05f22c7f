"""Execute the steps of a Dockerfile in clean Debian roots, where no Docker engine is at hand.

    python scripts/check_dockerfile.py --work /tmp/image [--build-arg TORCH_INDEX=URL] [--run 'COMMAND' …]

Each `FROM debian:SUITE-slim` becomes a root made by mmdebstrap (--variant=minbase), each RUN a command in
it by chroot, as the USER and in the WORKDIR of the file; COPY obeys .dockerignore. Not checked: layers,
the engine's own image of Debian, GPUs. Needs root, mmdebstrap, and Debian's and Python's package indices.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

KNOWN = {"FROM", "ARG", "ENV", "RUN", "COPY", "WORKDIR", "USER", "ENTRYPOINT", "CMD", "LABEL"}
CHROOT = shutil.which("chroot") or "/usr/sbin/chroot"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Step:
    """One instruction: its name, its text with continuation lines joined, and where it begins."""

    name: str
    text: str
    line: int


@dataclass
class Image:
    """A root, and what the instructions so far say of it."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": DEFAULT_PATH})
    arguments: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "root"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)


def parse(text: str) -> list[Step]:
    """The instructions of a Dockerfile.

    Raises
    ------
    ValueError
        An instruction that this script does not know.
    """
    steps: list[Step] = []
    joined, begins = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or (not line.strip() and not joined):
            continue
        begins = begins or number
        joined += line.removesuffix("\\")
        if line.endswith("\\"):
            continue
        name, _, rest = joined.strip().partition(" ")
        if name.upper() not in KNOWN:
            raise ValueError(f"line {begins}: {name} is not understood")
        steps.append(Step(name.upper(), rest.strip(), begins))
        joined, begins = "", 0
    return steps


def ignored(path: str, patterns: Sequence[str]) -> bool:
    """Whether .dockerignore keeps a path (relative, with /) or a folder above it out."""
    parts = path.split("/")
    above = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    for pattern in patterns:
        anywhere = pattern.removeprefix("**/")
        for name in above:
            if anywhere != pattern and fnmatch.fnmatchcase(name.rsplit("/", 1)[-1], anywhere):
                return True
            # A star does not cross a slash.
            if name.count("/") == pattern.count("/") and fnmatch.fnmatchcase(name, pattern):
                return True
    return False


def ignore_patterns(context: Path) -> list[str]:
    """Lines of .dockerignore that are patterns."""
    file = context / ".dockerignore"
    lines = file.read_text().splitlines() if file.exists() else []
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def substituted(text: str, values: dict[str, str]) -> str:
    """$NAME and ${NAME} replaced, as Docker does outside RUN."""
    return re.sub(r"\$\{?(\w+)\}?", lambda m: values.get(m[1], ""), text)


class Build:
    """Executes the steps; `images` holds every stage by name or number."""

    def __init__(
        self, context: Path, work: Path, arguments: dict[str, str], extra: dict[str, str], binds: list[Path]
    ):
        self.context, self.work = context, work
        self.given, self.extra, self.binds = arguments, extra, binds
        self.images: dict[str, Image] = {}
        self.image = Image(Path())
        self.times: list[tuple[str, float]] = []

    def execute(self, steps: Sequence[Step]) -> Image:
        """All steps; the last image."""
        for step in steps:
            start = time.monotonic()
            print(f"== line {step.line}: {step.name} {' '.join(step.text.split())[:100]}", flush=True)
            getattr(self, f"_{step.name.lower()}")(step.text)
            self.times.append((f"{step.line} {step.name}", round(time.monotonic() - start, 1)))
        return self.image

    def _from(self, text: str) -> None:
        name, _, alias = text.partition(" AS ")
        match = re.fullmatch(r"debian:(\w+)-slim", name.strip())
        if match is None:
            raise ValueError(f"FROM {name}: only debian:SUITE-slim can be made here")
        base = self.work / f"base-{match[1]}"
        if not (base / "etc/debian_version").exists():
            shutil.rmtree(base, ignore_errors=True)
            mirrors = [
                f"deb http://deb.debian.org/debian {match[1]} main",
                f"deb http://deb.debian.org/debian {match[1]}-updates main",
                f"deb http://deb.debian.org/debian-security {match[1]}-security main",
            ]
            subprocess.run(["mmdebstrap", "--variant=minbase", match[1], str(base), *mirrors], check=True)
        root = self.work / f"stage-{len(self.images)}"
        shutil.rmtree(root, ignore_errors=True)
        subprocess.run(["cp", "-a", str(base), str(root)], check=True)
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        self.image = Image(root)
        self.images[alias.strip() or str(len(self.images))] = self.image

    def _arg(self, text: str) -> None:
        name, _, default = text.partition("=")
        self.image.arguments[name] = self.given.get(name, default)

    def _env(self, text: str) -> None:
        for word in shlex.split(text):
            name, _, value = word.partition("=")
            self.image.environment[name] = substituted(value, self._values())

    def _label(self, text: str) -> None:
        shlex.split(text)

    def _workdir(self, text: str) -> None:
        self.image.workdir = substituted(text, self._values())
        self._inside(self.image.workdir).mkdir(parents=True, exist_ok=True)

    def _user(self, text: str) -> None:
        self.image.user = text

    def _entrypoint(self, text: str) -> None:
        self.image.entrypoint = json.loads(text)

    def _cmd(self, text: str) -> None:
        self.image.command = json.loads(text)

    def _run(self, text: str) -> None:
        environment = {**self.image.arguments, **self.extra, **self.image.environment}
        self.run(["/bin/sh", "-c", text], environment).check_returncode()

    def _copy(self, text: str) -> None:
        *options, last = shlex.split(text)
        source = next((o.removeprefix("--from=") for o in options if o.startswith("--from=")), None)
        names = [o for o in options if not o.startswith("--")]
        place = substituted(last, self._values())
        target = self._inside(place if place.startswith("/") else f"{self.image.workdir}/{place}")
        if source is not None:
            for name in names:
                target.mkdir(parents=True, exist_ok=True)
                subprocess.run(["cp", "-a", f"{self.images[source].root}{name}/.", str(target)], check=True)
            return
        patterns = ignore_patterns(self.context)
        for name in names:
            found = list(copied(self.context, name, patterns))
            if not found:
                raise ValueError(f"COPY {name}: nothing there that .dockerignore lets through")
            for path in found:
                to = target / path.relative_to(self.context)
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, to)

    def _values(self) -> dict[str, str]:
        return {**self.image.arguments, **self.image.environment}

    def _inside(self, path: str) -> Path:
        return self.image.root / path.strip("/")

    def run(
        self, command: Sequence[str], environment: dict[str, str] | None = None, workdir: str | None = None
    ) -> subprocess.CompletedProcess:
        """A command in the present image, as its user."""
        image = self.image
        values = image.environment if environment is None else environment
        # chroot's own --userspec keeps HOME; su would change PATH.
        user = [] if image.user == "root" else [f"--userspec={image.user}:{image.user}"]
        home = "/root" if image.user == "root" else f"/home/{image.user}"
        script = 'cd "$1" && shift && exec "$@"'
        inside = ["/bin/sh", "-c", script, "sh", workdir or image.workdir, *command]
        with self._mounts(image.root):
            return subprocess.run(
                [CHROOT, *user, str(image.root), *inside],
                env={"HOME": home, **values},
                stdin=subprocess.DEVNULL,
            )

    @contextmanager
    def _mounts(self, root: Path) -> Iterator[None]:
        """/proc, /dev and /dev/shm as a container has them, and what --bind names."""
        done = []
        try:
            for path in (Path("/proc"), Path("/dev"), *self.binds):
                target = root / str(path).strip("/")
                target.mkdir(parents=True, exist_ok=True)
                subprocess.run(["mount", "--bind", str(path), str(target)], check=True)
                done.append(target)
                # What is mounted below must not appear outside.
                subprocess.run(["mount", "--make-private", str(target)], check=True)
            memory = root / "dev/shm"
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "mode=1777,size=64m", "shm", str(memory)], check=True
            )
            done.append(memory)
            yield
        finally:
            for target in reversed(done):
                subprocess.run(["umount", "--lazy", str(target)], check=True)


def copied(context: Path, name: str, patterns: Sequence[str]) -> Iterator[Path]:
    """Files that COPY takes for a source."""
    top = context / name
    if top.is_file():
        if not ignored(name, patterns):
            yield top
        return
    for folder, folders, files in os.walk(top):

        def kept(entry: str, folder: str = folder) -> bool:
            return not ignored((Path(folder) / entry).relative_to(context).as_posix(), patterns)

        folders[:] = sorted(filter(kept, folders))
        yield from (Path(folder) / entry for entry in sorted(files) if kept(entry))


def size(root: Path) -> str:
    """Of a root on disk, in MB; other file systems left out."""
    out = subprocess.run(["du", "-smx", str(root)], capture_output=True, text=True, check=True).stdout
    return f"{out.split()[0]} MB"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--context", type=Path, default=Path(__file__).resolve().parents[1], help="folder of the Dockerfile"
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for the roots, some GB")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument(
        "--env", action="append", default=[], metavar="NAME=VALUE", help="for RUN alone: proxies, mirrors"
    )
    parser.add_argument(
        "--bind",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="seen in every RUN: packages on disk",
    )
    parser.add_argument(
        "--run", action="append", default=[], metavar="ARGUMENTS", help="of the entry point, afterwards"
    )
    parser.add_argument(
        "--make", action="append", default=[], metavar="TARGET", help="make targets, afterwards, in /app"
    )
    args = parser.parse_args()
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        print("needs root and mmdebstrap (apt-get install mmdebstrap)", file=sys.stderr)
        return 2
    args.work.mkdir(parents=True, exist_ok=True)
    arguments, extra = (dict(word.split("=", 1) for word in words) for words in (args.build_arg, args.env))
    build = Build(args.context, args.work.resolve(), arguments, extra, args.bind)
    image = build.execute(parse((args.context / "Dockerfile").read_text()))
    failed = 0
    if image.user == "root":
        print("the image runs as root", file=sys.stderr)
        failed += 1
    for command, workdir in [
        *((image.entrypoint + shlex.split(words), None) for words in args.run),
        *((["make", *shlex.split(target)], "/app") for target in args.make),
    ]:
        start = time.monotonic()
        print(f"== as {image.user}: {shlex.join(command)}", flush=True)
        status = build.run(command, workdir=workdir).returncode
        print(f"== status {status}, {time.monotonic() - start:.0f} s", flush=True)
        failed += status != 0
    for step, seconds in build.times:
        if seconds >= 1:
            print(f"{seconds:8.1f} s  line {step}")
    print(f"image {size(image.root)}, of these /opt/venv {size(image.root / 'opt/venv')}; "
          f"user {image.user}, {failed} failed")  # fmt: skip
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
