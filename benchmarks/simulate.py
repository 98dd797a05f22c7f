"""Crystals per second and core: the worker of `xrdml simulate` beside cctbx' own loop.

Every figure is crystals per second of processor time in a fresh process with one thread; the sides take
turns, so that all meet the same machine, and the median of the rounds counts. The cctbx loop makes the
structures and, for the tensors, calls `structure_factors(d_min=0.8)` with its defaults (FFT), and keeps
nothing; the worker also draws cells, checks the grid, fills tensors (by direct summation with a table of
cosines) and writes the file.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

N = {"coordinates": 1000, "tensors": 300}
ROUNDS = 5


def cctbx_loop(kind: str) -> Callable[[int], None]:
    """The way of the thesis: one call a structure, P2₁ and C2 in turn."""
    import random

    from cctbx.development import random_structure
    from cctbx.sgtbx import space_group_info

    groups = [space_group_info(name) for name in ("P21", "C2")]
    random.seed(1)

    def make(n: int) -> None:
        for i in range(n):
            structure = random_structure.xray_structure(
                space_group_info=groups[i % 2],
                elements=random.choices(["C", "N", "O", "Cl"], k=random.randint(10, 30)),
                volume_per_atom=random.uniform(14, 22),
                min_distance=1.5,
                random_u_iso=True,
            )
            if kind == "tensors":
                structure.structure_factors(d_min=0.8).f_calc()

    return make


def xrdml_worker(kind: str, *, thesis: bool) -> Callable[[int], None]:
    """What a worker process of `xrdml simulate` does for one shard, file included."""
    from xrdml.xrd_simulator import _worker  # isort: skip — cctbx comes first
    from xrdml.crystal.grid import HklGrid
    from xrdml.crystal.store import TensorLayout
    from xrdml.xrd_simulator.options import RandomAtomsOptions
    from xrdml.xrd_simulator.simulate import describe

    grid = HklGrid.thesis()
    options = RandomAtomsOptions.make(["P21", "C2"], grid=grid, thesis=thesis)
    attributes = describe(options, 1, TensorLayout(grid, 1.5, 0.8) if kind == "tensors" else None)

    def make(n: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            _worker.make_shard(Path(folder) / "shard.h5", 0, n, attributes, lambda _: None)

    return make


SIDES: dict[str, Callable[[str], Callable[[int], None]]] = {
    "cctbx loop": cctbx_loop,
    "xrdml --thesis": lambda kind: xrdml_worker(kind, thesis=True),
    "xrdml": lambda kind: xrdml_worker(kind, thesis=False),
}


def measure(side: str, kind: str) -> float:
    """Crystals per second of processor time, in a process of its own."""
    command = [sys.executable, __file__, side, kind]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def child(side: str, kind: str) -> None:
    make = SIDES[side](kind)
    make(10)  # tables are read and caches filled once, not per crystal
    start = time.process_time()
    make(N[kind])
    print(N[kind] / (time.process_time() - start))


def main() -> None:
    for kind in N:
        rounds: dict[str, list[float]] = {side: [] for side in SIDES}
        for _ in range(ROUNDS):
            for side in SIDES:
                rounds[side].append(measure(side, kind))
        base = statistics.median(rounds["cctbx loop"])
        for side, values in rounds.items():
            speed = statistics.median(values)
            spread = f"{min(values):.0f}–{max(values):.0f}"
            print(f"{kind:12} {side:15} {speed:6.0f} crystals/s/core ({spread})  ratio {speed / base:.2f}")


if __name__ == "__main__":
    child(*sys.argv[1:]) if len(sys.argv) == 3 else main()
