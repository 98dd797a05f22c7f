"""Can a classifier tell simulated crystals from published ones?

Each published crystal is paired with a simulated one of the same space-group type and of nearly the same
number of independent non-H atoms. Two classifiers see the features of :mod:`xrdml.evaluate.features` and
must say which is which: 50 % right is the best a simulator can do. Crystals of a family, and their partners,
are never in training and test at once. The first table is a fivefold cross-validation over all families; the
second uses the train families alone for training, and the test families for the verdict. Bonds, elements
and volumes were calibrated on train families, displacements and cells with all of them in view.

    python benchmarks/realism.py --molecules library.h5 --out results/realism
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from _classifiers import BoostedTrees, LogisticRegression, balanced_accuracy, separation

from xrdml.crystal.files import write_text
from xrdml.crystal.molecular_options import SPACE_GROUPS, MolecularOptions
from xrdml.crystal.store import StructureStore
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import symmetry
from xrdml.data.structures import FOLDS, read_structures
from xrdml.evaluate.features import FEATURES, crystal_features
from xrdml.physics.contacts import ELEMENTS
from xrdml.xrd_simulator.options import RandomAtomsOptions
from xrdml.xrd_simulator.simulate import describe, simulate

REPOSITORY = Path(__file__).parents[1]
SIZES = (4, 36)
"""Fewest and most independent non-H atoms of the crystals compared."""
SIZE_TOLERANCE = 0.25
"""Partners differ by at most this in ln(number of independent non-H atoms)."""
BOOTSTRAPS = 1000


@dataclass(frozen=True)
class Sample:
    """Crystals with their features (n, p), space-group numbers, sizes, and families (−1: simulated)."""

    features: np.ndarray
    number: np.ndarray
    size: np.ndarray
    family: np.ndarray


def size_of(structure: Structure) -> float:
    """Independent non-H atoms, those on special positions and of partial occupancy by their share."""
    return float(structure.weight[structure.numbers > 1].sum())


def is_comparable(structure: Structure) -> bool:
    """Of a space-group type, elements and a size that the recipe `molecular` makes."""
    return (
        structure.symmetry.number in {symmetry(name).number for name in SPACE_GROUPS}
        and set(structure.numbers.tolist()) <= set(ELEMENTS)
        and 6 in structure.numbers
        and SIZES[0] <= size_of(structure) <= SIZES[1]
    )


def sample_of(structures: Iterable[Structure], families: Iterable[int]) -> Sample:
    """Crystals that lack a feature are left out."""
    rows = []
    for structure, family in zip(structures, families, strict=True):
        features = [*crystal_features(structure).values()]
        if np.isfinite(features).all():
            rows.append((features, structure.symmetry.number, size_of(structure), family))
    features, number, size, family = zip(*rows, strict=True)
    return Sample(np.array(features), np.array(number), np.array(size), np.array(family))


def published(folder: Path) -> tuple[Sample, np.ndarray]:
    """Published crystals that can be compared, and which of them belong to the test families."""
    with (folder / "structures.csv").open(encoding="utf-8", newline="") as file:
        families = {row["id"]: int(row["family_id"]) for row in csv.DictReader(file)}
    samples = []
    for subset in ("train", "test"):
        named = [(n, s) for n, s in read_structures(folder / "structures", subset) if is_comparable(s)]
        samples.append(sample_of((s for _, s in named), (families[n] for n, _ in named)))
    is_test = np.repeat([False, True], [len(s.size) for s in samples])
    return Sample(*(np.concatenate([getattr(s, f.name) for s in samples]) for f in fields(Sample))), is_test


def simulated(recipe: str, args: argparse.Namespace) -> Sample:
    """Crystals of a recipe, made (or found, from an earlier run) beside the results."""
    path = args.out / f"{recipe}.h5"
    if recipe == "molecular":
        names = list(SPACE_GROUPS)
        options: Any = replace(
            MolecularOptions.make(names, args.molecules, grid=None), space_groups=dict(SPACE_GROUPS)
        )
        n = args.n
    else:
        # Every space group equally often: more of them, so that each crystal finds a partner.
        options, n = replace(RandomAtomsOptions.make([*SPACE_GROUPS], grid=None), n_atoms=SIZES), 4 * args.n
    simulate(path, n, describe(options, args.seed, None, recipe), workers=args.workers)
    chosen = [s for s in StructureStore(path) if is_comparable(s)]
    return sample_of(chosen, [-1] * len(chosen))


def paired(real: Sample, other: Sample, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows of published crystals and of their partners, each used once, in random order of choice."""
    free = np.ones(len(other.size), bool)
    pairs = []
    for i in rng.permutation(len(real.size)):
        apart = np.abs(np.log(other.size / real.size[i]))
        apart[~free | (other.number != real.number[i]) | (apart > SIZE_TOLERANCE)] = np.inf
        # Any of the five best: the nearest alone would be the same for all sizes of rare groups.
        near = np.argsort(apart)[:5]
        near = near[np.isfinite(apart[near])]
        if len(near):
            j = int(rng.choice(near))
            free[j] = False
            pairs.append((i, j))
    i, j = np.array(pairs).T
    return i, j


def compare(recipe: str, real: Sample, is_test: np.ndarray, other: Sample, seed: int) -> dict[str, Any]:
    """Accuracies with 95 % bootstrap intervals over pairs, and what each feature alone tells."""
    rng = np.random.default_rng(seed)
    i, j = paired(real, other, rng)
    x = np.concatenate([real.features[i], other.features[j]])
    y = np.repeat([1, 0], len(i))
    family, test = np.tile(real.family[i], 2), np.tile(is_test[i], 2)
    _, order = np.unique(family, return_inverse=True)
    fold = rng.permutation(order.max() + 1)[order] % FOLDS
    out: dict[str, Any] = {"recipe": recipe, "pairs": len(i), "test_pairs": int(is_test[i].sum())}
    for make in (LogisticRegression, BoostedTrees):
        score = np.empty(len(y))
        for k in range(FOLDS):
            score[fold == k] = make().fit(x[fold != k], y[fold != k]).score(x[fold == k])
        held_out = make().fit(x[~test], y[~test]).score(x[test])
        out[make.name] = {
            "cross_validated": with_interval(score, y, rng),
            "test_families": with_interval(held_out, y[test], rng),
        }
    out["features"] = {
        name: {
            "published": np.percentile(x[y == 1, k], (16, 50, 84)).tolist(),
            "simulated": np.percentile(x[y == 0, k], (16, 50, 84)).tolist(),
            "separation": separation(x[:, k], y),
        }
        for k, name in enumerate(FEATURES)
    }
    return out


def with_interval(score: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> list[float]:
    """Balanced accuracy and its 95 % interval; rows are pairs in the same order for both classes."""
    pairs = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    again = []
    for _ in range(BOOTSTRAPS):
        chosen = rng.integers(len(pairs[0]), size=len(pairs[0]))
        rows = np.concatenate([side[chosen] for side in pairs])
        again.append(balanced_accuracy(score[rows], y[rows]))
    return [balanced_accuracy(score, y), *np.percentile(again, (2.5, 97.5)).tolist()]


def table(results: list[dict[str, Any]]) -> str:
    lines = [
        "| simulated by | pairs | classifier | cross-validated | test families |",
        "|---|---|---|---|---|",
    ]
    for r in results:
        for make in (LogisticRegression, BoostedTrees):
            shown = (
                "{:.0%} ({:.0%}–{:.0%})".format(*r[make.name][key])
                for key in ("cross_validated", "test_families")
            )
            lines.append(
                f"| {r['recipe']} | {r['pairs']}, {r['test_pairs']} test | {make.name} | "
                + " | ".join(shown)
                + " |"
            )
    for r in results:
        lines += ["", f"{r['recipe']}: 16, 50, 84 % of each feature", ""]
        lines += ["| feature | published | simulated | told apart by it alone |", "|---|---|---|---|"]
        for name, f in sorted(r["features"].items(), key=lambda item: -item[1]["separation"]):
            columns = (" ".join(f"{v:.3g}" for v in f[key]) for key in ("published", "simulated"))
            lines.append(f"| {name} | " + " | ".join(columns) + f" | {f['separation']:.0%} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--molecules", type=Path, required=True, help="made by `xrdml molecules`")
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "results" / "realism")
    parser.add_argument("--n", type=int, default=800, help="molecular crystals to choose partners from")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--recipes", default="molecular,random_atoms")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    args.out.mkdir(parents=True, exist_ok=True)
    real, is_test = published(args.data)
    results = [
        compare(recipe, real, is_test, simulated(recipe, args), args.seed)
        for recipe in args.recipes.split(",")
    ]
    write_text(args.out / "realism.json", json.dumps(results, indent=1) + "\n")
    write_text(args.out / "realism.md", table(results))
    print(table(results))


if __name__ == "__main__":
    main()
