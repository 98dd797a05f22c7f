"""Crystals per second of |F|: xrdml's batched sum beside cctbx, direct, by FFT, and in its usual loop.

P2₁, 20 atoms, V ≈ 800 Å³, all unique reflections to 0.8 Å. Every side runs in a fresh process with one
thread and counts its processor time; the sides take turns, so that all meet the same machine, and the median
of the rounds counts. The structures exist before the clock starts; for xrdml the clock includes collation.
"tensors" adds masks, geometry and normalisation, as in a training batch. "cctbx loop" is that of
simulate.py: random_structure, then structure_factors, to which |F| computed in the batch is the alternative.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

N, ATOMS, ROUNDS = 100, 20, 5
CELL = (8.0, 9.0, 11.8, 90.0, 109.0, 90.0)
D_MIN = 0.8


def xrdml_sum() -> Callable[[], None]:
    import numpy as np
    import torch

    from xrdml.crystal.structure import Structure
    from xrdml.crystal.symmetry import symmetry
    from xrdml.physics.structure_factors import collate, structure_factors

    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    structures = [
        Structure(
            CELL,
            "P 1 21 1",
            rng.choice(np.array([6, 7, 8], np.uint8), ATOMS),
            rng.random((ATOMS, 3)),
            rng.uniform(0.02, 0.08, ATOMS),
            np.ones(ATOMS),
        )
        for _ in range(N)
    ]
    hkl = torch.from_numpy(symmetry("P 1 21 1").unique_reflections(CELL, D_MIN))

    def work() -> None:
        structure_factors(collate(structures), hkl).abs()

    return work


def xrdml_tensors() -> Callable[[], None]:
    import torch

    from xrdml.crystal.grid import HklGrid
    from xrdml.crystal.store import StructureStore
    from xrdml.data.tensors import Limits, simulated_tensors
    from xrdml.physics.structure_factors import collate
    from xrdml.shipped import shipped_folders

    torch.set_num_threads(1)
    store = StructureStore(shipped_folders("data_samples")[0] / "simulated_small.h5")
    structures = [store[i] for i in range(N)]

    def work() -> None:
        simulated_tensors(collate(structures), HklGrid.thesis(), Limits(1.5, D_MIN))

    return work


def random_structure_loop() -> Callable[[], None]:
    from simulate import cctbx_loop

    make = cctbx_loop("tensors")
    return lambda: make(N)


def cctbx_sum(algorithm: str) -> Callable[[], None]:
    from cctbx.array_family import flex  # isort: skip — cctbx comes first
    import random

    from cctbx import crystal, xray

    random.seed(1)
    symmetry = crystal.symmetry(unit_cell=CELL, space_group_symbol="P 1 21 1")

    def make() -> xray.structure:
        structure = xray.structure(crystal.special_position_settings(symmetry))
        for i in range(ATOMS):
            label = random.choice("CNO")
            structure.add_scatterer(
                xray.scatterer(
                    f"{label}{i}",
                    site=[random.random() for _ in range(3)],
                    u=random.uniform(0.02, 0.08),
                    scattering_type=label,
                )
            )
        structure.scattering_type_registry(table="it1992")
        return structure

    structures = [make() for _ in range(N)]

    def work() -> None:
        for structure in structures:
            f_calc = structure.structure_factors(d_min=D_MIN, algorithm=algorithm).f_calc()
            flex.abs(f_calc.data())

    return work


SIDES: dict[str, Callable[[], Callable[[], None]]] = {
    "cctbx direct": lambda: cctbx_sum("direct"),
    "cctbx fft": lambda: cctbx_sum("fft"),
    "cctbx loop": random_structure_loop,
    "xrdml tensors": xrdml_tensors,
    "xrdml": xrdml_sum,
}


def child(side: str) -> None:
    work = SIDES[side]()
    work()  # tables are read and caches filled once, not per crystal
    start = time.process_time()
    work()
    print(N / (time.process_time() - start))


def measure(side: str) -> float:
    """Crystals per second of processor time, in a process of its own."""
    command = [sys.executable, __file__, side]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    rounds: dict[str, list[float]] = {side: [] for side in SIDES}
    for _ in range(ROUNDS):
        for side in SIDES:
            rounds[side].append(measure(side))
    ours = statistics.median(rounds["xrdml"])
    for side, values in rounds.items():
        speed = statistics.median(values)
        print(
            f"structure factors  {side:13} {speed:6.0f} crystals/s/core ({min(values):.0f}–{max(values):.0f})"
            f"  xrdml is {ours / speed:.2f} times as fast"
        )


if __name__ == "__main__":
    child(sys.argv[1]) if len(sys.argv) == 2 else main()
