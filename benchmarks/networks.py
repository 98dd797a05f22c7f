"""Training speed of the tensor networks: crystals a second, forward and backward, in one run.

`python benchmarks/networks.py [--device cuda] [--threads 1] [--seconds 4]`. Width of the thesis, and one
of about 0.3 M parameters; the transformer with all tokens (the thesis) and with those of the sphere.
"""

from __future__ import annotations

import argparse
import time

import torch
from omegaconf import OmegaConf

from xrdml.crystal.grid import HklGrid
from xrdml.crystal.store import StructureStore
from xrdml.data.tensors import Limits, simulated_tensors
from xrdml.physics.structure_factors import collate
from xrdml.training.config import config_folder
from xrdml.training.losses import loss
from xrdml.training.network import Network

CASES = [
    ("unet", {}, 64, 14),
    ("fft_unet", {"form": "thesis"}, 64, 12),
    ("fft_unet", {"form": "full_sphere"}, 64, 12),
    ("patterson_unet", {}, 32, 14),
    ("xrd_transformer", {"tokens": "all"}, 128, 72),
    ("xrd_transformer", {"tokens": "sphere"}, 128, 72),
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4, help="at least so long for each")
    parser.add_argument("--data", default="data_samples/simulated_small.h5")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    store = StructureStore(args.data)
    crystals = collate([store[i] for i in range(args.batch)]).to(args.device)
    limits, grid = Limits(1.5, 0.8), HklGrid.thesis()
    seconds = timed(lambda: simulated_tensors(crystals, grid, limits), args)
    print(f"{'crystals to tensors':<34}{'':>16}{args.batch / seconds:>10.2f} crystals/s", flush=True)
    batch = simulated_tensors(crystals, grid, limits)
    for name, options, *widths in CASES:
        for width in widths:
            config = OmegaConf.to_container(OmegaConf.load(config_folder() / "model" / f"{name}.yaml"))
            network = Network({**config, **options, "width": width}).to(args.device)
            millions = sum(p.numel() for p in network.parameters()) / 1e6

            def step(network: Network = network) -> None:
                loss(network(batch).float(), batch, "mse", "extension").backward()

            seconds = timed(step, args)
            label = f"{name} {' '.join(map(str, options.values()))} width {width}"
            print(f"{label:<34}{millions:>8.2f} M param{args.batch / seconds:>11.2f} crystals/s", flush=True)


def timed(work, args: argparse.Namespace) -> float:
    """Seconds a call, after one to warm up: processor time on a CPU, which others on it do not change."""
    wait = torch.cuda.synchronize if args.device.startswith("cuda") else lambda: None
    clock = time.perf_counter if args.device.startswith("cuda") else time.process_time
    work()
    wait()
    start, calls = clock(), 0
    while clock() - start < args.seconds:
        work()
        wait()
        calls += 1
    return (clock() - start) / calls


if __name__ == "__main__":
    main()
