"""SHELXT on what was measured, and on the same data filled to 0.8 Å."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import gemmi
import numpy as np

from xrdml.crystal.cell import d_spacing
from xrdml.crystal.reflections import Reflections
from xrdml.crystal.structure import Structure
from xrdml.errors import UserError
from xrdml.evaluate.reference import compare_with_reference
from xrdml.infer.case import Case, Progress, claim_output, finish
from xrdml.infer.choose import load_predictor
from xrdml.infer.crystal_report import crystal_content, crystal_warnings
from xrdml.infer.phased import calculated
from xrdml.infer.solve import SolveRequest, load_with_reference
from xrdml.infer.solve_report import DESCRIPTIONS, SolveReport
from xrdml.infer.structure_files import write_atoms
from xrdml.phasing.classical import MAX_R1
from xrdml.phasing.shelxt import ShelxtSolution, find_shelxt, run_shelxt
from xrdml.postprocess.restore import restore

SUFFIXES = (".res", ".cif")


def solve_by_shelxt(request: SolveRequest, progress: Progress | None = None) -> SolveReport:
    """Run SHELXT twice and write the atoms that explain the measured |F| better.

    Once is enough where no reflection is missing to 0.8 Å.

    SHELXT's own R1 cannot choose: of filled data it includes what a model filled in. Both are
    judged by R1 over the measured reflections; up to `MAX_R1` the crystal counts as solved.

    Raises
    ------
    UserError
        No SHELXT, input that cannot be used, or a place that cannot be written.
    """
    started = time.perf_counter()
    find_shelxt()
    if request.phases:
        raise UserError("--phases: SHELXT leaves atoms and no phases; use --engine prior")
    case, reference = load_with_reference(request)
    with claim_output(case, SUFFIXES, [request.reference]):
        found = {"original": _run(case, _measured(case))}
        if len(case.problem.missing) > 0:
            found["filled"] = _run(case, _filled(request, case, progress))
        judged = {name: (s, *_fit(case, s.structure)) for name, s in found.items() if s is not None}
        content: dict[str, Any] = {
            **crystal_content(case.measurement, case.merged, case.problem, request.cut),
            "engine": "shelxt",
            "solved": False,
            "shelxt": dict.fromkeys(found),
            "reference": None,
            "metrics": DESCRIPTIONS,
            "files": {},
        }
        for name, (solution, r1, _) in judged.items():
            content["shelxt"][name] = _described(solution, r1)
        if judged:
            best = min(judged, key=lambda name: judged[name][1])
            solution, r1, scale = judged[best]
            content |= {"solved": bool(r1 <= MAX_R1), "data": best, "r1": r1}
            content["reference"] = _compared(request, reference, case, solution.structure)
            remarks = [
                f"{'solved' if r1 <= MAX_R1 else 'NOT SOLVED, best attempt'} by SHELXT, {best} data",
                f"R1 {solution.r1:.3f}, Rweak {solution.r_weak:.3f}, alpha {solution.alpha:.3f}",
            ]
            content["files"] = write_atoms(case, solution.structure, remarks, scale)
        report = SolveReport(content, list(crystal_warnings(case.merged, case.problem)))
        finish(report, case, SUFFIXES, started)
    return report


def _measured(case: Case) -> Reflections:
    """Merged reflections, absences too: SHELXT finds the space group by them."""
    r = case.merged.reflections
    keep = d_spacing(case.problem.cell, r.hkl) >= (case.request.cut or 0)
    return Reflections(r.hkl[keep], r.intensity[keep], r.sigma[keep])


def _filled(request: SolveRequest, case: Case, progress: Progress | None) -> Reflections:
    predictor = load_predictor(request.weights, search=request.search, progress=progress)
    return restore(case.problem, predictor.predict([case.problem])[0]).reflections


def _run(case: Case, reflections: Reflections) -> ShelxtSolution | None:
    return run_shelxt(
        reflections,
        title=case.measurement.title or case.stem,
        cell=case.problem.cell,
        symmetry=case.problem.symmetry,
        wavelength=case.wavelength,
        contents=case.problem.contents,
    )


def _same_axes(case: Case, structure: Structure) -> bool:
    return bool(gemmi.UnitCell(*structure.cell).is_similar(gemmi.UnitCell(*case.problem.cell), 0.01, 1.0))


def _fit(case: Case, structure: Structure) -> tuple[float, float]:
    """R1 over the measured reflections, infinite where SHELXT chose other axes, and |Fo| / |Fc|."""
    if not _same_axes(case, structure):
        return float("inf"), 1.0
    fc = np.abs(calculated(structure, case.problem.measured.hkl))
    fo = case.problem.f_obs
    k = (fo * fc).sum() / max((fc**2).sum(), 1e-12)
    return float(np.abs(fo - k * fc).sum() / fo.sum()), float(k)


def _described(solution: ShelxtSolution, r1: float) -> dict[str, Any]:
    s = solution.structure
    return {
        "space_group": s.space_group,
        "atoms": len(s),
        "r1": solution.r1,
        "r_weak": solution.r_weak,
        "alpha": solution.alpha,
        "r1_measured": r1,
        "seconds": round(solution.seconds, 2),
    }


def _compared(
    request: SolveRequest, reference: Structure | None, case: Case, structure: Structure
) -> dict[str, Any] | None:
    """With the map that the atoms make; None without a reference, or where SHELXT chose other axes."""
    if reference is None or not _same_axes(case, structure):
        return None
    hkl = structure.symmetry.unique_reflections(structure.cell, max(case.problem.d_limit, 1.0))
    f = calculated(structure, hkl)
    agreement = compare_with_reference(reference, hkl, f, structure.frac, structure.symmetry)
    return {"file": str(request.reference), **asdict(agreement)}
