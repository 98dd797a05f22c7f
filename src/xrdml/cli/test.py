"""`xrdml test`: measure networks and baselines on crystals whose answer is known."""

from __future__ import annotations

import argparse

from xrdml.cli._console import say
from xrdml.cli._options import add_overrides


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = "Measure networks and baselines side by side on crystals whose answer is known."
    parser.epilog = "\n".join(
        [
            "options and their defaults are in configs/test.yaml:",
            "  models=[unet,ridge,radial]   names or folders of weights, and the baselines",
            "  data.path=FILE.h5|FOLDER     a dataset file, or a folder of CIFs",
            "  data.subset=all|train|test   test is a fifth, by family where structures.csv lies there",
            "  data.limit=100               only the first so many crystals",
            "  data.d_min_low=1.5  data.d_min_high=0.8",
            "  out=results/test             metrics.json and per_crystal.csv",
            "",
            "with --table they are in configs/table.yaml: sets of crystals, rows of networks before and",
            "after fine-tuning, and out=FOLDER for results.md, results.json, crystals as CSV, and curves",
        ]
    )
    parser.add_argument("--table", action="store_true", help="the table of results of all networks and sets")
    add_overrides(parser)


def run(args: argparse.Namespace) -> int:
    from pathlib import Path

    from omegaconf import OmegaConf

    from xrdml.data.structures import read_structures
    from xrdml.evaluate.compare import TestConfig, compare, counted
    from xrdml.evaluate.known import known_crystals
    from xrdml.infer.choose import load_predictor
    from xrdml.training.config import load_config

    if args.table:
        from xrdml.evaluate.table import TableConfig, make_table

        paths = make_table(load_config(args.overrides, "table", TableConfig))
        say(paths[0].read_text(encoding="utf-8"))
        say(f"written: {', '.join(map(str, paths))}")
        return 0
    config = load_config(args.overrides, "test", TestConfig)
    predictors = {p.name: p for p in map(load_predictor, config.models)}
    structures = read_structures(Path(config.data.path), config.data.subset, config.data.limit)
    crystals = known_crystals(structures, config.data.d_min_low, config.data.d_min_high)
    comparison = compare(predictors, counted(crystals, len(structures)))
    say(*comparison.table())
    paths = comparison.write(Path(config.out), {"config": OmegaConf.to_container(config)})
    say(f"written: {', '.join(map(str, paths))}")
    return 0
