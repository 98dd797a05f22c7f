"""Files of a solution, read back by gemmi and compared with sums that share no code with the package."""

from __future__ import annotations

from dataclasses import replace

import gemmi
import numpy as np
import pytest

from crystals import direct_sum, random_structure
from xrdml.crystal.cell import orthogonalization
from xrdml.crystal.cif import read_cif, read_structure
from xrdml.crystal.cif_reflections import read_cif_reflections
from xrdml.crystal.reflections import Reflections
from xrdml.crystal.symmetry import symmetry
from xrdml.phasing.output import CalculatedF, formula_unit, write_cif, write_map, write_phases

HEXAGONAL = (9.0, 9.0, 11.0, 90.0, 90.0, 120.0)
GROUPS = {
    "P 1 21 1": (7.7, 8.7, 10.8, 90.0, 103.0, 90.0),
    "P 1 21/n 1": (7.7, 8.7, 10.8, 90.0, 103.0, 90.0),
    "P -1": (6.0, 7.0, 8.0, 80.0, 95.0, 101.0),
    "F d d 2": (11.0, 12.0, 9.0, 90.0, 90.0, 90.0),
    "R 3:H": HEXAGONAL,
    "P 41 21 2": (8.0, 8.0, 12.0, 90.0, 90.0, 90.0),
}


@pytest.fixture(params=GROUPS)
def crystal(request):
    """Five atoms that are far apart, U 0.02 Å², and their F to 1 Å."""
    cell = GROUPS[request.param]
    made = random_structure(request.param, cell=cell, n=5, seed=3, u_iso=0.02)
    hkl = made.symmetry.unique_reflections(cell, 1.0)
    return made, hkl, direct_sum(made, hkl)


def test_cif_is_read_by_gemmi_and_by_us(crystal, tmp_path):
    made, *_ = crystal
    made = replace(made, occupancy=np.array([1, 1, 0.5, 1, 0.25]))
    path = tmp_path / "x.cif"
    write_cif(path, made, name="a b'c", wavelength=0.71073, remarks=["line 1", "line; 2"])

    back = read_structure(path)
    assert back.symmetry == made.symmetry
    assert back.cell == made.cell
    np.testing.assert_array_equal(back.numbers, made.numbers)
    np.testing.assert_allclose(back.frac, made.frac, atol=1e-6)
    np.testing.assert_allclose(back.u_iso, made.u_iso)
    np.testing.assert_allclose(back.occupancy, made.occupancy)

    theirs = gemmi.read_small_structure(str(path))
    assert theirs.spacegroup == gemmi.SpaceGroup(made.space_group)
    assert len(theirs.sites) == 5
    assert theirs.wavelength == pytest.approx(0.71073)
    # A different program's structure factors of the file are those of the structure.
    calculator = gemmi.StructureFactorCalculatorX(theirs.cell)
    hkl = made.symmetry.unique_reflections(made.cell, 2.5)
    f = [calculator.calculate_sf_from_small_structure(theirs, list(map(int, h))) for h in hkl]
    np.testing.assert_allclose(f, direct_sum(made, hkl), atol=2e-3 * np.abs(f).max())

    about = read_cif(path)
    assert about.wavelength == pytest.approx(0.71073)
    assert about.contents == pytest.approx(made.cell_contents(), abs=0.02)


def test_reflections_in_the_cif(crystal, tmp_path):
    """They are gemmi's own structure factors of the written atoms; '?' where nothing was measured."""
    made, hkl, f = crystal
    measured = Reflections(hkl[1::2], 9 * np.abs(f[1::2]) ** 2, np.full(len(hkl[1::2]), 0.5))
    path = tmp_path / "x.cif"
    write_cif(path, made, name="x", reflections=CalculatedF(hkl, f, measured, scale=3.0))
    table = (
        gemmi.cif.read(str(path))
        .sole_block()
        .find("_refln_", ["index_h", "index_k", "index_l", "F_calc", "phase_calc", "F_meas", "F_sigma"])
    )
    assert len(table) == len(hkl)
    model = gemmi.read_small_structure(str(path))
    calculator = gemmi.StructureFactorCalculatorX(model.cell)
    for row in list(table)[::25]:
        expected = calculator.calculate_sf_from_small_structure(model, [int(row[i]) for i in range(3)])
        assert float(row[3]) == pytest.approx(abs(expected), abs=0.02 + 2e-3 * abs(expected))
        phased = float(row[3]) * np.exp(1j * np.radians(float(row[4])))
        assert abs(phased - expected) < 0.05 + 4e-3 * abs(expected)
    seen = [row for row in table if row[5] != "?"]
    assert len(seen) == len(measured)
    assert all(row[6] == "?" for row in table if row[5] == "?")
    for row in seen:
        assert float(row[5]) == pytest.approx(float(row[3]), abs=2e-3)  # 3|F| / scale
    back = read_cif_reflections(path)
    assert {tuple(h) for h in back.hkl.tolist()} == {tuple(h) for h in measured.hkl.tolist()}


def test_formula_unit():
    assert formula_unit({"C": 24, "H": 44, "O": 22}, symmetry("P21")) == (2, {"C": 12, "H": 22, "O": 11})
    # A molecule on an inversion centre of P21/c: two in the cell.
    assert formula_unit({"C": 20, "Cl": 2}, symmetry("P21/c")) == (2, {"C": 10, "Cl": 1})
    assert formula_unit({"C": 20.5}, symmetry("P21/c")) == (1, {"C": 20.5})


def test_peaks_of_the_map_are_the_atoms(crystal, tmp_path):
    """Highest points lie on atoms, the values are those of the Fourier sum, in e/Å3."""
    made, hkl, f = crystal
    path = tmp_path / "x.ccp4"
    write_map(path, hkl, 3.0 * f, made.cell, made.symmetry, scale=3.0)
    read = gemmi.read_ccp4_map(str(path), setup=True)
    assert read.grid.spacegroup == gemmi.SpaceGroup(made.space_group)
    assert read.grid.unit_cell.parameters == pytest.approx(made.cell)
    rho = np.array(read.grid)
    assert abs(rho.mean()) < 1e-5
    points = np.stack(np.meshgrid(*(np.arange(n) / n for n in rho.shape), indexing="ij"), -1).reshape(-1, 3)
    for x in made.frac:
        delta = points - x
        distance = np.linalg.norm((delta - np.round(delta)) @ orthogonalization(made.cell).T, axis=1)
        around = np.flatnonzero(distance < 0.6)
        highest = around[rho.ravel()[around].argmax()]
        assert distance[highest] < 0.25
        assert rho.ravel()[highest] > 4 * rho.std()
    # One point against the sum over the whole sphere of reflections.
    everything = _sphere(made, 1.0)
    point = np.array([3, 5, 2])
    expected = (direct_sum(made, everything) * np.exp(-2j * np.pi * everything @ (point / rho.shape))).sum()
    assert rho[tuple(point)] == pytest.approx(
        expected.real / gemmi.UnitCell(*made.cell).volume, abs=2e-3 * float(rho.max())
    )


def test_without_a_scale_the_map_is_on_that_of_f(crystal, tmp_path):
    made, hkl, f = crystal
    for name, scale in (("a", float("nan")), ("b", 1.0)):
        write_map(tmp_path / name, hkl, f, made.cell, made.symmetry, scale=scale)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_phases(crystal, tmp_path):
    """Phases in CCP4's asymmetric unit are those of F calculated there."""
    made, hkl, f = crystal
    measured = Reflections(hkl[::2], np.abs(f[::2]) ** 2, np.full(len(hkl[::2]), 0.5))
    path = tmp_path / "x.mtz"
    write_phases(
        path,
        hkl,
        f,
        made.cell,
        made.symmetry,
        measured,
        f_calc=2 * np.abs(f),
        title="x" * 100,
        wavelength=0.7,
    )
    mtz = gemmi.read_mtz_file(str(path))
    assert mtz.spacegroup == gemmi.SpaceGroup(made.space_group)
    assert mtz.datasets[-1].wavelength == pytest.approx(0.7)
    labels = ["H", "K", "L", "FP", "SIGFP", "PREDICTED", "FC", "FWT", "PHWT"]
    assert [c.label for c in mtz.columns] == labels
    there = mtz.make_miller_array()
    assert len(there) == len(hkl)
    asu = gemmi.ReciprocalAsu(mtz.spacegroup)
    assert all(asu.is_in(list(map(int, h))) for h in there)
    written = mtz.column_with_label("FWT").array * np.exp(
        1j * np.radians(mtz.column_with_label("PHWT").array)
    )
    expected = direct_sum(made, there)
    np.testing.assert_allclose(written, expected, atol=1e-4 * np.abs(expected).max())
    fp, sigma = (mtz.column_with_label(label).array for label in ("FP", "SIGFP"))
    known = np.isfinite(fp)
    assert known.sum() == len(measured.hkl)
    np.testing.assert_array_equal(mtz.column_with_label("PREDICTED").array, ~known)
    np.testing.assert_allclose(mtz.column_with_label("FC").array, 2 * np.abs(expected), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(fp[known], np.abs(expected[known]), rtol=1e-4, atol=1e-3)
    strong = known & (np.nan_to_num(fp) > 2)
    np.testing.assert_allclose(sigma[strong], 0.5 / (2 * fp[strong]), rtol=1e-4)


def test_map_from_the_phases_is_the_map(crystal, tmp_path):
    """What a viewer draws from the MTZ is what the CCP4 file holds."""
    made, hkl, f = crystal
    write_map(tmp_path / "x.ccp4", hkl, f, made.cell, made.symmetry)
    write_phases(tmp_path / "x.mtz", hkl, f, made.cell, made.symmetry)
    rho = np.array(gemmi.read_ccp4_map(str(tmp_path / "x.ccp4"), setup=True).grid)
    mtz = gemmi.read_mtz_file(str(tmp_path / "x.mtz"))
    drawn = np.array(mtz.transform_f_phi_to_map("FWT", "PHWT", exact_size=list(rho.shape)))
    np.testing.assert_allclose(rho, drawn, atol=1e-4 * rho.max())


def _sphere(structure, d_min: float) -> np.ndarray:
    """All reflections to d_min, by gemmi's cell alone."""
    cell = gemmi.UnitCell(*structure.cell)
    n = [int(a / d_min) + 1 for a in structure.cell[:3]]
    box = np.stack(np.meshgrid(*(np.arange(-k, k + 1) for k in n), indexing="ij"), -1).reshape(-1, 3)
    inverse_d2 = np.array([cell.calculate_1_d2(list(map(int, h))) for h in box])
    return box[(inverse_d2 <= d_min**-2 * (1 + 1e-9)) & (inverse_d2 > 0)]
