"""Training speed of the tensor networks: crystals a second, and the share of time that data take.

`python benchmarks/networks.py [--device cuda] [--threads 1] [--seconds 4] [--only unet] [--small]`.
A step is reading the crystals, making their tensors (on the device of the network), forward, backward and
the optimizer. The share is that of the first two: what the network waits for. Width of the thesis, and one
for CPUs; the transformer with all tokens (the thesis) and with those of the sphere, without dropout: with
it attention writes its matrix down, gigabytes a crystal.
"""

from __future__ import annotations

import argparse
import time

import torch
from omegaconf import OmegaConf

from xrdml.crystal.grid import HklGrid
from xrdml.crystal.store import StructureStore
from xrdml.data.tensors import Limits, TensorBatch, simulated_tensors
from xrdml.physics.structure_factors import collate
from xrdml.training.config import config_folder
from xrdml.training.losses import loss
from xrdml.training.network import Network

CASES = [
    ("unet", {}, 64, 8),
    ("fft_unet", {"form": "thesis"}, 64, 8),
    ("fft_unet", {"form": "full_sphere"}, 64, 8),
    ("patterson_unet", {}, 16, 8),
    ("xrd_transformer", {"tokens": "all", "dropout": 0.0}, 128, 16),
    ("xrd_transformer", {"tokens": "sphere", "dropout": 0.0}, 128, 16),
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=4, help="at least so long for each")
    parser.add_argument("--data", default="data_samples/simulated_small.h5")
    parser.add_argument("--only", help="one network")
    parser.add_argument("--small", action="store_true", help="the width for CPUs alone")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    store = StructureStore(args.data)
    limits, grid = Limits(1.5, 0.8), HklGrid.thesis()

    def read() -> TensorBatch:
        crystals = collate([store[i] for i in range(args.batch)]).to(args.device)
        return simulated_tensors(crystals, grid, limits)

    data = timed(read, args)
    print(f"{'network':<42}{'M parameters':>14}{'crystals/s':>12}{'share of data':>15}")
    print(f"{'data alone':<42}{'':>14}{args.batch / data:>12.1f}", flush=True)
    batch = read()
    for name, options, thesis, small in CASES:
        if args.only not in (None, name):
            continue
        for width in (small,) if args.small else (thesis, small):
            config = OmegaConf.to_container(OmegaConf.load(config_folder() / "model" / f"{name}.yaml"))
            network = Network({**config, **options, "width": width}).to(args.device)
            optimizer = torch.optim.Adam(network.parameters(), 1e-4)
            millions = sum(p.numel() for p in network.parameters()) / 1e6

            def step(network: Network = network, optimizer: torch.optim.Adam = optimizer) -> None:
                optimizer.zero_grad()
                loss(network(batch).float(), batch, "mse", "extension").backward()
                optimizer.step()

            seconds = timed(step, args)
            label = f"{name} {' '.join(map(str, options.values()))} width {width}"
            share = data / (data + seconds)
            print(
                f"{label:<42}{millions:>14.2f}{args.batch / (data + seconds):>12.2f}{share:>15.0%}",
                flush=True,
            )


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
