"""The way from a measured `.hkl` to a structure: files, report and picture."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xrdml import __version__
from xrdml.crystal.cif import read_structure
from xrdml.crystal.structure import Structure
from xrdml.evaluate.reference import check_same_cell, compare_with_reference
from xrdml.infer.case import Case, CrystalRequest, Progress, claim_output, finish, load_case
from xrdml.infer.crystal_report import crystal_content, crystal_warnings
from xrdml.infer.solve_report import DESCRIPTIONS, SolveReport
from xrdml.infer.structure_files import write_atoms
from xrdml.phasing.output import write_map, write_phases
from xrdml.phasing.prior import DEFAULT_PRIOR, load_prior
from xrdml.phasing.solve import Solution, solve
from xrdml.phasing.verdict import agreement_text, reasons

SUFFIXES = (".res", ".cif", ".ccp4", ".mtz")


@dataclass(frozen=True)
class SolveRequest(CrystalRequest):
    """What the user of `xrdml solve` can choose; see `xrdml solve --help`."""

    weights: str = DEFAULT_PRIOR
    reference: Path | None = None


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
    case, reference = load_with_reference(request)
    network, config = load_prior(request.weights)
    with claim_output(case, SUFFIXES, [request.reference]):
        solution = solve(case.problem, network, request.search, progress)
        report = SolveReport(
            {
                **crystal_content(case.measurement, case.merged, case.problem, request.cut),
                "engine": "prior",
                "solved": bool(solution.solved),
                **_figures(solution),
                "options": asdict(request.search),
                "weights": {key: config.get(key) for key in ("commit", "date", "parameters", "sha256")},
                "reference": _compared(request, reference, case, solution),
                "metrics": DESCRIPTIONS,
            },
            list(crystal_warnings(case.merged, case.problem)),
        )
        _write(case, solution, report)
        finish(report, case, SUFFIXES, started)
    return report


def load_with_reference(request: SolveRequest) -> tuple[Case, Structure | None]:
    """The crystal, and the structure to compare with; nothing is written.

    Raises
    ------
    UserError
        Input that cannot be used, or a reference with another cell.
    """
    case = load_case(request)
    if request.reference is None:
        return case, None
    reference = read_structure(request.reference)
    check_same_cell(reference, case.problem.cell, request.reference)
    return case, reference


def _figures(solution: Solution) -> dict[str, Any]:
    return {
        "r1": solution.r1,
        "r1_free": solution.r1_free,
        "r_known": solution.r_known,
        "r_free": solution.r_free,
        "agreement": solution.agreement,
        "starts": solution.starts,
        "atoms": 0 if solution.structure is None else len(solution.structure),
        "scale": solution.scale,
        "history": [round(r, 4) for r in solution.history],
        "seconds_solving": round(solution.seconds, 2),
        "verdict": reasons(solution.evidence),
    }


def _compared(
    request: SolveRequest, reference: Structure | None, case: Case, solution: Solution
) -> dict[str, Any] | None:
    if reference is None:
        return None
    frac = np.empty((0, 3)) if solution.structure is None else solution.structure.frac
    agreement = compare_with_reference(
        reference, solution.map_hkl, solution.map_f, frac, case.problem.symmetry
    )
    return {"file": str(request.reference), **asdict(agreement)}


def _write(case: Case, solution: Solution, report: SolveReport) -> None:
    symmetry, cell = case.problem.symmetry, case.problem.cell
    verdict = "solved" if solution.solved else "NOT SOLVED, best attempt"
    remarks = [
        f"{verdict} by xrdml {__version__}",
        f"R1 {solution.r1:.3f}, R_free {solution.r_free:.3f}, {agreement_text(solution.agreement)}, "
        f"{solution.starts} starts",
    ]
    files: dict[str, str] = {}
    if solution.structure is not None:
        scale = solution.scale if math.isfinite(solution.scale) else 1.0
        phased = case.problem.measured.hkl if case.request.phases else None
        files |= write_atoms(case, solution.structure, remarks, scale, phased=phased)
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
            title=f"{verdict}: {case.title}",
            wavelength=case.measurement.wavelength,
        )
    report.content["files"] = files
