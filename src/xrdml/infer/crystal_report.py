"""What every report of a crystal says: its cell, its data, and what is suspicious about them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xrdml.crystal.cell import d_spacing, inverse_d_squared, volume
from xrdml.crystal.load import Measurement
from xrdml.crystal.problem import FillProblem
from xrdml.crystal.reflections import Merged
from xrdml.crystal.statistics import shell_edges, shell_index

REPORT_FORMAT = 1
N_SHELLS = 12


@dataclass
class CrystalReport:
    """Everything that is known about one run, ready for JSON."""

    content: dict[str, Any]
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """The text of report.json; numbers that do not exist become null, as JSON has no NaN."""
        return (
            json.dumps(_finite({**self.content, "warnings": self.warnings}), indent=2, ensure_ascii=False)
            + "\n"
        )

    def crystal_lines(self) -> list[str]:
        """Two lines for the terminal: the crystal, and what was measured."""
        c = self.content
        cell = " ".join(f"{x:g}" for x in c["cell"])
        counts, limits, r_int = c["counts"], c["resolution"], c["merging"]["r_int"]
        return [
            f"crystal    {c['space_group']}, cell {cell}, V = {c['volume']:.1f} Å³",
            f"measured   {counts['measured']} unique reflections to {limits['d_measured']:.2f} Å"
            + (f", R_int {r_int:.3f}" if r_int is not None else "")
            + (f" (cut at {limits['cut']:g} Å)" if limits["cut"] else ""),
        ]


def crystal_content(
    measurement: Measurement, merged: Merged, problem: FillProblem, cut: float | None
) -> dict[str, Any]:
    """The facts that do not depend on what is done with the crystal."""
    return {
        "format": REPORT_FORMAT,
        "input": str(measurement.path),
        "title": measurement.title,
        "cell": list(problem.cell),
        "volume": round(volume(problem.cell), 3),
        "space_group": problem.symmetry.name,
        "contents": problem.contents,
        "resolution": {"cut": cut, "d_measured": problem.d_limit},
        "counts": {
            "observations": len(measurement.reflections.hkl),
            "measured": len(problem.measured.hkl),
        },
        "merging": {
            "r_int": merged.r_int,
            "r_sigma": merged.r_sigma,
            "completeness": _completeness(problem),
        },
        "shells": data_shells(problem),
    }


def data_shells(problem: FillProblem) -> list[dict[str, Any]]:
    """Measured and missing unique reflections in shells of equal reciprocal volume down to d_min.

    Each is {d_max (Å, None for the first), d_min, measured, missing, i_over_sigma (mean I/σ of the
    measured ones, None without any)}. What was measured beyond d_min is not counted.
    """
    edges = shell_edges(problem.d_min, N_SHELLS)
    m = problem.measured
    inverse_d2 = inverse_d_squared(problem.cell, m.hkl)
    inside = inverse_d2 <= edges[-1] * (1 + 1e-9)
    shell = shell_index(inverse_d2[inside], edges)
    ratio = m.intensity[inside] / np.maximum(m.sigma[inside], 1e-9)
    measured = np.bincount(shell, minlength=N_SHELLS)
    total = np.bincount(shell, ratio, minlength=N_SHELLS)
    missing = np.bincount(
        shell_index(inverse_d_squared(problem.cell, problem.missing), edges), minlength=N_SHELLS
    )
    return [
        {
            "d_max": float(edges[i] ** -0.5) if i else None,
            "d_min": float(edges[i + 1] ** -0.5),
            "measured": int(measured[i]),
            "missing": int(missing[i]),
            "i_over_sigma": float(total[i] / measured[i]) if measured[i] else None,
        }
        for i in range(N_SHELLS)
    ]


def _completeness(problem: FillProblem) -> float:
    inside = d_spacing(problem.cell, problem.measured.hkl) >= problem.d_limit - 1e-9
    return float(inside.sum() / len(problem.symmetry.unique_reflections(problem.cell, problem.d_limit)))


def crystal_warnings(merged: Merged, problem: FillProblem) -> Iterator[str]:
    """What a crystallographer should look at before believing the result."""
    r = merged.reflections
    completeness = _completeness(problem)
    absent = problem.symmetry.is_absent(r.hkl)
    # Multiple diffraction makes a few absences significant; a wrong space group makes them strong.
    strong = absent & (r.intensity > 3 * r.sigma) & (r.intensity > 0.05 * r.intensity[~absent].mean())
    if strong.sum() > max(1, 0.1 * absent.sum()):
        yield (
            f"{int(strong.sum())} of {int(absent.sum())} measured absences of {problem.symmetry.name} "
            "are strong and were set to zero; the space group may be wrong"
        )
    if completeness < 0.8:
        yield f"only {completeness:.0%} of the reflections to {problem.d_limit:.2f} Å were measured"
    if merged.r_int is not None and merged.r_int > 0.2:
        yield f"R_int is {merged.r_int:.3f}; equivalents disagree, the Laue class or the cell may be wrong"
    if problem.contents is None:
        yield "no formula was given; an average organic composition was assumed"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
