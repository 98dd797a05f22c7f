"""Share of a training step that is spent on data: crystals → |F| → tensors, beside the network.

The UNet of configs/model/unet.yaml at `--width` and batches of `--batch-size` from the shipped sample; with
`--library` fresh crystals are packed from it meanwhile by one worker process. Each part of a step is
timed by the wall clock, after two steps that do not count.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from omegaconf import OmegaConf

from xrdml.crystal.molecular_options import MolecularOptions
from xrdml.data import keys
from xrdml.data.datamodule import CrystalDataModule
from xrdml.data.reservoir import Reservoir
from xrdml.physics.structure_factors import collate
from xrdml.training.config import load_config
from xrdml.training.network import Network

EFFECTS = {
    **{"noise": 1.0, "beam_stop": 6.0, "wedge": 40.0, "scale": 0.1, "extinction": 0.05, "anomalous": True},
    "wavelength": 0.71073,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=20)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--effects", action="store_true", help="simulate a measurement")
    parser.add_argument("--library", help="pack crystals from these molecules meanwhile")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    config = load_config([f"model.width={a.width}", f"data.batch_size={a.batch_size}"])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    plain = OmegaConf.to_container(config, resolve=True)
    plain["data"] |= {"library": a.library, "measurement": EFFECTS if a.effects else {}}
    network = Network(plain["model"]).to(device)
    data = CrystalDataModule(plain["data"], 1)
    data.setup()
    measure(network, data, a, device)


def measure(network: Network, data: CrystalDataModule, a: argparse.Namespace, device: str) -> None:
    optimizer = torch.optim.Adam(network.parameters())
    crystals = data.parts["train"]
    if a.library:
        options = MolecularOptions.make(
            list(data.space_groups()), Path(a.library), grid=data.grid, d_min=data.limits.high
        )
        crystals = Reservoir(crystals, options, 1)
    spent = {"read and collate": 0.0, "|F| and tensors": 0.0, "network": 0.0}

    def lap(name: str, since: float) -> float:
        if device == "cuda":
            torch.cuda.synchronize()
        spent[name] += time.perf_counter() - since
        return time.perf_counter()

    try:
        for step in range(a.steps + 2):
            if step == 2:
                spent = dict.fromkeys(spent, 0.0)
            clock = time.perf_counter()
            rows = [(step * a.batch_size + k) % len(crystals) for k in range(a.batch_size)]
            fetch = getattr(crystals, "__getitems__", lambda rows: [crystals[k] for k in rows])
            batch = collate(fetch(rows)).to(device)
            clock = lap("read and collate", clock)
            tensors = data.tensors(batch)
            clock = lap("|F| and tensors", clock)
            optimizer.zero_grad()
            error = (network(tensors) - tensors[keys.F_TARGET]) * tensors[keys.PREDICT]
            error.square().mean().backward()
            optimizer.step()
            lap("network", clock)
    finally:
        if isinstance(crystals, Reservoir):
            print(f"{crystals.packed} crystals packed meanwhile")
            crystals.close()
    total = sum(spent.values())
    for name, seconds in spent.items():
        print(f"{name:18} {1e3 * seconds / a.steps:8.1f} ms a step  {100 * seconds / total:5.1f} %")
    share = 100 * (total - spent["network"]) / total
    print(f"data: {share:.1f} % of a step of {a.batch_size} crystals, UNet width {a.width}, {device}")


if __name__ == "__main__":
    main()
