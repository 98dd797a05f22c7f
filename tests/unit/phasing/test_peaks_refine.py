"""Atoms from maps, and their refinement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from crystals import direct_sum, distances, spread_structure
from xrdml.crystal.cell import orthogonalization
from xrdml.crystal.structure import Structure
from xrdml.data.density import density_crystal
from xrdml.phasing.peaks import atoms_from_peaks, cell_atoms, find_peaks
from xrdml.phasing.refine import _Problem, refine

CELL = (7.7, 8.7, 10.8, 90.0, 103.0, 90.0)
SMALL = (5.3, 6.1, 7.4, 90.0, 104.0, 90.0)


@pytest.mark.parametrize("group", ["P 1 21 1", "P -1", "P 1 21/c 1", "P 21 21 21", "C 1 2/c 1"])
def test_every_atom_of_a_map_to_1_A_is_found(group):
    cell = CELL if group != "P 21 21 21" else (7.7, 8.7, 10.8, 90.0, 90.0, 90.0)
    structure = spread_structure(group, 6, cell)
    f = torch.from_numpy(density_crystal(structure).f)
    peaks = find_peaks(f, cell, structure.symmetry, 6)
    assert (np.diff(peaks.height) <= 0).all()
    assert (distances(structure.frac, peaks.frac, structure)[:, 0] < 0.1).all()


def test_the_highest_peaks_become_the_heaviest_atoms():
    structure = spread_structure("P 1 21 1", 5)
    structure = replace(structure, numbers=np.array([17, 6, 8, 6, 6], np.uint8), u_iso=np.full(5, 0.03))
    f = torch.from_numpy(density_crystal(structure).f)
    atoms, _ = atoms_from_peaks(f, CELL, structure.symmetry, structure.cell_contents())
    assert atoms.numbers.tolist() == [17, 8, 6, 6, 6]
    assert distances(structure.frac[[0, 2]], atoms.frac[:2], structure)[:, 0].max() < 0.1


def test_a_molecule_on_a_mirror_gets_all_its_atoms():
    frac = np.array([[0.12, 0.25, 0.31], [0.30, 0.25, 0.35], [0.42, 0.25, 0.21], [0.70, 0.06, 0.75]])
    numbers = np.array([8, 7, 6, 6], np.uint8)
    structure = Structure(CELL, "P 1 21/m 1", numbers, frac, np.full(4, 0.03), np.ones(4))
    f = torch.from_numpy(density_crystal(structure).f)
    atoms, _ = atoms_from_peaks(f, CELL, structure.symmetry, structure.cell_contents())
    assert len(atoms) == 4
    assert atoms.cell_contents() == structure.cell_contents()
    assert (distances(frac, atoms.frac, structure)[:, 0] < 0.1).all()


def test_a_cell_without_formula_holds_carbon_for_every_18_cubic_angstrom():
    assert cell_atoms((10.0, 10.0, 9.0, 90.0, 90.0, 90.0), None) == [6] * 50
    assert cell_atoms(CELL, {"C": 4.0, "H": 8.0, "Cl": 2.0}) == [17, 17, 6, 6, 6, 6]


@pytest.mark.parametrize("group", ["P 1 21 1", "P -1"])
def test_refinement_brings_displaced_atoms_back(group):
    truth = spread_structure(group, 4, SMALL)
    hkl = truth.symmetry.unique_reflections(SMALL, 1.0)
    f = direct_sum(truth, hkl)
    to_frac = np.linalg.inv(orthogonalization(SMALL))
    step = np.random.default_rng(1).normal(size=(4, 3))
    step *= 0.1 / np.linalg.norm(step, axis=1, keepdims=True)
    start = replace(truth, frac=truth.frac + step @ to_frac.T, u_iso=np.full(4, 0.08))
    refined, scale, r1 = refine(start, hkl, 3.0 * np.abs(f), hkl, 3.0 * f)
    assert r1 < 0.03
    assert scale == pytest.approx(3.0, rel=0.02)
    assert distances(truth.frac, refined.frac, truth)[:, 0].max() < 0.02
    np.testing.assert_allclose(refined.u_iso, truth.u_iso, atol=0.01)


def test_refinement_moves_special_positions_within_their_element():
    frac = np.array([[0.12, 0.25, 0.31], [0.70, 0.06, 0.75], [0.5, 0.0, 0.0]])
    numbers = np.array([8, 6, 7], np.uint8)
    truth = Structure(SMALL, "P 1 21/m 1", numbers, frac, np.full(3, 0.03), np.ones(3))
    hkl = truth.symmetry.unique_reflections(SMALL, 1.0)
    f = direct_sum(truth, hkl)
    step = np.array([[0.012, 0, -0.01], [0.01, 0.005, -0.01], [0, 0, 0]])
    refined, _, r1 = refine(replace(truth, frac=frac + step), hkl, np.abs(f), hkl, f)
    assert r1 < 0.03
    # The mirror fixes y, the centre everything.
    assert refined.frac[0, 1] == pytest.approx(0.25, abs=1e-6)
    assert refined.frac[2] == pytest.approx([0.5, 0, 0], abs=1e-6)
    assert distances(frac, refined.frac, truth)[:, 0].max() < 0.02


@pytest.mark.parametrize("group", ["P 1 21 1", "P -1", "C 1 2/c 1"])
def test_the_derivatives_are_those_of_the_sum_of_squares(group):
    truth = spread_structure(group, 3, SMALL)
    hkl = truth.symmetry.unique_reflections(SMALL, 1.2)
    f = direct_sum(truth, hkl)
    problem = _Problem(truth, hkl, np.abs(f), hkl, f * 0.8, 0.15, 0.01)
    rng = np.random.default_rng(0)
    p = problem.start() + rng.normal(0, 0.05, 4 * 3 + 3)
    _, gradient, _ = problem.quadratic(p)
    for i in range(len(p)):
        step = np.zeros(len(p))
        step[i] = 1e-5
        slope = (problem.value(p + step) - problem.value(p - step)) / 2e-5
        assert 2 * gradient[i] == pytest.approx(slope, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("group", ["P 1 21 1", "C 1 2/c 1", "F d d 2"])
def test_refinement_counts_f_as_the_direct_sum_does(group):
    truth = spread_structure(group, 3, (8.3, 9.1, 7.4, 90.0, 90.0, 90.0))
    hkl = truth.symmetry.unique_reflections(truth.cell, 1.5)
    f = direct_sum(truth, hkl)
    problem = _Problem(truth, hkl, np.abs(f), hkl, f, 0.15, 0.01)
    rows = {tuple(h): i for i, h in enumerate(problem.hkl.tolist())}
    ours = problem.calculated(problem.start())[[rows[tuple(h)] for h in hkl.tolist()]]
    np.testing.assert_allclose(ours, f, atol=1e-3 * np.abs(f).max())


def test_light_atoms_beside_a_heavy_one_are_no_ripples():
    """Bromine's ripples in a map to 1.5 Å are as high as carbon atoms."""
    structure = spread_structure("P 1 21 1", 8)
    numbers = np.array([35, 6, 6, 6, 6, 6, 6, 6], np.uint8)
    structure = replace(structure, numbers=numbers, u_iso=np.full(8, 0.03))
    crystal = density_crystal(structure)
    f = torch.from_numpy(np.where(crystal.inverse_d2 < 1.3**-2, crystal.f, 0).astype(np.complex64))
    atoms, _ = atoms_from_peaks(f, CELL, structure.symmetry, structure.cell_contents())
    assert atoms.numbers.tolist() == numbers.tolist()
    assert distances(structure.frac, atoms.frac, structure)[:, 0].max() < 0.3


def test_two_atoms_of_a_triple_bond_are_two_though_their_peak_is_one():
    structure = spread_structure("P -1", 6)
    metric_inverse = np.linalg.inv(orthogonalization(CELL))
    axis = np.array([0.6, 0.64, 0.48])
    frac = np.concatenate([structure.frac, structure.frac[:1] + 1.13 * metric_inverse @ axis])
    numbers = np.full(7, 6, np.uint8)
    nitrile = Structure(CELL, "P -1", numbers, frac, np.full(7, 0.04), np.ones(7))
    crystal = density_crystal(nitrile)
    f = torch.from_numpy(np.where(crystal.inverse_d2 < 1.5**-2, crystal.f, 0).astype(np.complex64))
    assert len(find_peaks(f, CELL, nitrile.symmetry, 7).height) >= 6
    atoms, _ = atoms_from_peaks(f, CELL, nitrile.symmetry, nitrile.cell_contents())
    hkl = nitrile.symmetry.unique_reflections(CELL, 1.5)
    true = direct_sum(nitrile, hkl)
    refined, _, r1 = refine(atoms, hkl, np.abs(true), hkl, true)
    assert r1 < 0.03
    assert distances(frac, refined.frac, nitrile)[:, 0].max() < 0.15
