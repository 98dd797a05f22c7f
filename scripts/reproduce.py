"""Everything from simulation to the table: `python scripts/reproduce.py smoke|cpu|full [--real FOLDER]`.

Stages are commands of `xrdml`, printed as they run, and can be run by hand. A finished stage leaves its
name and time in times.json and is skipped the next time; an interrupted one goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NETWORKS = ("unet", "fft_unet", "xrd_transformer")


@dataclass(frozen=True)
class Scale:
    """How much of everything.

    Attributes
    ----------
    train, test, molecules
        Simulated crystals to train on (with validation), to test on in each of two sets, and molecules.
    pretrain, finetune
        Training options of the two phases.
    networks
        Options of each network, alike in both phases.
    table
        Options of the table.
    """

    train: int
    test: int
    molecules: int
    pretrain: tuple[str, ...]
    finetune: tuple[str, ...]
    networks: dict[str, tuple[str, ...]]
    table: tuple[str, ...] = ()


_SMALL = {
    "unet": ("model.width=4",),
    "fft_unet": ("model.width=4",),
    "xrd_transformer": ("model.width=12", "model.blocks=1", "model.tokens=sphere"),
}
_CPU = {
    "unet": ("model.width=14",),
    "fft_unet": ("model.width=12",),
    # Without dropout attention never writes its matrix down: five times as fast on a CPU.
    "xrd_transformer": ("model.width=72", "model.blocks=2", "model.tokens=sphere", "model.dropout=0.0"),
}
SCALES = {
    "smoke": Scale(
        train=40,
        test=6,
        molecules=60,
        pretrain=("trainer.max_epochs=1", "data.batch_size=8"),
        finetune=("trainer.max_epochs=1",),
        networks=_SMALL,
        table=("limit=6",),
    ),
    "cpu": Scale(
        train=6_000,
        test=300,
        molecules=6_000,
        pretrain=("trainer.max_epochs=5", "data.batch_size=32"),
        finetune=("trainer.max_epochs=30",),
        networks=_CPU,
    ),
    # The thesis': 400 000 crystals for training and 100 000 for validation, 100 epochs at most.
    "full": Scale(
        train=500_000,
        test=2_000,
        molecules=200_000,
        pretrain=("trainer=gpu", "data.val_fraction=0.2", "data.workers=8"),
        finetune=("trainer=gpu",),
        networks=dict.fromkeys(NETWORKS, ()),
    ),
}


def stages(scale: Scale, work: Path, real: Path | None) -> Iterator[tuple[str, list[str]]]:
    """Name and `xrdml` command of each stage, in order."""
    library, train, imported = work / "molecules.h5", work / "train.h5", work / "real.h5"
    molecular = ["--recipe", "molecular", "--molecules", str(library)]
    yield "molecules", ["molecules", str(library), "--n", str(scale.molecules), "--seed", "1"]
    yield "train set", ["simulate", str(train), "--n", str(scale.train), "--seed", "1", *molecular]
    test = ["--n", str(scale.test), "--seed", "2"]
    yield "test set, molecular", ["simulate", str(work / "test_molecular.h5"), *test, *molecular]
    yield "test set, thesis", ["simulate", str(work / "test_thesis.h5"), *test, "--thesis"]
    if real is not None:
        yield "real set", ["import-cif", str(real), str(imported)]
    for network in NETWORKS:
        common = [*scale.networks[network], "logger.tensorboard=false"]
        first = work / "weights" / f"pretrain_{network}"
        yield (
            f"pretrain {network}",
            [
                *("train", f"experiment=pretrain_{network}", f"data.path={train}", "data.test_fraction=0.0"),
                *(*common, *scale.pretrain, f"run.dir={work / 'runs' / first.name}", f"export={first}"),
            ],
        )
        if real is not None:
            second = work / "weights" / f"finetune_{network}"
            yield (
                f"finetune {network}",
                [
                    *("train", f"experiment=finetune_{network}", f"data.path={imported}", f"init={first}"),
                    *(*common, *scale.finetune, f"run.dir={work / 'runs' / second.name}", f"export={second}"),
                ],
            )
    yield "table", ["test", "--table", f"work={work}", *scale.table, *([] if real else _without_real(work))]


def _without_real(work: Path) -> list[str]:
    sets = [("thesis", "simulated"), ("molecular", "none")]
    listed = ",".join(f"{{name:{name},path:{work}/test_{name}.h5,kind:{kind}}}" for name, kind in sets)
    rows = ",".join(f"{{name:{name},before:{work}/weights/pretrain_{name}}}" for name in NETWORKS)
    return [f"sets=[{listed}]", f"rows=[{rows}]"]


def main() -> int:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("scale", choices=SCALES)
    parser.add_argument(
        "--real", type=Path, help="folder of CIFs; default ../shared/data/structures, if there"
    )
    parser.add_argument("--no-real", action="store_true", help="leave fine-tuning out")
    parser.add_argument("--work", type=Path, help="default results/reproduce/SCALE")
    args = parser.parse_args()
    work = args.work or Path("results/reproduce") / args.scale
    work.mkdir(parents=True, exist_ok=True)
    usual = Path("../shared/data/structures")
    real = None if args.no_real else args.real or (usual if usual.is_dir() else None)
    if real is None and not args.no_real:
        print("no real crystals: fine-tuning is left out; give --real FOLDER of CIFs", flush=True)
    times_file = work / "times.json"
    times = json.loads(times_file.read_text()) if times_file.exists() else {}
    for name, command in stages(SCALES[args.scale], work, real):
        if name in times:
            print(f"== {name}: done before in {times[name]:.0f} s", flush=True)
            continue
        if command[0] == "train" and (_run_folder(command) / "last.ckpt").exists():
            command = [*command, "ckpt=last"]
        print(f"== {name}: xrdml {' '.join(command)}", flush=True)
        start = time.monotonic()
        status = subprocess.run([sys.executable, "-m", "xrdml.cli.main", *command]).returncode
        if status:
            print(f"stopped in stage '{name}'; the same command goes on from there", file=sys.stderr)
            return status
        times[name] = round(time.monotonic() - start, 1)
        temporary = times_file.with_suffix(".part")
        temporary.write_text(json.dumps(times, indent=2) + "\n")
        temporary.replace(times_file)
    print(f"== all done in {sum(times.values()):.0f} s: {work / 'table' / 'results.md'}")
    return 0


def _run_folder(command: list[str]) -> Path:
    return Path(next(word.removeprefix("run.dir=") for word in command if word.startswith("run.dir=")))


if __name__ == "__main__":
    sys.exit(main())
