"""The way from a measured `.hkl` to a filled one."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrdml import __version__
from xrdml.crystal.cell import d_spacing
from xrdml.crystal.grid import HklGrid
from xrdml.crystal.hklf import write_hklf4
from xrdml.crystal.problem import FillProblem, Prediction
from xrdml.crystal.reflections import Merged
from xrdml.crystal.shelx import write_ins
from xrdml.errors import UserError
from xrdml.evaluate.metrics import score
from xrdml.infer.case import (
    DEFAULT_WAVELENGTH,
    Case,
    CrystalRequest,
    Progress,
    claim_output,
    finish,
    load_case,
)
from xrdml.infer.choose import DEFAULT, load_predictor, solves
from xrdml.infer.phased import PhasedPrediction
from xrdml.infer.report import Report, build_report
from xrdml.infer.structure_files import write_atoms, write_phased_data
from xrdml.phasing.verdict import agreement_text
from xrdml.postprocess.restore import Filled, Origin, restore

SUFFIXES = (".hkl", ".ins", ".res", ".cif", ".mtz")


@dataclass(frozen=True)
class InferOptions(CrystalRequest):
    """What the user of `xrdml infer` can choose; see `xrdml infer --help`."""

    d_min: float = 0.8
    model: str = DEFAULT
    fallback: str | None = None
    grid: HklGrid | None = None
    figures: bool = True


def infer(options: InferOptions, progress: Progress | None = None) -> Report:
    """Fill one crystal and write DIR/<stem>.hkl, .ins, report.json and two pictures.

    A crystal that was solved on the way leaves its atoms as .res and .cif, and by option phased F.

    Parameters
    ----------
    progress
        Called while a crystal is being solved, with what is going on and the best R so far.

    Raises
    ------
    UserError
        Input that cannot be used, a model that does not fit it, or a place that cannot be written.
    """
    started = time.perf_counter()
    _check(options)
    case = load_case(options, options.d_min)
    problem = case.problem
    with claim_output(case, SUFFIXES):
        prediction, model = _predict(options, problem, progress)
        filled = restore(problem, prediction)
        f_true = true_amplitudes(problem, case.merged) if options.cut is not None else None
        comparison = None if f_true is None else score(problem, f_true, prediction.f)
        report = build_report(case, filled, comparison=comparison, model=model)
        _write(report, case, options, filled, f_true)
        if isinstance(prediction, PhasedPrediction):
            _write_solution(report, case, options, prediction)
        elif options.phases:
            report.warnings.append("the crystal was not solved, so that no phases were written")
        finish(report, case, SUFFIXES, started)
    return report


def _predict(
    options: InferOptions, problem: FillProblem, progress: Progress | None
) -> tuple[Prediction, dict[str, Any]]:
    """The prediction, and what the report says of its model."""
    if len(problem.missing) == 0 and not options.phases:
        return Prediction(np.zeros(0), np.zeros(0)), {"name": None}
    predictor = load_predictor(
        options.model, options.grid, fallback=options.fallback, search=options.search, progress=progress
    )
    prediction = predictor.predict([problem])[0]
    provenance = getattr(predictor, "provenance", {})
    return prediction, {"name": predictor.name, **prediction.details, **provenance}


def true_amplitudes(problem: FillProblem, merged: Merged) -> NDArray[np.float64]:
    """Measured |F| of `problem.missing`, (p,): what the cut left out; NaN where nothing was measured."""
    r = merged.reflections
    known = {tuple(h): i for h, i in zip(r.hkl.tolist(), r.intensity.tolist(), strict=True)}
    intensity = np.array([known.get(tuple(h), np.nan) for h in problem.missing.tolist()], dtype=np.float64)
    return np.sqrt(np.maximum(intensity, 0))


def _check(options: InferOptions) -> None:
    if not 0.4 <= options.d_min <= 5:
        raise UserError(f"--d-min {options.d_min:g}: give a resolution between 0.4 and 5 Å")
    if options.cut is not None and not options.d_min < options.cut <= 10:
        raise UserError(
            f"--cut {options.cut:g}: must lie above --d-min ({options.d_min:g} Å) and at most at 10 Å"
        )
    if solves(options.model):
        return
    for name, given in (("phases", options.phases), ("fallback", options.fallback is not None)):
        if given:
            raise UserError(f"--{name} needs a model that solves crystals; --model {options.model} does not")


def _write(
    report: Report, case: Case, options: InferOptions, filled: Filled, f_true: NDArray[np.float64] | None
) -> None:
    problem, out = case.problem, case.out
    names = {"hkl": f"{case.stem}.hkl", "ins": f"{case.stem}.ins"}
    r = filled.reflections
    scale = write_hklf4(out / names["hkl"], r.hkl, r.intensity, r.sigma)
    write_ins(
        out / names["ins"],
        title=f"{case.title}, filled to {problem.d_min:g} A by xrdml {__version__}",
        cell=problem.cell,
        symmetry=problem.symmetry,
        wavelength=case.wavelength,
        contents=problem.contents,
    )
    if options.figures:
        from xrdml.evaluate.figures import central_planes, wilson_plot

        names |= {"planes": "planes.png", "wilson": "wilson.png"}
        central_planes(out / names["planes"], problem, filled, f_true)
        wilson_plot(out / names["wilson"], problem, filled, f_true)
    if case.measurement.wavelength is None:
        report.warnings.append(
            f"no file gave a wavelength; {DEFAULT_WAVELENGTH} Å (Mo Kα) was written to the .ins"
        )
    beyond = d_spacing(problem.cell, r.hkl) < problem.d_min
    report.content["counts"]["measured_beyond_d_min"] = int(
        (beyond & (filled.origin == Origin.MEASURED)).sum()
    )
    report.content |= {"files": names, "intensity_scale": scale}


def _write_solution(report: Report, case: Case, options: InferOptions, prediction: PhasedPrediction) -> None:
    problem, details = case.problem, prediction.details
    remarks = [
        f"solved by xrdml {__version__}: R1 {details['r1']:.3f}, {agreement_text(details['agreement'])}",
        f"refine against measured data alone (SHEL 999 {problem.d_limit:.2f}): all other",
        "reflections of the .hkl were calculated from these atoms",
    ]
    report.content["files"] |= write_atoms(
        case,
        prediction.structure,
        remarks,
        prediction.scale,
        f_scale=math.sqrt(report.content["intensity_scale"]),
        phased=np.concatenate([problem.measured.hkl, problem.missing]) if options.phases else None,
        picture=options.figures,
    )
    if options.phases:
        report.content["files"] |= write_phased_data(case, prediction)
