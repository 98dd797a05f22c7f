"""`xrdml train`: train a network, or go on with one."""

from __future__ import annotations

import argparse

from xrdml.cli._console import say
from xrdml.cli._options import add_overrides

GROUPS = ("model", "data", "trainer", "logger", "experiment")
PRIOR = "model=density_prior"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from xrdml.shipped import shipped_folders

    folder = shipped_folders("configs")[0]
    lines = [f"  {g}={'|'.join(sorted(p.stem for p in (folder / g).glob('*.yaml')))}" for g in GROUPS]
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = "Train a network to fill reflections, or go on with a run."
    parser.epilog = "\n".join(
        [
            "choices of the groups:",
            *lines,
            "",
            f"options and their defaults are in {folder}:",
            "  data.path=FILE.h5         crystals made by `xrdml simulate`",
            "  trainer.max_epochs=20     trainer.max_time=00:08:00:00 stops after eight hours",
            "  loss.region=all           count the measured reflections too",
            "  run.dir=DIR               instead of runs/<model>/<date-time>",
            "  ckpt=last                 go on with run.dir, or with the newest run of this model",
            "  trainer=ddp launcher.cluster=slurm trainer.num_nodes=2   on a cluster",
            "  export=weights/NAME       write the final weights there",
            "",
            f"{PRIOR} is trained on maps, not on tensors; its options are in configs/prior.yaml:",
            "  data.paths=[FILE.h5,FOLDER]  crystals as coordinates, and folders of CIFs",
            "  trainer.max_steps=20000      init=NAME begins from weights",
        ]
    )
    add_overrides(parser)


def run(args: argparse.Namespace) -> int:
    from xrdml.training.config import load_config

    if PRIOR in args.overrides:
        from xrdml.training.fit_prior import PriorConfig, fit_prior

        words = [word for word in args.overrides if word != PRIOR]
        fit_prior(load_config(words, "prior", PriorConfig))
    else:
        from xrdml.training.fit import fit

        config = load_config(args.overrides)
        if config.launcher.cluster:
            from xrdml.training.launch import launch

            say(launch(args.overrides, config))
        else:
            fit(config)
    return 0
