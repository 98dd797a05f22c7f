"""The report of one filled crystal: what `report.json` and the five printed lines say."""

from __future__ import annotations

from typing import Any

from xrdml.evaluate.metrics import DESCRIPTIONS
from xrdml.infer.case import Case
from xrdml.infer.crystal_report import CrystalReport, crystal_content, crystal_warnings
from xrdml.postprocess.restore import Filled, Origin


class Report(CrystalReport):
    """One run of `xrdml infer`."""

    def summary(self) -> list[str]:
        """Five lines for the terminal."""
        c = self.content
        return [
            *self.crystal_lines(),
            f"filled     {self._filled()}",
            f"compared   {self._compared()}",
            f"written    {', '.join(c['files'].values())} in {c['directory']}",
        ]

    def _filled(self) -> str:
        predicted, absent = self.content["counts"]["predicted"], self.content["counts"]["absent"]
        limit = f"{self.content['resolution']['d_min']:g} Å"
        if predicted == 0:
            return f"nothing to {limit}: no reflection is missing, {absent} absent{self._search()}"
        m = self.content["model"]
        by = m.get("amplitudes", m["name"])
        return f"{predicted} predicted to {limit} by {by}{self._search()}, {absent} absent"

    def _search(self) -> str:
        m = self.content["model"]
        if "solved" not in m:
            return ""
        effort = f"{m['starts']} starts, {m['seconds']:.0f} s"
        if m["solved"]:
            return f" (solved: {m['atoms']} atoms, R1 {m['r1']:.3f}, {effort})"
        return f" (NOT SOLVED by {m['name']}, {effort}; {m['fallback']['reason']})"

    def _compared(self) -> str:
        m = self.content["comparison"]
        if not m or m.get("r_ext") is None:
            return "nothing: no measured reflection was left out (--cut leaves some out)"
        return (
            f"R_ext {m['r_ext']:.3f} (true shell medians {m['r_ext_radial']:.3f}), "
            f"CC|E| {m['cc_e']:.3f} on {m['n_missing']} reflections that were cut off"
        )


def build_report(
    case: Case, filled: Filled, *, comparison: dict[str, Any] | None, model: dict[str, Any]
) -> Report:
    """Collect the facts; `files` and `intensity_scale` are added when files are written."""
    merged, problem = case.merged, case.problem
    content = crystal_content(case.measurement, merged, problem, case.request.cut)
    content["resolution"]["d_min"] = problem.d_min
    content["counts"] |= {
        "predicted": filled.count(Origin.PREDICTED),
        "absent": filled.count(Origin.ABSENT),
        "written": len(filled.origin),
    }
    content |= {"model": model, "comparison": comparison, "metrics": DESCRIPTIONS if comparison else None}
    report = Report(content, list(crystal_warnings(merged, problem)))
    for name, why in model.get("fallback", {}).get("refused", {}).items():
        report.warnings.append(f"{name} cannot fill this crystal ({why}); {model['amplitudes']} did")
    return report
