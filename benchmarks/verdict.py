"""What is known of right and of wrong solutions: the evidence that the verdict "solved" rests on.

Every candidate that the search would build atoms of is built, right or wrong, on simulated molecular
crystals that were used for nothing else (make them with `xrdml simulate --recipe molecular` from a
library and seed of their own). Each crystal is cut at each limit, with noise on |F|. Lines go to
results/verdict.jsonl; what is there is not done again. The table counts, for the verdict as it
stands, right and wrong ones by resolution and size.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from phasing import Case, judged, non_h, read_rows

from xrdml.crystal.problem import FillProblem, make_problem
from xrdml.crystal.reflections import Reflections
from xrdml.crystal.store import StructureStore
from xrdml.crystal.structure import Structure
from xrdml.phasing.build import Builder, Built
from xrdml.phasing.iterate import Schedule
from xrdml.phasing.prior import DEFAULT_PRIOR, load_prior
from xrdml.phasing.search import Candidate, search
from xrdml.phasing.solve import WORTH_BUILDING, free_share
from xrdml.phasing.sphere import measured_sphere
from xrdml.phasing.verdict import Evidence, is_solved
from xrdml.physics.structure_factors import collate, structure_factors

ROOT = Path(__file__).resolve().parents[1]
LIMITS = (1.0, 1.2, 1.5, 1.8, 2.0)
NOISE = 0.03
"""σ(F)/F of strong reflections; weak ones have at least this share of the rms |F|."""
LOOKS, ENOUGH = 3, 2
"""Builds of one start at most, and right ones after which a crystal is left."""
SIZES = (10, 20, 30)


def noisy(structure: Structure, limit: float, seed: int) -> FillProblem:
    """The crystal as measured to `limit`."""
    hkl = structure.symmetry.unique_reflections(structure.cell, limit)
    with torch.no_grad():
        f = structure_factors(collate([structure]), torch.from_numpy(hkl))[0].abs().double().numpy()
    rng = np.random.default_rng(seed)
    sigma = NOISE * np.maximum(f, math.sqrt(float((f**2).mean())) / 3)
    f = np.abs(f + rng.normal(0, 1, len(f)) * sigma)
    reflections = Reflections(hkl, f**2, 2 * f * sigma + sigma**2)
    return make_problem(
        reflections,
        structure.cell,
        structure.symmetry,
        d_min=min(0.8, limit - 0.05),
        cut=limit,
        contents=structure.cell_contents(),
    )


def attempt(case: Case, network: torch.nn.Module, starts: int, seed: int) -> list[dict[str, Any]]:
    """Evidence and truth of every candidate that was built."""
    p = case.problem
    given = (p.measured.hkl, p.f_obs, p.cell, p.symmetry, p.d_limit)
    sphere = measured_sphere(*given, free_fraction=free_share(len(p.measured)), seed=seed)
    builder = Builder(p, network, sphere)
    rows: list[dict[str, Any]] = []
    looks: dict[int, int] = {}

    def look(candidate: Candidate) -> bool:
        seen = looks.get(candidate.start, 0)
        # Wrong maps are wanted as well: one late in each start, whatever its score.
        late = seen == 0 and candidate.iteration > Schedule.iterations * 0.9
        if (candidate.score > WORTH_BUILDING and seen < LOOKS) or late:
            looks[candidate.start] = seen + 1
            rows.append(row(case, candidate, builder.build(candidate)))
        return sum(r["solved"] for r in rows) >= ENOUGH

    search(network, sphere, starts, Schedule(), seed, 0, look)
    return rows


def row(case: Case, candidate: Candidate, built: Built) -> dict[str, Any]:
    at = {tuple(h): i for i, h in enumerate(built.map_hkl.tolist())}
    pairs = [(i, at[tuple(h)]) for i, h in enumerate(case.problem.measured.hkl.tolist()) if tuple(h) in at]
    ours, theirs = (np.array(column) for column in zip(*pairs, strict=True))
    f = case.problem.f_obs[ours] * np.exp(1j * np.angle(built.map_f[theirs]))
    frac = np.empty((0, 3)) if built.structure is None else built.structure.frac
    return {
        **judged(case, case.problem.measured.hkl[ours], f, frac),
        "evidence": asdict(built.evidence),
        "r_known": candidate.r_known,
        "r_free": built.r_free,
        "iteration": candidate.iteration,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: right ones called solved / right ones, wrong ones called solved / wrong ones."""
    lines = ["| d_min / Å | non-H atoms | right: called solved | wrong: called solved |", "|---|---|---|---|"]
    bounds = zip((0, *SIZES), (*SIZES, 10_000), strict=True)
    for low, high in bounds:
        for limit in sorted({r["limit"] for r in rows}):
            mine = [r for r in rows if r["limit"] == limit and low < r["atoms"] <= high]
            if not mine:
                continue
            counts = []
            for truth in (True, False):
                such = [r for r in mine if r["solved"] == truth]
                counts.append(f"{sum(is_solved(Evidence(**r['evidence'])) for r in such)}/{len(such)}")
            lines.append(f"| {limit:g} | {low + 1}–{high} | {counts[0]} | {counts[1]} |")
    return "\n".join(lines)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("crystals", type=Path, help="data set of crystals that nothing else has seen")
    p.add_argument("--limits", type=float, nargs="+", default=LIMITS, metavar="Å")
    p.add_argument("--max-points", type=int, default=40_000, help="of the grid of a cell (%(default)s)")
    p.add_argument("--starts", type=int, default=4)
    p.add_argument("--every", type=int, default=1, help="each crystal at one limit in so many (%(default)s)")
    p.add_argument("--weights", default=DEFAULT_PRIOR)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--out", type=Path, default=ROOT / "results" / "verdict.jsonl")
    p.add_argument("--table", action="store_true", help="only print the table of what is done")
    options = p.parse_args()
    torch.set_num_threads(options.threads)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    done = {(r["name"], r["limit"]) for r in read_rows(options.out)}
    if not options.table:
        network, _ = load_prior(options.weights)
        store = StructureStore(options.crystals)
        for i in range(len(store)):
            structure = store[i]
            for j, limit in enumerate(options.limits):
                if (i + j) % options.every or (str(i), limit) in done:
                    continue
                case = Case("simulated", str(i), limit, structure, noisy(structure, limit, i))
                shape = measured_sphere(
                    case.problem.measured.hkl,
                    case.problem.f_obs,
                    structure.cell,
                    structure.symmetry,
                    limit,
                ).shape
                if math.prod(shape) > options.max_points:
                    continue
                rows = attempt(case, network, options.starts, i)
                about = {"name": str(i), "limit": limit, "atoms": non_h(structure)}
                about["group"] = structure.symmetry.number
                with options.out.open("a", encoding="utf-8") as file:
                    for r in rows:
                        file.write("\n" + json.dumps(about | r))
                right = sum(r["solved"] for r in rows)
                print(f"{i} {limit:g} Å {about['atoms']} atoms: {right} of {len(rows)} right", flush=True)
    print(table(read_rows(options.out)))


if __name__ == "__main__":
    main()
