"""Reflections by resolution: how many were measured, how good they are, how many were predicted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xrdml.crystal.cell import inverse_d_squared, parse_cell
from xrdml.crystal.hklf import read_hklf4
from xrdml.crystal.statistics import shell_index
from xrdml.errors import UserError
from xrdml.html_report.charts import stacked_bars
from xrdml.html_report.markup import NOTHING, Markup, number, table

Shells = Sequence[dict[str, Any]]


def shell_chart(shells: Shells, missing: str) -> Markup:
    """Bars of measured and missing reflections."""
    parts = [("measured", _counts(shells, "measured")), (missing, _counts(shells, "missing"))]
    names = [number(s.get("d_min"), ".2f") for s in shells]
    return stacked_bars(
        "Unique reflections by resolution", "d / Å at the outer end of the shell", names, parts
    )


def shell_table(shells: Shells, missing: str, errors: Sequence[float | None]) -> Markup:
    """The numbers of the chart, mean I/σ, and what a prediction says of its own error."""
    rows = []
    for shell, error in zip(shells, errors, strict=True):
        measured, other = _count(shell, "measured"), _count(shell, "missing")
        share = measured / (measured + other) if measured + other else None
        d_max = shell.get("d_max")
        first = f"{'∞' if d_max is None else number(d_max, '.2f')} – {number(shell.get('d_min'), '.2f')}"
        cells = [measured, number(share, ".0%"), number(shell.get("i_over_sigma"), ".1f"), other]
        rows.append((first, *cells, number(error, ".0%")))
    head = ["d / Å", "Measured", "Complete", "⟨I/σ⟩", missing.capitalize(), "σ(F), predicted"]
    if all(row[-1] == NOTHING for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    return table(head, rows, "Shells of equal volume in reciprocal space")


def predicted_errors(
    path: Path | None, cell: object, d_measured: object, shells: Shells
) -> list[float | None]:
    """rms σ(F) / rms |F| of the predicted reflections of each shell, from a written .hkl.

    Only what lies beyond the measured data is known to be predicted. σ(F) follows from I = F² and
    σ(I)² = 4F²σ(F)² + 2σ(F)⁴.
    """
    nothing: list[float | None] = [None] * len(shells)
    limits = [s.get("d_min") for s in shells]
    if path is None or not isinstance(d_measured, float) or not all(isinstance(d, float) for d in limits):
        return nothing
    try:
        r = read_hklf4(path)
        inverse_d2 = inverse_d_squared(parse_cell(cell), r.hkl)  # type: ignore[arg-type]
    except (UserError, TypeError, ValueError):
        return nothing
    edges = np.array([0.0, *(d**-2 for d in limits)])  # type: ignore[operator]
    chosen = (
        (inverse_d2 > d_measured**-2 * (1 + 1e-6))
        & (inverse_d2 <= edges[-1] * (1 + 1e-9))
        & (r.intensity > 0)
    )
    shell = shell_index(inverse_d2[chosen], edges)
    f2, variance = r.intensity[chosen], r.sigma[chosen] ** 2
    s2 = np.sqrt(f2**2 + variance / 2) - f2
    total = np.bincount(shell, f2, minlength=len(shells))
    spread = np.bincount(shell, s2, minlength=len(shells))
    return [float(np.sqrt(s / t)) if t > 0 else None for s, t in zip(spread, total, strict=True)]


def _count(shell: dict[str, Any], key: str) -> int:
    value = shell.get(key)
    return value if isinstance(value, int) and value > 0 else 0


def _counts(shells: Shells, key: str) -> list[int]:
    return [_count(shell, key) for shell in shells]
