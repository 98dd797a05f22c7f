"""What triplet sums alone know of missing amplitudes, and what the curve of resolution costs.

`python benchmarks/triplets.py SET.h5 [FOLDER …] [--model WEIGHTS] [--subset test] [--limit 60]`. |F| is the
ridge curve times a median |E| that rises with the sum, or what a network says; Laue class 2/m only. `skill,
curve given` is the skill after each of the 8 shells was scaled to the true median: what is known beyond the
curve.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from xrdml.crystal.cell import inverse_d_squared
from xrdml.crystal.grid import HklGrid
from xrdml.crystal.statistics import shell_edges, shell_index
from xrdml.crystal.wilson import MEDIAN_E
from xrdml.data import keys
from xrdml.data.channels import assemble_channels
from xrdml.data.structures import read_structures
from xrdml.data.tensors import Limits, simulated_tensors
from xrdml.errors import UserError
from xrdml.evaluate.known import known_crystals
from xrdml.evaluate.metrics import N_SHELLS, score, summarise
from xrdml.infer.choose import load_predictor
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
    parser.add_argument("--model", help="name or folder of a network, instead of the sums")
    parser.add_argument("--d-min-low", type=float, default=1.5)
    args = parser.parse_args()
    for path in args.data:
        structures = [
            (name, s)
            for name, s in read_structures(path, args.subset)
            if s.symmetry.laue_group.xhm() == LAUE_GROUP
        ][: args.limit]
        crystals = dict(structures)
        network = load_predictor(args.model) if args.model else None
        scores = []
        for c in known_crystals(structures, args.d_min_low):
            try:
                f = network.predict([c.problem])[0].f if network else predict(crystals[c.name], c.problem)
            except UserError:
                continue  # too large for the grid of the network
            scaled = with_true_curve(c.problem, c.f_true, f)
            given = score(c.problem, c.f_true, scaled)["skill"]
            scores.append(score(c.problem, c.f_true, f) | {"skill, curve given": given})
        summary = summarise(scores)
        print(f"{path}, n {len(scores)}")
        for key in ("cc_e", "cc_e_acentric", "cc_e_centric", "r_all", "r_ext", "skill", "skill, curve given"):
            m = summary[key]
            print(f"  {key:<20}{m['mean']:.3f} ({m['low']:.3f} to {m['high']:.3f})")


def with_true_curve(problem, f_true: np.ndarray, f: np.ndarray) -> np.ndarray:
    """A prediction scaled so that every shell has the true median, (p,)."""
    inverse_d2 = inverse_d_squared(problem.cell, problem.missing)
    edges = shell_edges(float(inverse_d2.max() ** -0.5), N_SHELLS, d_max=float(inverse_d2.min() ** -0.5))
    shell, out = shell_index(inverse_d2, edges), f.copy()
    for i in np.unique(shell):
        inside = shell == i
        out[inside] *= np.median(f_true[inside]) / max(np.median(f[inside]), 1e-12)
    return out


def predict(structure, problem) -> np.ndarray:
    """|F| of the missing reflections by the sums, (p,)."""
    grid = HklGrid.for_crystal(problem.cell, problem.symmetry, problem.d_min)
    batch = simulated_tensors(collate([structure]), grid, Limits(problem.d_limit, problem.d_min))
    unit = ridge_amplitude(*(batch[k] for k in (keys.F_INPUT, keys.MEASURED, keys.EPSILON, keys.S)))
    sums = assemble_channels(batch, ["triplets"], unit)[0, 0].numpy()
    z = grid.gather(sums, problem.missing).astype(float)
    z = (z - z.mean()) / z.std()
    median = np.where(problem.symmetry.is_centric(problem.missing), MEDIAN_E[True], MEDIAN_E[False])
    e = np.maximum(median + SLOPE * z, 0)
    return e * grid.gather(unit[0].numpy(), problem.missing) * float(batch[keys.F_SCALE][0])


if __name__ == "__main__":
    main()
