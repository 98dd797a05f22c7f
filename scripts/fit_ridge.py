"""Fit the ridge baseline: outer shell means from measured shell means, for several data limits.

    python scripts/fit_ridge.py ../shared/data/structures

writes src/xrdml/crystal/ridge.json from the training families of a folder of CIFs (or from a dataset
file) and prints the rms error of ln⟨I⟩ in 5-fold cross-validation. The coefficients are statistics of
shells; no structure can be recovered from them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from xrdml.crystal.cell import inverse_d_squared
from xrdml.crystal.files import write_text
from xrdml.crystal.outer_shells import N_OUTER
from xrdml.crystal.statistics import shell_edges, shell_index, shell_mean
from xrdml.crystal.wilson import sum_f_squared
from xrdml.data.structures import read_structures
from xrdml.evaluate.known import known_crystals
from xrdml.infer.baselines import inner_shells

LIMITS = [1.0, 1.2, 1.5, 1.8, 2.0, 2.2]
PENALTIES = [0.3, 1.0, 3.0, 10.0, 30.0]
FOLDS = 5
TARGET = Path(__file__).resolve().parents[1] / "src/xrdml/crystal/ridge.json"


def table(structures, d_limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Inner (n, 7) and outer (n, 8) values, both less the mean of the inner ones."""
    rows = []
    for crystal in known_crystals(structures, d_limit, 0.8):
        p = crystal.problem
        inner = inner_shells(p)
        inverse_d2 = inverse_d_squared(p.cell, p.missing)
        ratio = crystal.f_true**2 / p.symmetry.epsilon(p.missing) / sum_f_squared(p.contents, inverse_d2)
        shell = shell_index(inverse_d2, shell_edges(0.8, N_OUTER, d_max=d_limit))
        outer = shell_mean(ratio, shell, N_OUTER)
        if np.isfinite(outer).all() and (outer > 0).all():
            rows.append((inner - inner.mean(), np.log(outer) - inner.mean()))
    x, y = zip(*rows, strict=True)
    return np.array(x), np.array(y)


def fit(x: np.ndarray, y: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Intercept (8,) and coefficients (8, 7) of the ridge regression."""
    mean_x, mean_y = x.mean(0), y.mean(0)
    a = x - mean_x
    coefficients = np.linalg.solve(a.T @ a + penalty * np.eye(a.shape[1]), a.T @ (y - mean_y)).T
    return mean_y - coefficients @ mean_x, coefficients


def cross_validated_error(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """Rms error of each outer shell on crystals left out, (8,)."""
    fold = np.arange(len(x)) % FOLDS
    residual = np.zeros_like(y)
    for i in range(FOLDS):
        intercept, coefficients = fit(x[fold != i], y[fold != i], penalty)
        residual[fold == i] = y[fold == i] - intercept - x[fold == i] @ coefficients.T
    return np.sqrt((residual**2).mean(0))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    args = parser.parse_args()
    structures = read_structures(args.data, "train")
    tables = []
    for d_limit in LIMITS:
        x, y = table(structures, d_limit)
        errors = {p: cross_validated_error(x, y, p) for p in PENALTIES}
        penalty = min(errors, key=lambda p: float((errors[p] ** 2).mean()))
        intercept, coefficients = fit(x, y, penalty)
        constant = np.sqrt(((y - y.mean(0)) ** 2).mean())
        print(
            f"{d_limit:.1f} Å: n {len(x)}, penalty {penalty:g}, rms error of ln<I> "
            f"{np.sqrt((errors[penalty] ** 2).mean()):.3f} (mean curve {constant:.3f})"
        )
        tables.append(
            {
                "d_limit": d_limit,
                "n_crystals": len(x),
                "penalty": penalty,
                "intercept": intercept.round(5).tolist(),
                "coefficients": coefficients.round(5).tolist(),
                "rms_error": errors[penalty].round(4).tolist(),
            }
        )
    content = {
        "description": "ln of mean I/(ε Σf²) in 8 shells from d_limit to 0.8 Å from 7 shells inside d_limit, "
        "both less the mean of the 7; made by scripts/fit_ridge.py",
        "tables": tables,
    }
    write_text(TARGET, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
