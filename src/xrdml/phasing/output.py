"""What other programs read of a solution: structure as CIF, map as CCP4, phases as MTZ."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
from gemmi import cif
from numpy.typing import NDArray

from xrdml import __version__
from xrdml.crystal.cell import Cell, volume
from xrdml.crystal.files import replace_when_done, write_text
from xrdml.crystal.reflections import Reflections
from xrdml.crystal.shelx_atoms import atom_labels
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Hkl, Symmetry

POINTS_PER_D = 4.0
"""Grid points of a written map for its resolution: enough for contours without corners."""


@dataclass(frozen=True)
class CalculatedF:
    """Structure factors of atoms beside what was measured.

    Attributes
    ----------
    hkl, f_calc
        Unique reflections without absences, (n, 3), and F, (n,), in electrons.
    measured
        Unique intensities in the same indices; some of `hkl`, or all.
    scale
        |F| of `measured` = scale · |f_calc|.
    """

    hkl: Hkl
    f_calc: NDArray[np.complexfloating]
    measured: Reflections
    scale: float


def write_cif(
    path: str | Path,
    structure: Structure,
    *,
    name: str,
    contents: dict[str, float] | None = None,
    wavelength: float | None = None,
    remarks: list[str] | None = None,
    reflections: CalculatedF | None = None,
) -> None:
    """Write atoms as a CIF with all that is needed to use it without other files.

    Parameters
    ----------
    name
        Of the data block; characters that CIF forbids become ``_``.
    contents
        Atoms in the cell; without them the formula counts the atoms of `structure`.
    wavelength
        Å.
    remarks
        Lines on how the structure was found.
    reflections
        Written as a ``_refln_`` loop in electrons: measured |F| and σ, ``?`` where nothing was
        measured, and the calculated |F| and phase.

    Raises
    ------
    UserError
        The file cannot be written.
    """
    group, cell = structure.symmetry, structure.cell
    document = cif.Document()
    block = document.add_new_block(re.sub(r"[^A-Za-z0-9+.-]", "_", name))
    z, formula = formula_unit(contents or structure.cell_contents(), group)
    pairs = {
        "_audit_creation_method": f"xrdml {__version__} solve",
        "_chemical_formula_sum": " ".join(f"{e}{n:g}" if n != 1 else e for e, n in formula.items()),
        "_cell_formula_units_Z": str(z),
        "_space_group_crystal_system": group.crystal_system,
        "_space_group_IT_number": str(group.number),
        "_space_group_name_H-M_alt": group.name.split(":")[0],
        "_space_group_name_Hall": group.hall,
        **dict(zip(_CELL_TAGS, (f"{x:.4f}" for x in cell), strict=True)),
        "_cell_volume": f"{volume(cell):.2f}",
    }
    if wavelength is not None:
        pairs["_diffrn_radiation_wavelength"] = f"{wavelength:.5f}"
    pairs["_atom_sites_solution_primary"] = "iterative"
    for tag, value in pairs.items():
        block.set_pair(tag, cif.quote(value))
    if remarks:
        block.set_pair("_refine_special_details", cif.quote("\n" + "\n".join(remarks)))
    loop = block.init_loop("_space_group_symop_", ["id", "operation_xyz"])
    for i, operation in enumerate(gemmi.SpaceGroup(group.name).operations(), 1):
        loop.add_row([str(i), cif.quote(operation.triplet())])
    loop = block.init_loop("_atom_site_", list(_ATOM_COLUMNS))
    orders = group.site_order(structure.frac, cell)
    for i, label in enumerate(atom_labels(structure)):
        loop.add_row(
            [
                label,
                gemmi.Element(int(structure.numbers[i])).name,
                *(f"{x:.6f}" for x in structure.frac[i]),
                f"{structure.u_iso[i]:.5f}",
                "Uiso",
                f"{structure.occupancy[i]:.5g}",
                str(orders[i]),
            ]
        )
    if reflections is not None:
        _add_reflections(block, reflections)
    write_text(path, document.as_string())


_CELL_TAGS = [
    *(f"_cell_length_{axis}" for axis in "abc"),
    *(f"_cell_angle_{angle}" for angle in ("alpha", "beta", "gamma")),
]
_ATOM_COLUMNS = (
    "label",
    "type_symbol",
    "fract_x",
    "fract_y",
    "fract_z",
    "U_iso_or_equiv",
    "adp_type",
    "occupancy",
    "site_symmetry_order",
)
_REFLN_COLUMNS = ("index_h", "index_k", "index_l", "F_meas", "F_sigma", "F_calc", "phase_calc")


def _add_reflections(block: cif.Block, reflections: CalculatedF) -> None:
    """A ``_refln_`` loop, sorted by h, k, l; phases in degrees, −180 to 180."""
    hkl = reflections.hkl
    fp, sigma = (values / reflections.scale for _, _, values in _measured_columns(hkl, reflections.measured))
    f_calc, phase = np.abs(reflections.f_calc), np.degrees(np.angle(reflections.f_calc))
    loop = block.init_loop("_refln_", list(_REFLN_COLUMNS))
    for i in np.lexsort(hkl.T[::-1]):
        seen = [f"{fp[i]:.3f}", f"{sigma[i]:.3f}"] if np.isfinite(fp[i]) else ["?", "?"]
        loop.add_row([*map(str, hkl[i].tolist()), *seen, f"{f_calc[i]:.3f}", f"{phase[i]:.2f}"])


def formula_unit(contents: dict[str, float], symmetry: Symmetry) -> tuple[int, dict[str, float]]:
    """Z and the formula of one unit: the largest Z that divides the group's order into whole atoms."""
    counts = {element: round(n, 2) for element, n in contents.items() if round(n, 2) > 0}
    whole = (z for z in range(symmetry.order, 0, -1) if symmetry.order % z == 0)
    z = next((z for z in whole if all(math.isclose(n % z, 0, abs_tol=1e-6) for n in counts.values())), 1)
    return z, {element: n / z for element, n in counts.items()}


def write_map(
    path: str | Path,
    hkl: Hkl,
    f: NDArray[np.complexfloating],
    cell: Cell,
    symmetry: Symmetry,
    scale: float = 1.0,
) -> None:
    """Write ρ(x) = 1/V Σ F exp(−2πi h·x) over one unit cell as CCP4 map, mean 0.

    Parameters
    ----------
    hkl, f
        Unique reflections without absences, (n, 3), and F, (n,).
    scale
        F = scale · F in electrons, so that the map is in e/Å³; ignored unless finite and positive.

    Raises
    ------
    UserError
        The file cannot be written.
    """
    factor = 1 / scale if math.isfinite(scale) and scale > 0 else 1.0
    data = gemmi.ComplexAsuData(
        gemmi.UnitCell(*cell), gemmi.SpaceGroup(symmetry.name), hkl, (f * factor).astype(np.complex64)
    )
    ccp4 = gemmi.Ccp4Map()
    ccp4.grid = data.transform_f_phi_to_map(sample_rate=POINTS_PER_D)
    ccp4.update_ccp4_header(2)  # mode 2: 32-bit reals
    with replace_when_done(path) as temporary:
        ccp4.write_ccp4_map(str(temporary))


def write_phases(
    path: str | Path,
    hkl: Hkl,
    f: NDArray[np.complexfloating],
    cell: Cell,
    symmetry: Symmetry,
    measured: Reflections | None = None,
    *,
    f_calc: NDArray[np.float64] | None = None,
    title: str = "",
    wavelength: float | None = None,
) -> None:
    """Write phased F as MTZ in CCP4's asymmetric unit.

    Columns FWT and PHWT are the map's |F| and phase (degrees, F = Σ f exp(+2πi h·x)); FP and SIGFP
    the measured |F|, absent where nothing was measured; PREDICTED is 1 there, and 0 elsewhere. Viewers
    such as Coot open FWT and PHWT without being asked.

    Parameters
    ----------
    hkl, f
        Unique reflections without absences, (n, 3), and F, (n,).
    measured
        Unique intensities in the same indices.
    f_calc
        Calculated |F| on the same scale, (n,), as column FC.
    wavelength
        Å.

    Raises
    ------
    UserError
        The file cannot be written.
    """
    mtz = gemmi.Mtz(with_base=True)
    mtz.title = title[:70]
    mtz.cell = gemmi.UnitCell(*cell)
    mtz.spacegroup = gemmi.SpaceGroup(symmetry.name)
    mtz.history = [f"from xrdml {__version__}"]
    dataset = mtz.add_dataset("xrdml")
    dataset.wavelength = wavelength or 0.0
    columns = []
    if measured is not None:
        columns += _measured_columns(hkl, measured)
        columns.append(("PREDICTED", "I", np.isnan(columns[0][2]).astype(np.float64)))
    if f_calc is not None:
        columns.append(("FC", "F", f_calc))
    columns += [("FWT", "F", np.abs(f)), ("PHWT", "P", np.degrees(np.angle(f)))]
    for label, kind, _ in columns:
        mtz.add_column(label, kind)
    mtz.set_data(np.column_stack([hkl, *(values for _, _, values in columns)]).astype(np.float32))
    mtz.ensure_asu()
    mtz.update_reso()
    with replace_when_done(path) as temporary:
        mtz.write_to_file(str(temporary))


def _measured_columns(hkl: Hkl, measured: Reflections) -> list[tuple[str, str, NDArray[np.float64]]]:
    f = np.sqrt(np.maximum(measured.intensity, 0))
    # σ(F) = σ(I) / 2F holds for strong reflections; for weak ones √σ(I) is of the right size.
    sigma = measured.sigma / np.maximum(2 * f, np.sqrt(measured.sigma))
    known = {tuple(h): i for i, h in enumerate(measured.hkl.tolist())}
    rows = np.array([known.get(tuple(h), -1) for h in hkl.tolist()], dtype=np.intp)
    return [
        (label, kind, np.where(rows >= 0, values[rows], np.nan))
        for label, kind, values in (("FP", "F", f), ("SIGFP", "Q", sigma))
    ]
