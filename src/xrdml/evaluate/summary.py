"""Statistics over many samples: numbers only, small enough to commit and to compare with."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.files import read_text
from xrdml.crystal.symmetry import symmetry
from xrdml.errors import UserError
from xrdml.evaluate.features import FEATURES
from xrdml.evaluate.samples import RADIAL_EDGES, Collection, Sample, spread_over

Array = NDArray[np.float64]

FORMAT = "xrdml inspect"
FORMAT_VERSION = 1

MEANINGS = {
    **FEATURES,
    "density": "mass / volume of the cell, g/cm³",
    "e2_minus_1_acentric": "⟨|E² − 1|⟩ of acentric reflections, 0.736 in theory",
    "e2_minus_1_centric": "⟨|E² − 1|⟩ of centric reflections, 0.968 in theory",
    "non_h_atoms": "non-H atoms of a molecule",
}
"""Every quantity of which there is one a sample."""

EDGES: dict[str, Array] = {
    "volume_per_non_h": np.linspace(8, 40, 33),
    "axis_ratio_mid": np.linspace(1, 4, 31),
    "axis_ratio_long": np.linspace(1, 7, 31),
    "beta": np.linspace(90, 130, 41),
    "nearest": np.linspace(1, 2.4, 36),
    "bond": np.linspace(1, 2.4, 71),
    "one_three": np.linspace(1.6, 3.6, 51),
    "contact": np.linspace(1.5, 4.5, 61),
    "u": np.geomspace(0.004, 0.4, 41),
    "e_acentric": np.linspace(0, 4, 41),
    "e_centric": np.linspace(0, 4, 41),
}
"""Bins of the histograms; what lies beyond counts in the first or last."""

FEWEST_SAMPLES = 20
"""Samples whose single numbers make a histogram worth comparing."""

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def summarise(
    name: str, collection: Collection, limit: int, done: Callable[[int], None] = lambda _: None
) -> dict[str, Any]:
    """Statistics of at most `limit` samples, taken evenly, as JSON.

    ``quantities`` holds mean, standard deviation and quantiles over samples; ``histograms`` shares,
    every sample with the same weight; ``radial`` √(⟨|F|²/ε⟩ / Σf(0)²) by shells of 1/d².

    Raises
    ------
    UserError
        No sample can be read.
    """
    samples: list[Sample] = []
    complaints: list[str] = []
    for i in spread_over(collection.total, limit):
        try:
            samples.append(collection.sample(i))
        except UserError as error:
            complaints.append(str(error))
        done(1)
    if not samples:
        raise UserError(complaints[0]) if complaints else UserError("holds no crystals", path=name)
    groups = Counter(s.space_group for s in samples if s.space_group is not None)
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "source": name,
        "kind": collection.kind,
        "total": collection.total,
        "n": len(samples),
        "unreadable": complaints,
        "space_groups": {symmetry(str(g)).short_name: n / len(samples) for g, n in groups.most_common()},
        "quantities": {
            key: {"meaning": meaning, **_statistics(np.array([s.values.get(key, np.nan) for s in samples]))}
            for key, meaning in MEANINGS.items()
        },
        "histograms": {key: _histogram(key, edges, samples) for key, edges in EDGES.items()},
        "radial": _radial(samples),
    }


def _statistics(values: Array) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return {"n": 0, "mean": None, "std": None, "quantiles": None}
    return {
        "n": len(known),
        "mean": _short(known.mean()),
        "std": _short(known.std()),
        "quantiles": {str(q): _short(np.quantile(known, q)) for q in _QUANTILES},
    }


def _histogram(key: str, edges: Array, samples: list[Sample]) -> dict[str, Any]:
    total, n = np.zeros(len(edges) - 1), 0
    for sample in samples:
        values = sample.distances.get(key, np.array([sample.values.get(key, np.nan)]))
        values = values[np.isfinite(values)]
        if len(values):
            counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
            total, n = total + counts / len(values), n + 1
    share = [_short(x) for x in total / n] if n else None
    return {"n": n, "edges": [_short(x) for x in edges], "share": share}


def _radial(samples: list[Sample]) -> dict[str, Any] | None:
    curves = np.array([s.radial for s in samples if s.radial is not None])
    if len(curves) == 0:
        return None
    out: dict[str, Any] = {"edges": [_short(x) for x in RADIAL_EDGES]}
    for q in (0.05, 0.5, 0.95):
        columns = [column[np.isfinite(column)] for column in curves.T]
        out[str(q)] = [_short(np.quantile(c, q)) if len(c) else None for c in columns]
    return out


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def overlap(one: dict[str, Any], other: dict[str, Any], key: str) -> float | None:
    """Σ min(p, q) of two histograms: 1 for equal ones, 0 for ones without a common bin.

    None where there is no histogram, or one of fewer than `FEWEST_SAMPLES` numbers.
    """
    for summary in (one, other):
        n = summary["histograms"][key]["n"]
        if n < (FEWEST_SAMPLES if key in MEANINGS else 1):
            return None
    p, q = (summary["histograms"][key]["share"] for summary in (one, other))
    return float(np.minimum(p, q).sum())


def read_summary(path: Path) -> dict[str, Any]:
    """What `xrdml inspect --json` wrote.

    Raises
    ------
    UserError
        Another kind of file, or of a newer format.
    """
    try:
        content = json.loads(read_text(path))
        right = content["format"] == FORMAT and content["format_version"] <= FORMAT_VERSION
    except (ValueError, LookupError, TypeError):
        right = False
    if not right or any(key not in content for key in ("quantities", "histograms", "radial", "kind")):
        raise UserError("is no summary; give a file that `xrdml inspect --json` wrote", path=path)
    return content


def published_crystals() -> dict[str, Any]:
    """Statistics of 271 published organic crystals; no structure is in them."""
    text = files("xrdml.evaluate").joinpath("published_crystals.json").read_text(encoding="utf-8")
    return {**json.loads(text), "source": "published organic crystals (COD)"}


def table(own: dict[str, Any], reference: dict[str, Any] | None) -> list[str]:
    """Lines that show medians and 5–95 % ranges side by side, and the overlap of histograms."""
    head = ["", f"{own['n']} {own['kind']}"]
    head += [f"{reference['n']} {reference['kind']}: {reference['source']}"] if reference else []
    rows = [head]
    for key, meaning in MEANINGS.items():
        if not own["quantities"].get(key, {"n": 0})["n"]:
            continue
        row = [meaning, _cell(own["quantities"][key])]
        if reference:
            row.append(_cell(reference["quantities"].get(key, {"n": 0})))
        rows.append(row)
    widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    lines.insert(0, _groups(own, "space groups"))
    if reference:
        lines.insert(1, _groups(reference, "beside") if own["space_groups"] else "")
        shared = {key: overlap(own, reference, key) for key in EDGES}
        texts = [f"{key} {value:.2f}" for key, value in shared.items() if value is not None]
        lines.append("overlap of histograms (1: the same): " + ", ".join(texts) if texts else "")
    lines.append("median (5 %, 95 % of samples)")
    return [line for line in lines if line]


def _cell(quantity: dict[str, Any]) -> str:
    if not quantity["n"]:
        return "–"
    low, median, high = (quantity["quantiles"][str(q)] for q in (0.05, 0.5, 0.95))
    return f"{median:.4g} ({low:.4g}, {high:.4g})" if quantity["n"] > 1 else f"{median:.4g}"


def _groups(summary: dict[str, Any], label: str) -> str:
    shares = list(summary["space_groups"].items())[:8]
    more = len(summary["space_groups"]) - len(shares)
    text = ", ".join(f"{name} {share:.0%}" for name, share in shares)
    return f"{label}: {text}{f' and {more} more' if more > 0 else ''}" if shares else ""
