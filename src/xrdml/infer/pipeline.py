"""The way from a measured `.hkl` to a filled one."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrdml import __version__
from xrdml.crystal.cell import Cell, d_spacing
from xrdml.crystal.files import check_overwriting, writable_directory, write_text
from xrdml.crystal.grid import HklGrid
from xrdml.crystal.hklf import write_hklf4
from xrdml.crystal.load import Measurement, load_measurement
from xrdml.crystal.problem import FillProblem, make_problem
from xrdml.crystal.reflections import Merged, merge
from xrdml.crystal.shelx import write_ins
from xrdml.errors import UserError
from xrdml.evaluate.metrics import score
from xrdml.infer.choose import DEFAULT, load_predictor
from xrdml.infer.report import Report, build_report
from xrdml.postprocess.restore import Filled, Origin, restore

DEFAULT_WAVELENGTH = 0.71073
"""Mo Kα in Å: written to the `.ins` where no file gave a wavelength."""


@dataclass(frozen=True)
class InferOptions:
    """What the user of `xrdml infer` can choose; see `xrdml infer --help`."""

    input: Path
    out: Path
    ins: Path | None = None
    cif: Path | None = None
    cell: Cell | None = None
    space_group: str | None = None
    cut: float | None = None
    d_min: float = 0.8
    model: str = DEFAULT
    grid: HklGrid | None = None
    figures: bool = True


def infer(options: InferOptions, progress: Callable[[str, float], None] | None = None) -> Report:
    """Fill one crystal and write DIR/<stem>.hkl, .ins, report.json and two pictures.

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
    measurement = load_measurement(
        options.input, ins=options.ins, cif=options.cif, cell=options.cell, space_group=options.space_group
    )
    out = writable_directory(options.out)
    stem = options.input.stem
    check_overwriting(out, [f"{stem}.hkl"], [options.input])
    merged = merge(measurement.reflections, measurement.symmetry)
    problem = make_problem(
        merged.reflections,
        measurement.cell,
        measurement.symmetry,
        d_min=options.d_min,
        cut=options.cut,
        contents=measurement.contents,
    )
    predictor = load_predictor(options.model, options.grid, progress)
    prediction = predictor.predict([problem])[0]
    filled = restore(problem, prediction)
    f_true = true_amplitudes(problem, merged) if options.cut is not None else None
    report = build_report(
        measurement,
        merged,
        problem,
        filled,
        cut=options.cut,
        comparison=None if f_true is None else score(problem, f_true, prediction.f),
        model={"name": predictor.name, **prediction.details, **getattr(predictor, "provenance", {})},
    )
    _write(report, measurement, problem, filled, f_true, out, stem, options.figures)
    report.content["seconds"] = round(time.perf_counter() - started, 2)
    report.content["versions"] = versions()
    write_text(out / "report.json", report.to_json())
    return report


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


def _write(
    report: Report,
    measurement: Measurement,
    problem: FillProblem,
    filled: Filled,
    f_true: NDArray[np.float64] | None,
    out: Path,
    stem: str,
    figures: bool,
) -> None:
    names = {"hkl": f"{stem}.hkl", "ins": f"{stem}.ins", "report": "report.json"}
    r = filled.reflections
    scale = write_hklf4(out / names["hkl"], r.hkl, r.intensity, r.sigma)
    write_ins(
        out / names["ins"],
        title=f"{measurement.title or stem}, filled to {problem.d_min:g} A by xrdml {__version__}",
        cell=problem.cell,
        symmetry=problem.symmetry,
        wavelength=measurement.wavelength or DEFAULT_WAVELENGTH,
        contents=problem.contents,
    )
    if figures:
        from xrdml.evaluate.figures import central_planes, wilson_plot

        names |= {"planes": "planes.png", "wilson": "wilson.png"}
        central_planes(out / names["planes"], problem, filled, f_true)
        wilson_plot(out / names["wilson"], problem, filled, f_true)
    if measurement.wavelength is None:
        report.warnings.append(
            f"no file gave a wavelength; {DEFAULT_WAVELENGTH} Å (Mo Kα) was written to the .ins"
        )
    beyond = d_spacing(problem.cell, r.hkl) < problem.d_min
    report.content["counts"]["measured_beyond_d_min"] = int(
        (beyond & (filled.origin == Origin.MEASURED)).sum()
    )
    report.content |= {"files": names, "directory": str(out), "intensity_scale": scale}


def versions() -> dict[str, Any]:
    """Of what a result depends on."""
    packages = {package: version(package) for package in ("numpy", "gemmi")}
    return {"xrdml": __version__, **packages, "python": platform.python_version()}
