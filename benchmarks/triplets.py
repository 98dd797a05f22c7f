"""What triplet sums alone know of missing amplitudes: a formula of 1957 without one trained parameter.

`python benchmarks/triplets.py SET.h5 [FOLDER …] [--subset test] [--limit 60] [--d-min-low 1.5]`. |F| is the
ridge curve times a median |E| that rises with the sum; Laue class 2/m only. Prints means over crystals.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from xrdml.crystal.grid import HklGrid
from xrdml.crystal.wilson import MEDIAN_E
from xrdml.data import keys
from xrdml.data.channels import assemble_channels
from xrdml.data.structures import read_structures
from xrdml.data.tensors import Limits, simulated_tensors
from xrdml.evaluate.known import known_crystals
from xrdml.evaluate.metrics import score, summarise
from xrdml.physics.patterson import LAUE_GROUP
from xrdml.physics.ridge_curve import ridge_amplitude
from xrdml.physics.structure_factors import collate

SLOPE = 0.13
"""Spread of |E| (0.47) times its correlation with the sums."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--subset", default="all")
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--d-min-low", type=float, default=1.5)
    args = parser.parse_args()
    for path in args.data:
        structures = [
            (name, s)
            for name, s in read_structures(path, args.subset)
            if s.symmetry.laue_group.xhm() == LAUE_GROUP
        ][: args.limit]
        crystals = dict(structures)
        scores = [
            score(c.problem, c.f_true, predict(crystals[c.name], c.problem, args.d_min_low))
            for c in known_crystals(structures, args.d_min_low)
        ]
        summary = summarise(scores)
        print(f"{path}, n {len(scores)}")
        for key in ("cc_e", "cc_e_acentric", "cc_e_centric", "r_all", "r_ext", "skill"):
            m = summary[key]
            print(f"  {key:<14}{m['mean']:.3f} ({m['low']:.3f} to {m['high']:.3f})")


def predict(structure, problem, limit: float) -> np.ndarray:
    """|F| of the missing reflections, (p,)."""
    grid = HklGrid.for_crystal(problem.cell, problem.symmetry, problem.d_min)
    batch = simulated_tensors(collate([structure]), grid, Limits(limit, problem.d_min))
    unit = ridge_amplitude(*(batch[k] for k in (keys.F_INPUT, keys.MEASURED, keys.EPSILON, keys.S)))
    sums = assemble_channels(batch, ["triplets"], unit)[0, 0].numpy()
    z = grid.gather(sums, problem.missing).astype(float)
    z = (z - z.mean()) / z.std()
    median = np.where(problem.symmetry.is_centric(problem.missing), MEDIAN_E[True], MEDIAN_E[False])
    e = np.maximum(median + SLOPE * z, 0)
    return e * grid.gather(unit[0].numpy(), problem.missing) * float(batch[keys.F_SCALE][0])


if __name__ == "__main__":
    main()
