"""The way from a measured `.hkl` to a structure: files, report and picture."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from xrdml import __version__
from xrdml.crystal.cell import Cell
from xrdml.crystal.cif import read_structure
from xrdml.crystal.files import check_overwriting, writable_directory, write_text
from xrdml.crystal.formula import contents_of_cell, parse_formula
from xrdml.crystal.load import SIBLINGS, Measurement, load_measurement
from xrdml.crystal.problem import FillProblem, make_problem
from xrdml.crystal.reflections import Merged, merge
from xrdml.crystal.shelx_atoms import write_res
from xrdml.crystal.structure import Structure
from xrdml.errors import UserError
from xrdml.evaluate.molecule_figure import draw_molecule
from xrdml.evaluate.reference import check_same_cell, compare_with_reference
from xrdml.infer.crystal_report import crystal_content, crystal_warnings
from xrdml.infer.pipeline import DEFAULT_WAVELENGTH, versions
from xrdml.infer.solve_report import DESCRIPTIONS, SolveReport
from xrdml.phasing.output import write_cif, write_map, write_phases
from xrdml.phasing.prior import load_prior
from xrdml.phasing.solve import Solution, SolveOptions, solve

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class SolveRequest:
    """What the user of `xrdml solve` can choose; see `xrdml solve --help`."""

    input: Path
    out: Path
    ins: Path | None = None
    cif: Path | None = None
    cell: Cell | None = None
    space_group: str | None = None
    cut: float | None = None
    formula: str | None = None
    z: int | None = None
    starts: int = SolveOptions.starts
    iterations: int = SolveOptions.iterations
    seed: int = SolveOptions.seed
    reference: Path | None = None
    phases: bool = False


@dataclass(frozen=True)
class Case:
    """A crystal that is ready to be solved, and where its files go."""

    request: SolveRequest
    measurement: Measurement
    merged: Merged
    problem: FillProblem
    reference: Structure | None
    out: Path

    @property
    def stem(self) -> str:
        return self.request.input.stem

    @property
    def wavelength(self) -> float:
        return self.measurement.wavelength or DEFAULT_WAVELENGTH


def solve_crystal(request: SolveRequest, progress: Progress | None = None) -> SolveReport:
    """Solve one crystal and write DIR/<stem>.res, .cif, .ccp4, molecule.png and report.json.

    Parameters
    ----------
    progress
        Called with what is going on and the best R so far.

    Raises
    ------
    UserError
        Input that cannot be used, or a place that cannot be written.
    """
    started = time.perf_counter()
    case = prepare(request, [".res", ".cif", ".ccp4", ".mtz"])
    network, config = load_prior()
    options = SolveOptions(starts=request.starts, iterations=request.iterations, seed=request.seed)
    solution = solve(case.problem, network, options, progress)
    report = SolveReport(
        {
            **crystal_content(case.measurement, case.merged, case.problem, request.cut),
            "engine": "prior",
            "solved": bool(solution.solved),
            **_figures(solution),
            "options": asdict(options),
            "weights": {key: config.get(key) for key in ("commit", "date", "parameters", "sha256")},
            "reference": _compared(case, solution),
            "metrics": DESCRIPTIONS,
        },
        list(crystal_warnings(case.merged, case.problem)),
    )
    _write(case, solution, report)
    finish(report, case, started)
    return report


def prepare(request: SolveRequest, suffixes: list[str]) -> Case:
    """Read and check everything before the search begins.

    Parameters
    ----------
    suffixes
        Of the files <stem> + suffix that will be written.
    """
    _check(request)
    measurement = load_measurement(
        request.input, ins=request.ins, cif=request.cif, cell=request.cell, space_group=request.space_group
    )
    if request.formula is not None:
        contents = contents_of_cell(
            parse_formula(request.formula), measurement.cell, measurement.symmetry, request.z
        )
        measurement = replace(measurement, contents=contents)
    reference = None
    if request.reference is not None:
        reference = read_structure(request.reference)
        check_same_cell(reference, measurement.cell, request.reference)
    merged = merge(measurement.reflections, measurement.symmetry)
    problem = make_problem(
        merged.reflections,
        measurement.cell,
        measurement.symmetry,
        cut=request.cut,
        contents=measurement.contents,
    )
    out = writable_directory(request.out)
    given = [request.input, request.ins, request.cif, request.reference]
    given += [request.input.with_suffix(suffix) for suffix in SIBLINGS]
    check_overwriting(out, [request.input.stem + suffix for suffix in suffixes], given)
    return Case(request, measurement, merged, problem, reference, out)


def finish(report: SolveReport, case: Case, started: float) -> None:
    """Add what every report ends with, and write it."""
    report.content["files"]["report"] = "report.json"
    report.content |= {
        "directory": str(case.out),
        "seconds": round(time.perf_counter() - started, 2),
        "versions": versions(),
    }
    write_text(case.out / "report.json", report.to_json())


def write_atoms(case: Case, structure: Structure, remarks: list[str], scale: float) -> dict[str, str]:
    """Write .res, .cif and picture; their names."""
    names = {"res": f"{case.stem}.res", "cif": f"{case.stem}.cif", "picture": "molecule.png"}
    write_res(
        case.out / names["res"],
        structure,
        title=case.measurement.title or case.stem,
        wavelength=case.wavelength,
        contents=case.problem.contents,
        scale=scale,
        remarks=remarks,
    )
    write_cif(
        case.out / names["cif"],
        structure,
        name=case.stem,
        contents=case.problem.contents,
        wavelength=case.measurement.wavelength,
        remarks=remarks,
    )
    draw_molecule(case.out / names["picture"], structure, remarks[0])
    return names


def _check(request: SolveRequest) -> None:
    if request.cut is not None and not 0.4 <= request.cut <= 10:
        raise UserError(f"--cut {request.cut:g}: give a resolution between 0.4 and 10 Å")
    for name in ("starts", "iterations"):
        if getattr(request, name) < 1:
            raise UserError(f"--{name} {getattr(request, name)}: give 1 or more")
    if request.z is not None and request.formula is None:
        raise UserError("--z says how many units of --formula the cell holds; give --formula as well")
    if request.z is not None and request.z < 1:
        raise UserError(f"--z {request.z}: give 1 or more")


def _figures(solution: Solution) -> dict[str, Any]:
    return {
        "r1": solution.r1,
        "r_known": solution.r_known,
        "r_free": solution.r_free,
        "agreement": solution.agreement,
        "starts": solution.starts,
        "atoms": 0 if solution.structure is None else len(solution.structure),
        "scale": solution.scale,
        "history": [round(r, 4) for r in solution.history],
        "seconds_solving": round(solution.seconds, 2),
    }


def _compared(case: Case, solution: Solution) -> dict[str, Any] | None:
    if case.reference is None:
        return None
    frac = np.empty((0, 3)) if solution.structure is None else solution.structure.frac
    agreement = compare_with_reference(
        case.reference, solution.map_hkl, solution.map_f, frac, case.problem.symmetry
    )
    return {"file": str(case.request.reference), **asdict(agreement)}


def _write(case: Case, solution: Solution, report: SolveReport) -> None:
    symmetry, cell = case.problem.symmetry, case.problem.cell
    remarks = [
        f"{'solved' if solution.solved else 'NOT SOLVED, best attempt'} by xrdml {__version__}",
        f"R1 {solution.r1:.3f}, R_free {solution.r_free:.3f}, agreement {solution.agreement:.3f}, "
        f"{solution.starts} starts",
    ]
    files: dict[str, str] = {}
    if solution.structure is not None:
        scale = solution.scale if math.isfinite(solution.scale) else 1.0
        files |= write_atoms(case, solution.structure, remarks, scale)
    files["map"] = f"{case.stem}.ccp4"
    write_map(case.out / files["map"], solution.map_hkl, solution.map_f, cell, symmetry, scale=solution.scale)
    if case.request.phases:
        files["phases"] = f"{case.stem}.mtz"
        write_phases(
            case.out / files["phases"],
            solution.map_hkl,
            solution.map_f,
            cell,
            symmetry,
            case.problem.measured,
            title=case.measurement.title or case.stem,
            wavelength=case.measurement.wavelength,
        )
    report.content["files"] = files
