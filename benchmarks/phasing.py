"""Solved or not: the density prior beside charge flipping and low-density elimination, on real crystals.

Crystals: the held-out fifth of ../shared/data/structures with calculated |F|, and the measured intensities
of ../shared/data/measured. Every engine gets the same reflections, the same threads and the same number of
seconds for a crystal, and ends earlier when its own verdict says "solved". A crystal counts as solved when
the map of the measured |F| with the phases found correlates with the true map by 0.75 or more, and at least
80 % of the non-H atoms have an atom of the solution within 0.5 Å.

Results go line by line to results/bench_phasing.jsonl; what is there is not done again (other weights, seeds
and times count as other settings; after a change of the code, take another --out).
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import torch

from xrdml.crystal.cell import d_spacing, volume
from xrdml.crystal.cif import read_structure
from xrdml.crystal.load import load_measurement
from xrdml.crystal.problem import FillProblem, make_problem
from xrdml.crystal.reflections import merge
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import symmetry
from xrdml.data.structures import read_structures
from xrdml.errors import UserError
from xrdml.evaluate.known import known_crystals
from xrdml.evaluate.metrics import score
from xrdml.evaluate.reference import compare_with_reference
from xrdml.infer.phased import calculated
from xrdml.infer.pipeline import true_amplitudes
from xrdml.phasing.classical import ClassicalOptions, solve_classically
from xrdml.phasing.prior import DEFAULT_PRIOR, load_prior
from xrdml.phasing.solve import Solution, SolveOptions, solve

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
LIMITS = (0.8, 1.0, 1.2, 1.5, 1.8, 2.0)
CLASSICAL = {"flip": "charge_flipping", "lde": "low_density_elimination"}
SIZES = (10, 20, 30, 50, 100)
REACHES = 0.03
"""Å by which data may miss the limit they are said to be cut at."""


@dataclass(frozen=True)
class Case:
    """One crystal cut at one limit."""

    kind: str
    name: str
    limit: float
    reference: Structure
    problem: FillProblem
    f_missing: np.ndarray | None = None
    """True or measured |F| of `problem.missing`, NaN where not measured."""

    @property
    def atoms(self) -> int:
        return non_h(self.reference)


def non_h(structure: Structure) -> int:
    """Non-H atoms of the asymmetric unit."""
    return int((structure.numbers > 1).sum())


def from_models(limit: float, wanted: Callable[[Structure], bool]) -> Iterator[Case]:
    named = [(n, s) for n, s in read_structures(DATA / "structures", "test") if wanted(s)]
    by_name = dict(named)
    for known in known_crystals(named, limit, min(limit, 0.8)):
        yield Case("calculated", known.name, limit, by_name[known.name], known.problem, known.f_true)


def measured(limit: float, wanted: Callable[[Structure], bool]) -> Iterator[Case]:
    for folder in sorted((DATA / "measured").iterdir()):
        if not folder.is_dir():
            continue
        reference = read_structure(folder / "structure.cif")
        if not wanted(reference):
            continue
        m = load_measurement(folder / "data.hkl", cif=folder / "structure.cif")
        merged = merge(m.reflections, m.symmetry)
        if d_spacing(m.cell, merged.reflections.hkl).min() > limit + REACHES:
            continue
        try:
            problem = make_problem(
                merged.reflections, m.cell, m.symmetry, d_min=0.8, cut=limit, contents=m.contents
            )
        except UserError as error:
            print(f"left out: {folder.name} at {limit:g} Å: {error}")
            continue
        yield Case("measured", folder.name, limit, reference, problem, true_amplitudes(problem, merged))


def by_prior(case: Case, network: torch.nn.Module, options: argparse.Namespace) -> dict[str, Any]:
    chosen = SolveOptions(starts=options.starts, seed=options.seed, seconds=options.seconds)
    s = solve(case.problem, network, chosen)
    at = {tuple(h): i for i, h in enumerate(s.map_hkl.tolist())}
    rows = [(i, at[tuple(h)]) for i, h in enumerate(case.problem.measured.hkl.tolist()) if tuple(h) in at]
    ours, theirs = (np.array(column) for column in zip(*rows, strict=True))
    f = case.problem.f_obs[ours] * np.exp(1j * np.angle(s.map_f[theirs]))
    frac = s.structure.frac if s.structure else np.empty((0, 3))
    figures = {"r_known": s.r_known, "r_free": s.r_free, "agreement": s.agreement, "r1": s.r1}
    figures |= {"r1_free": s.r1_free, **filled(case, s)}
    return {
        "verdict": bool(s.solved),
        **judged(case, case.problem.measured.hkl[ours], f, frac),
        **figures,
        "starts": s.starts,
        "seconds": s.seconds,
    }


def filled(case: Case, solution: Solution) -> dict[str, float]:
    """R_ext and CC|E| of the missing reflections from the atoms; rms error over rms |F|."""
    if solution.structure is None or case.f_missing is None or not np.isfinite(case.f_missing).any():
        return {}
    f = np.abs(calculated(solution.structure, case.problem.missing, solution.scale))
    scores = score(case.problem, case.f_missing, f)
    known = np.isfinite(case.f_missing)
    error = np.sqrt(np.mean((f - case.f_missing)[known] ** 2) / np.mean(f[known] ** 2))
    return {"r_ext": scores["r_ext"], "cc_e": scores["cc_e"], "relative_error": float(error)}


def by_peer(case: Case, method: str, options: argparse.Namespace) -> dict[str, Any]:
    s = solve_classically(case.problem, ClassicalOptions(method, seed=options.seed, seconds=options.seconds))
    frac = s.structure.frac if s.structure else np.empty((0, 3))
    return {
        "verdict": bool(s.solved),
        **judged(case, case.problem.measured.hkl, s.f, frac),
        "agreement": s.agreement,
        "r1": s.r1,
        "starts": s.starts,
        "seconds": s.seconds,
    }


def judged(case: Case, hkl: np.ndarray, f: np.ndarray, frac: np.ndarray) -> dict[str, Any]:
    a = compare_with_reference(case.reference, hkl, f, frac)
    return {"solved": a.is_solved, "map_cc": a.map_cc, "atoms_matched": a.atoms_matched, "rmsd": a.rmsd}


def table(rows: list[dict[str, Any]], title: str, group: Callable[[dict[str, Any]], Any]) -> str:
    """Markdown: solved / crystals, wrong and missed verdicts and time, a row for each limit and group."""
    keys = sorted({(r["kind"], r["limit"], group(r)) for r in rows})
    engines = [e for e in ("prior", *CLASSICAL) if any(r["engine"] == e for r in rows)]
    head = ["data", "d_min / Å", title, *(f"{e}: solved | false | missed | median s" for e in engines)]
    lines = ["| " + " | ".join(head) + " |"]
    lines.append("|---" * (3 + 4 * len(engines)) + "|")
    for key in keys:
        cells = [key[0], f"{key[1]:g}", str(key[2])]
        for e in engines:
            mine = [r for r in rows if (r["kind"], r["limit"], group(r)) == key and r["engine"] == e]
            good = sum(r["solved"] for r in mine)
            false = sum(r["verdict"] and not r["solved"] for r in mine)
            missed = sum(r["solved"] and not r["verdict"] for r in mine)
            seconds = f"{statistics.median(r['seconds'] for r in mine):.1f}" if mine else "–"
            cells += [f"{good}/{len(mine)}", str(false), str(missed), seconds]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def amplitudes(rows: list[dict[str, Any]]) -> str:
    """Markdown: missing reflections of crystals that the prior rightly calls solved, means over crystals."""
    lines = ["| data | d_min / Å | n | R_ext | CC\\|E\\| | rms error / rms \\|F\\| |", "|---" * 6 + "|"]
    good = [r for r in rows if r["engine"] == "prior" and r["solved"] and r["verdict"] and "r_ext" in r]
    for kind, limit in sorted({(r["kind"], r["limit"]) for r in good}):
        mine = [r for r in good if (r["kind"], r["limit"]) == (kind, limit)]
        means = [statistics.mean(r[k] for r in mine) for k in ("r_ext", "cc_e", "relative_error")]
        lines.append(f"| {kind} | {limit:g} | {len(mine)} | " + " | ".join(f"{m:.3f}" for m in means) + " |")
    return "\n".join(lines)


def space_group(row: dict[str, Any]) -> str:
    """All settings of a group under one name."""
    return gemmi.find_spacegroup_by_number(row["group"]).short_name()


def size(row: dict[str, Any]) -> str:
    limit = next((n for n in SIZES if row["atoms"] <= n), None)
    return f"≤ {limit:3d} atoms" if limit else f"> {SIZES[-1]} atoms"


def tables(rows: list[dict[str, Any]]) -> str:
    parts = [
        amplitudes(rows),
        table(rows, "crystals", lambda r: "all"),
        table(rows, "space group", space_group),
        table(rows, "size", size),
    ]
    return "\n\n".join(parts)


def arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--limits", type=float, nargs="+", default=LIMITS, metavar="Å")
    p.add_argument(
        "--kind", nargs="+", default=["calculated", "measured"], choices=["calculated", "measured"]
    )
    p.add_argument("--groups", nargs="+", help="space groups, in any setting (all)")
    p.add_argument("--max-atoms", type=int, default=100, help="non-H atoms (%(default)s)")
    p.add_argument("--max-volume", type=float, default=5000, help="Å³ of the cell (%(default)s)")
    p.add_argument("--engine", default="prior,flip,lde", help="comma-separated (%(default)s)")
    p.add_argument("--seconds", type=float, default=60, help="for a crystal and engine (%(default)s)")
    p.add_argument("--starts", type=int, default=10_000, help="most starts of the prior (%(default)s)")
    p.add_argument("--weights", default=DEFAULT_PRIOR, help="of the prior (%(default)s)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--out", type=Path, default=ROOT / "results" / "bench_phasing.jsonl")
    p.add_argument("--table", action="store_true", help="only print the table of what is done")
    return p.parse_args()


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    engines = options.engine.split(",")
    if unknown := set(engines) - {"prior", *CLASSICAL}:
        raise SystemExit(f"--engine: no such engine: {', '.join(sorted(unknown))}")
    network, config = load_prior(options.weights) if "prior" in engines else (None, {})
    numbers = {symmetry(g).number for g in options.groups} if options.groups else None

    def wanted(s: Structure) -> bool:
        fits = non_h(s) <= options.max_atoms and volume(s.cell) <= options.max_volume
        return fits and (numbers is None or s.symmetry.number in numbers)

    def settings(engine: str) -> str:
        used = config["sha256"][:8] if engine == "prior" else "-"
        return f"{engine} {used} {options.seconds:g}s {options.threads}t seed {options.seed}"

    options.out.parent.mkdir(parents=True, exist_ok=True)
    rows = read_rows(options.out)
    done = {(r["kind"], r["name"], r["limit"], r["settings"]) for r in rows}
    sources = {"calculated": from_models, "measured": measured}
    for limit in [] if options.table else options.limits:
        for kind in options.kind:
            for case in sources[kind](limit, wanted):
                for engine in engines:
                    key = (kind, case.name, limit, settings(engine))
                    if key in done:
                        continue
                    row = {
                        **dict(zip(("kind", "name", "limit", "settings"), key, strict=True)),
                        "engine": engine,
                        "group": case.problem.symmetry.number,
                        "atoms": case.atoms,
                        "volume": volume(case.problem.cell),
                        **(
                            by_prior(case, network, options)
                            if network is not None and engine == "prior"
                            else by_peer(case, CLASSICAL[engine], options)
                        ),
                    }
                    # The line break comes first: a run that was killed may have left half a line.
                    with options.out.open("a", encoding="utf-8") as file:
                        file.write("\n" + json.dumps(row))
                    said = "solved" if row["verdict"] else "-"
                    print(
                        f"{limit:g} Å {case.name:26} {case.problem.symmetry.short_name:8} "
                        f"{case.atoms:3d} atoms  {engine:5} "
                        f"{'solved' if row['solved'] else '-':6} (says {said:6}) "
                        f"cc {row['map_cc']:.2f} atoms {row['atoms_matched']:.0%} {row['seconds']:.1f} s",
                        flush=True,
                    )
    current = {settings(e) for e in engines}
    chosen = [r for r in read_rows(options.out) if r["settings"] in current]
    print("\n" + tables(chosen) if chosen else "nothing was measured")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """All whole lines."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


if __name__ == "__main__":
    main()
