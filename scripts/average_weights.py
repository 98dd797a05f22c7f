"""The mean of states of one training, which is better than most of them: OUT from two or more folders.

    .venv/bin/python scripts/average_weights.py weights/density_prior runs/third runs/fourth

The configuration is that of the last, with the checksums of all and without a validation loss, which nobody
measured of the mean. Wortsman et al. (2022), Proc. Mach. Learn. Res. 162, 23965.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from xrdml.errors import UserError
from xrdml.models.weights import load_weights, save_weights

WRITTEN_ANEW = ("format", "format_version", "sha256", "metrics")


def average(out: Path, folders: list[Path]) -> None:
    """Write the mean; all folders must hold the same network."""
    loaded = [load_weights(folder) for folder in folders]
    config = loaded[-1][0]
    for folder, (other, _) in zip(folders, loaded, strict=True):
        if other["model"] != config["model"]:
            raise UserError(f"is {other['model']}, not {config['model']} as {folders[-1]}", path=folder)
    states = [state for _, state in loaded]
    mean = {key: torch.stack([s[key] for s in states]).mean(0) for key in states[0]}
    kept = {key: value for key, value in config.items() if key not in WRITTEN_ANEW}
    save_weights(out, kept | {"mean_of": [c["sha256"] for c, _ in loaded]}, mean)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("out", type=Path, help="folder of the new weights")
    p.add_argument("folders", type=Path, nargs="+", help="weights of one training")
    options = p.parse_args()
    if len(options.folders) < 2:
        p.error("a mean needs two folders at least")
    try:
        average(options.out, options.folders)
    except UserError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
