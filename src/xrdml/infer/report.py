"""The report of one filled crystal: what `report.json` and the five printed lines say."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xrdml.crystal.cell import d_spacing, volume
from xrdml.crystal.load import Measurement
from xrdml.crystal.problem import FillProblem
from xrdml.crystal.reflections import Merged
from xrdml.evaluate.metrics import DESCRIPTIONS
from xrdml.postprocess.restore import Filled, Origin

REPORT_FORMAT = 1


@dataclass
class Report:
    """Everything that is known about one run of `xrdml infer`, ready for JSON."""

    content: dict[str, Any]
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """The text of report.json; numbers that do not exist become null, as JSON has no NaN."""
        return (
            json.dumps(_finite({**self.content, "warnings": self.warnings}), indent=2, ensure_ascii=False)
            + "\n"
        )

    def _how(self) -> str:
        m = self.content["model"]
        if "solved" not in m:
            return m["name"]
        if not m["solved"]:
            return f"{m['amplitudes']} (not solved in {m['starts']} starts)"
        return f"{m['amplitudes']} (R1 {m['r1']:.3f}, {m['starts']} starts, {m['seconds']:.0f} s)"

    def summary(self) -> list[str]:
        """Five lines for the terminal."""
        c = self.content
        cell = " ".join(f"{x:g}" for x in c["cell"])
        counts, limits = c["counts"], c["resolution"]
        lines = [
            f"crystal    {c['space_group']}, cell {cell}, V = {c['volume']:.1f} Å³",
            f"measured   {counts['measured']} unique reflections to {limits['d_measured']:.2f} Å"
            + (f", R_int {c['merging']['r_int']:.3f}" if c["merging"]["r_int"] is not None else "")
            + (f" (cut at {limits['cut']:g} Å)" if limits["cut"] else ""),
            f"filled     {counts['predicted']} predicted to {limits['d_min']:g} Å by {self._how()}, "
            f"{counts['absent']} absent",
        ]
        if c["comparison"] and c["comparison"].get("r_ext") is not None:
            m = c["comparison"]
            lines.append(
                f"compared   R_ext {m['r_ext']:.3f} (true shell medians {m['r_ext_radial']:.3f}), "
                f"CC|E| {m['cc_e']:.3f} on {m['n_missing']} reflections that were cut off"
            )
        else:
            lines.append("compared   nothing: no measured reflection was left out (--cut leaves some out)")
        lines.append(f"written    {', '.join(c['files'].values())} in {c['directory']}")
        return lines


def build_report(
    measurement: Measurement,
    merged: Merged,
    problem: FillProblem,
    filled: Filled,
    *,
    cut: float | None,
    comparison: dict[str, Any] | None,
    model: dict[str, Any],
) -> Report:
    """Collect the facts; `files`, `directory` and `intensity_scale` are added when files are written."""
    symmetry = problem.symmetry
    inside = d_spacing(problem.cell, problem.measured.hkl) >= problem.d_limit - 1e-9
    possible = len(symmetry.unique_reflections(problem.cell, problem.d_limit))
    content: dict[str, Any] = {
        "format": REPORT_FORMAT,
        "input": str(measurement.path),
        "title": measurement.title,
        "cell": list(problem.cell),
        "volume": round(volume(problem.cell), 3),
        "space_group": symmetry.name,
        "contents": problem.contents,
        "resolution": {"cut": cut, "d_measured": problem.d_limit, "d_min": problem.d_min},
        "counts": {
            "observations": len(measurement.reflections.hkl),
            "measured": filled.count(Origin.MEASURED),
            "predicted": filled.count(Origin.PREDICTED),
            "absent": filled.count(Origin.ABSENT),
            "written": len(filled.origin),
        },
        "merging": {
            "r_int": merged.r_int,
            "r_sigma": merged.r_sigma,
            "completeness": float(inside.sum() / possible),
        },
        "model": model,
        "comparison": comparison,
        "metrics": DESCRIPTIONS if comparison else None,
    }
    return Report(content, list(_warnings(merged, problem, float(inside.sum() / possible))))


def _warnings(merged: Merged, problem: FillProblem, completeness: float):
    """What a crystallographer should look at before believing the result."""
    r = merged.reflections
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
