"""Atoms and phases as files, for `infer` and `solve` alike."""

from __future__ import annotations

import numpy as np

from xrdml.crystal.shelx_atoms import write_res
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Hkl
from xrdml.infer.case import Case
from xrdml.infer.phased import PhasedPrediction, calculated
from xrdml.phasing.output import CalculatedF, write_cif, write_phases


def write_atoms(
    case: Case,
    structure: Structure,
    remarks: list[str],
    scale: float,
    *,
    f_scale: float = 1.0,
    phased: Hkl | None = None,
    picture: bool = True,
) -> dict[str, str]:
    """Write .res, .cif and picture; their names.

    Parameters
    ----------
    scale
        |Fo| of the input = scale · |Fc|.
    f_scale
        |F| of the reflection file beside the .res over |Fo| of the input.
    phased
        Reflections whose phased F the CIF lists, (n, 3); None for none.
    picture
        Draw the molecules.
    """
    names = {"res": f"{case.stem}.res", "cif": f"{case.stem}.cif"}
    write_res(
        case.out / names["res"],
        structure,
        title=case.title,
        wavelength=case.wavelength,
        contents=case.problem.contents,
        scale=scale * f_scale,
        remarks=remarks,
    )
    listed = None
    if phased is not None:
        listed = CalculatedF(phased, calculated(structure, phased), case.problem.measured, scale)
    write_cif(
        case.out / names["cif"],
        structure,
        name=case.stem,
        contents=case.problem.contents,
        wavelength=case.measurement.wavelength,
        remarks=remarks,
        reflections=listed,
    )
    if picture:
        from xrdml.evaluate.molecule_figure import draw_molecule

        names["picture"] = "molecule.png"
        draw_molecule(case.out / names["picture"], structure, remarks[0])
    return names


def write_phased_data(case: Case, prediction: PhasedPrediction) -> dict[str, str]:
    """Write measured and predicted |F| with the phases of the atoms as MTZ; its name."""
    problem = case.problem
    hkl = np.concatenate([problem.measured.hkl, problem.missing])
    f_calc = calculated(prediction.structure, hkl, prediction.scale)
    f = np.concatenate([problem.f_obs, prediction.f]) * np.exp(1j * np.angle(f_calc))
    name = f"{case.stem}.mtz"
    write_phases(
        case.out / name,
        hkl,
        f,
        problem.cell,
        problem.symmetry,
        problem.measured,
        f_calc=np.abs(f_calc),
        title=case.title,
        wavelength=case.measurement.wavelength,
    )
    return {"phases": name}
