"""Everything from simulation to the table: `python scripts/reproduce.py smoke|cpu|full [--real FOLDER]`.

Stages are commands of `xrdml`, printed as they run, and can be run by hand; they share one process, for
starting one takes longer than the smallest of them. A finished stage leaves its name and time in
times.json and is skipped the next time; an interrupted one goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xrdml.cli.main import main as xrdml

NETWORKS = ("unet", "patterson_unet", "fft_unet", "xrd_transformer")
"""Pre-trained and fine-tuned; experiments `pretrain_…` and `finetune_…` of these names."""

BRIEF = ("xrd_transformer", "fft_unet")
"""Trained as long as the experiments are, where that is shorter than the others."""

EXPERIMENTS = {
    "unet, for comparison": ["pretrain_unet", "relative"],
    "unet, thesis' input": ["pretrain_unet", "thesis"],
    "unet, normalised E": ["pretrain_unet", "normalised_e"],
    "unet with SSIM": ["pretrain_unet", "relative", "ssim"],
    "unet from 1.2 Å": ["pretrain_unet", "relative", "d_min_1p2"],
}
"""Rows of the table that are pre-trained alone, alike but for their experiments."""


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
    brief
        Further training options of the experiments and of the networks in BRIEF.
    table, figures
        Options of the table, and of the figures of what the networks learned.
    """

    train: int
    test: int
    molecules: int
    pretrain: tuple[str, ...]
    finetune: tuple[str, ...]
    networks: dict[str, tuple[str, ...]]
    brief: tuple[str, ...] = ()
    table: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()


# Without dropout attention never writes its matrix down: five times as fast on a CPU.
_TRANSFORMER = ("model.tokens=sphere", "model.dropout=0.0")
_SMALL = {
    "unet": ("model.width=4",),
    "fft_unet": ("model.width=4",),
    "xrd_transformer": ("model.width=12", "model.blocks=1", *_TRANSFORMER),
    "patterson_unet": ("model.width=4",),
}
_CPU = {
    "unet": ("model.width=8",),
    "fft_unet": ("model.width=8",),
    "xrd_transformer": ("model.width=16", "model.blocks=1", "model.heads=1", *_TRANSFORMER),
    "patterson_unet": ("model.width=8",),
}
_SHORT = ("data.batch_size=4", "optimizer.schedule=cosine", "trainer.threads=1")
SCALES = {
    "smoke": Scale(
        train=24,
        test=6,
        molecules=24,
        pretrain=("trainer.max_epochs=1", "data.batch_size=8"),
        finetune=("trainer.max_epochs=1",),
        networks=_SMALL,
        table=("limit=6",),
        figures=("--crystals=1", "--starts=1", "--iterations=10"),
    ),
    "cpu": Scale(
        train=700,
        test=80,
        molecules=1_500,
        pretrain=("trainer.max_epochs=1", "data.val_fraction=0.06", "optimizer.lr=2e-3", *_SHORT),
        finetune=("trainer.max_epochs=3", "optimizer.lr=5e-4", *_SHORT),
        networks=_CPU,
        brief=("trainer.max_steps=60",),
        table=("limit=60",),
        figures=("--crystals=10",),
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
# Real crystals are centrosymmetric more often than not.
_GROUPS = ["--space-groups", "P21,C2,P21/c,C2/c"]


def stages(
    scale: Scale, work: Path, real: Path | None, train: Path | None = None
) -> Iterator[tuple[str, list[str]]]:
    """Name and `xrdml` command of each stage, in order; one more is one more `yield`.

    Parameters
    ----------
    real
        Folder of CIFs to fine-tune on and to test on; None leaves both out.
    train
        A dataset file to train on; None makes one.
    """
    library, imported = work / "molecules.h5", work / "real.h5"
    molecular = ["--recipe", "molecular", "--molecules", str(library)]
    yield "molecules", ["molecules", str(library), "--n", str(scale.molecules), "--seed", "1"]
    if train is None:
        train = work / "train.h5"
        yield (
            "train set",
            ["simulate", str(train), "--n", str(scale.train), "--seed", "1", *_GROUPS, *molecular],
        )
    test = ["--n", str(scale.test), "--seed", "2"]
    yield "test set, molecular", ["simulate", str(work / "test_molecular.h5"), *test, *molecular]
    yield "test set, thesis", ["simulate", str(work / "test_thesis.h5"), *test, "--thesis"]
    if real is not None:
        yield "real set", ["import-cif", str(real), str(imported)]
    simulated = [f"data.path={train}", "data.laue_group=P 1 2/m 1", "data.test_fraction=0.0", *scale.pretrain]
    for network in NETWORKS:
        options = [*scale.networks[network], *(scale.brief if network in BRIEF else ())]
        first, second = _weights(work, network)
        yield (
            f"pretrain {network}",
            _train([f"pretrain_{network}", "relative"], work, first, [*options, *simulated]),
        )
        if real is not None:
            published = [f"data.path={imported}", f"init={first}", *scale.finetune]
            tuned = [f"finetune_{network}", "relative"]
            yield f"finetune {network}", _train(tuned, work, second, [*options, *published])
    for name, experiments in EXPERIMENTS.items():
        options = [*scale.networks["unet"], *scale.brief]
        yield name, _train(experiments, work, _weights(work, name)[0], [*options, *simulated])
    yield "table", ["test", "--table", *_table(work, real is not None), *scale.table]
    yield "figures", ["explain", "all", *_figures(work, real is not None), *scale.figures]


def _weights(work: Path, row: str) -> tuple[Path, Path]:
    """Folders of the weights of a row before and after fine-tuning."""
    # Hydra reads plain ASCII without quotes.
    name = re.sub(r"\W+", "_", row, flags=re.ASCII)
    return work / "weights" / f"pretrain_{name}", work / "weights" / f"finetune_{name}"


def _train(experiments: list[str], work: Path, weights: Path, options: list[str]) -> list[str]:
    chosen = f"experiment=[{','.join(experiments)}]"
    run = f"run.dir={work / 'runs' / weights.name}"
    return ["train", chosen, *options, "logger.tensorboard=false", run, f"export={weights}"]


def _figures(work: Path, real: bool) -> list[str]:
    """Crystals and networks of the thesis' six figures, and of those of the density prior."""
    crystals = [str(work / "real.h5"), "--subset=test"] if real else [str(work / "test_molecular.h5")]
    networks = [str(_weights(work, name)[real]) for name in NETWORKS]
    return [*crystals, *(f"--model={w}" for w in (*networks, "density_prior")), f"--out={work / 'figures'}"]


def _table(work: Path, real: bool) -> list[str]:
    """Sets and rows of the table."""
    sets = [
        f"{{name: thesis, path: {work}/test_thesis.h5, kind: simulated}}",
        f"{{name: molecular, path: {work}/test_molecular.h5, kind: none}}",
    ]
    if real:
        published = f"path: {work}/real.h5, subset: test, kind: real"
        sets.append(f"{{name: real, {published}}}")
        sets.append(f"{{name: real_acentric, {published}, space_groups: [P21, C2]}}")
    rows = []
    for name in (*NETWORKS, *EXPERIMENTS):
        before, after = _weights(work, name)
        tuned = f", after: {after}" if real and name in NETWORKS else ""
        rows.append(f'{{name: "{name}", before: {before}{tuned}}}')
    return [f"out={work / 'table'}", f"sets=[{', '.join(sets)}]", f"rows=[{', '.join(rows)}]"]


def main() -> int:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("scale", choices=SCALES)
    parser.add_argument(
        "--real", type=Path, help="folder of CIFs; default ../shared/data/structures, if there"
    )
    parser.add_argument("--no-real", action="store_true", help="leave fine-tuning out")
    parser.add_argument("--train", type=Path, help="dataset file to train on, instead of making one")
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
    for name, command in stages(SCALES[args.scale], work, real, args.train):
        if name in times:
            print(f"== {name}: done before in {times[name]:.0f} s", flush=True)
            continue
        if command[0] == "train" and (_run_folder(command) / "last.ckpt").exists():
            command = [*command, "ckpt=last"]
        print(f"== {name}: xrdml {' '.join(command)}", flush=True)
        start = time.monotonic()
        status = xrdml(command)
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
