"""The report of one filled crystal: what `report.json` and the five printed lines say."""

from __future__ import annotations

from typing import Any

from xrdml.crystal.load import Measurement
from xrdml.crystal.problem import FillProblem
from xrdml.crystal.reflections import Merged
from xrdml.evaluate.metrics import DESCRIPTIONS
from xrdml.infer.crystal_report import CrystalReport, crystal_content, crystal_warnings
from xrdml.postprocess.restore import Filled, Origin


class Report(CrystalReport):
    """One run of `xrdml infer`."""

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
        counts, limits = c["counts"], c["resolution"]
        lines = [
            *self.crystal_lines(),
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
    content = crystal_content(measurement, merged, problem, cut)
    content["resolution"]["d_min"] = problem.d_min
    content["counts"] |= {
        "predicted": filled.count(Origin.PREDICTED),
        "absent": filled.count(Origin.ABSENT),
        "written": len(filled.origin),
    }
    content |= {"model": model, "comparison": comparison, "metrics": DESCRIPTIONS if comparison else None}
    return Report(content, list(crystal_warnings(merged, problem)))
