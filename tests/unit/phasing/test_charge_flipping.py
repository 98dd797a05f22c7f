"""Charge flipping and low-density elimination."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from crystals import direct_sum, spread_structure
from xrdml.crystal.problem import make_problem
from xrdml.crystal.reflections import Reflections
from xrdml.crystal.structure import Structure
from xrdml.data.density import to_density, to_structure_factors
from xrdml.evaluate.reference import compare_with_reference
from xrdml.phasing.charge_flipping import ChargeFlipping, LowDensityElimination, normalised_sphere
from xrdml.phasing.classical import ClassicalOptions, solve_classically

SMALL = (5.3, 6.1, 7.4, 90.0, 104.0, 90.0)


def problem(structure: Structure, d_limit: float):
    hkl = structure.symmetry.unique_reflections(structure.cell, d_limit)
    intensity = np.abs(direct_sum(structure, hkl)) ** 2
    measured = Reflections(hkl, intensity, np.full(len(hkl), 0.01))
    return make_problem(
        measured, structure.cell, structure.symmetry, d_min=d_limit, contents=structure.cell_contents()
    )


def density() -> torch.Tensor:
    return torch.randn(2, 8, 12, 8, generator=torch.Generator().manual_seed(0))


def test_flipping_turns_the_sign_of_all_that_is_below_delta():
    rho = density()
    flipped = to_density(ChargeFlipping(k=1.0)(to_structure_factors(rho)))
    low = rho < rho.std((1, 2, 3), keepdim=True)
    torch.testing.assert_close(flipped[low], -rho[low], atol=1e-5, rtol=0)
    torch.testing.assert_close(flipped[~low], rho[~low], atol=1e-5, rtol=0)


def test_elimination_removes_what_is_negative_and_keeps_what_is_high():
    rho = density()
    rho[0, 3, 3, 3] = 40.0
    left = to_density(LowDensityElimination(atoms=1)(to_structure_factors(rho)))
    assert left[rho < 0].abs().max() < 1e-4
    assert float(left[0, 3, 3, 3]) == pytest.approx(40, rel=1e-3)
    # At c·ρ̂ itself 1 − exp(−½) of a density is left; ρ̂ is 40 in the first map.
    rho[0, 5, 5, 5] = 8.0
    left = to_density(LowDensityElimination(atoms=1)(to_structure_factors(rho)))
    assert float(left[0, 5, 5, 5]) == pytest.approx(8 * (1 - np.exp(-0.5)), rel=1e-3)


def test_the_normalised_sphere_is_flat_in_resolution_and_lets_f000_float():
    structure = spread_structure("P 1 21 1", 5, SMALL)
    p = problem(structure, 0.8)
    s = normalised_sphere(p.measured.hkl, p.f_obs, p.cell, p.symmetry, p.d_limit)
    hkl = p.measured.hkl
    assert (2 * np.abs(hkl).max(0) < np.array(s.shape)).all()  # the grid holds all of the data
    at = s.amplitude.numpy()[tuple((hkl % np.array(s.shape)).T)] ** 2
    d = np.linalg.norm(hkl / np.array(SMALL[:3]), axis=1)
    inner, outer = at[d < np.median(d)].mean(), at[d >= np.median(d)].mean()
    assert outer / inner == pytest.approx(1, abs=0.25)
    assert s.floating[0, 0, 0]
    assert not s.known[0, 0, 0]


@pytest.mark.parametrize("method", ["charge_flipping", "low_density_elimination"])
def test_a_small_crystal_is_solved_from_random_phases_at_0_8_A(method):
    structure = spread_structure("P 1 21 1", 5, SMALL, numbers=(6, 7, 8))
    p = problem(structure, 0.8)
    found = solve_classically(p, ClassicalOptions(method, batch=8, iterations=500, seconds=20))
    assert found.solved
    assert found.r1 < 0.1
    assert found.structure is not None
    agreement = compare_with_reference(structure, p.measured.hkl, found.f, found.structure.frac)
    assert agreement.is_solved
    assert agreement.atoms_matched == 1


def test_it_does_not_claim_to_solve_noise():
    structure = spread_structure("P 1 21 1", 12, (7.7, 8.7, 7.4, 90.0, 104.0, 90.0))
    p = problem(structure, 1.2)
    rng = np.random.default_rng(0)
    noise = Reflections(
        p.measured.hkl, rng.permutation(p.measured.intensity), np.full(len(p.measured.hkl), 0.01)
    )
    q = make_problem(noise, p.cell, p.symmetry, d_min=1.2, contents=p.contents)
    found = solve_classically(q, ClassicalOptions(batch=4, iterations=200, seconds=2))
    assert not found.solved
    assert found.seconds < 20


def test_a_heavy_atom_is_taken_off_on_a_fine_grid_as_well():
    """The grids of the classical methods are finer than that of the prior."""
    structure = spread_structure("P -1", 4, SMALL)
    structure = replace(structure, numbers=np.array([17, 6, 6, 6], np.uint8))
    found = solve_classically(problem(structure, 0.9), ClassicalOptions(seconds=10))
    assert found.solved
    assert sorted(found.structure.numbers.tolist()) == [6, 6, 6, 17]
