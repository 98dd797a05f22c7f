"""Wilson statistics and residuals against hand-computed values and made-up crystals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystals import MONOCLINIC, direct_sum, random_structure
from xrdml.crystal.cell import inverse_d_squared
from xrdml.crystal.scattering import form_factor, it92_table
from xrdml.crystal.statistics import (
    bootstrap_interval,
    normalised,
    pooled_correlation,
    r_factor,
    shell_edges,
    shell_index,
    shell_mean,
)
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import symmetry
from xrdml.crystal.wilson import fit_wilson, sum_f_squared


def test_r_factor_by_hand():
    assert r_factor(np.array([10.0, 20.0, 30.0]), np.array([12.0, 18.0, -33.0])) == pytest.approx(7 / 60)
    assert np.isnan(r_factor(np.zeros(2), np.ones(2)))


def test_shells_of_equal_volume():
    edges = shell_edges(1.0, 8)
    np.testing.assert_allclose(np.diff(edges**1.5), 1 / 8)
    hkl = symmetry("P1").unique_reflections((12.0, 13.0, 14.0, 90.0, 90.0, 90.0), 1.0)
    counts = np.bincount(shell_index(inverse_d_squared((12, 13, 14, 90, 90, 90), hkl), edges), minlength=8)
    assert np.abs(counts / counts.mean() - 1).max() < 0.1  # the lattice is not a continuum
    assert shell_edges(0.8, 4, d_max=1.5)[[0, -1]] == pytest.approx([1.5**-2, 0.8**-2])


def test_shell_mean_by_hand():
    means = shell_mean(np.array([1.0, 3.0, 10.0]), np.array([0, 0, 2]), 3)
    np.testing.assert_allclose(means, [2, np.nan, 10])


def test_form_factors():
    """f(0) is the number of electrons; carbon at s = 0.5 Å⁻¹ is 1.685 (Int. Tables C, 6.1.1.1)."""
    z = np.arange(1, 93)
    np.testing.assert_allclose(form_factor(z, np.zeros(1)), z, atol=0.06)
    assert form_factor(6, np.array(0.25)) == pytest.approx(1.685, abs=0.01)
    assert (it92_table()[0] == 0).all()


@pytest.mark.parametrize(("name", "moment"), [("P 1 21 1", 0.736), ("P -1", 0.968)])
def test_e_statistics(name, moment):
    """⟨|E|²⟩ = 1 and ⟨|E²−1|⟩ 0.736 acentric, 0.968 centric, in the limit of many atoms: 100 here."""
    group = symmetry(name)
    cell = MONOCLINIC if name == "P 1 21 1" else (7.1, 8.3, 9.6, 80.0, 95.0, 102.0)
    squares = []
    for seed in range(6):
        hkl = group.unique_reflections(cell, 0.9)
        f = np.abs(direct_sum(random_structure(name, cell, n=100, seed=seed), hkl))
        e = normalised(
            f, group.epsilon(hkl).astype(float), inverse_d_squared(cell, hkl), shell_edges(0.9, 10)
        )
        assert (e**2).mean() == pytest.approx(1, abs=1e-9)
        squares.append(e[group.is_centric(hkl) == group.is_centrosymmetric] ** 2)
    assert np.abs(np.concatenate(squares) - 1).mean() == pytest.approx(moment, abs=0.02)


def test_a_radial_curve_has_no_e_correlation():
    """Any smooth curve of resolution, whatever centric reflections get, correlates with nothing."""
    group = symmetry("P21")
    hkl = group.unique_reflections(MONOCLINIC, 0.8)
    inverse_d2, centric = inverse_d_squared(MONOCLINIC, hkl), group.is_centric(hkl)
    edges, epsilon = shell_edges(0.8, 8), group.epsilon(hkl).astype(float)
    e_true = normalised(np.abs(direct_sum(random_structure(), hkl)), epsilon, inverse_d2, edges)
    curve = np.exp(-2 * inverse_d2) * np.where(centric, 0.67, 0.83)
    e_curve = normalised(curve, epsilon, inverse_d2, edges)
    assert abs(np.nan_to_num(pooled_correlation(e_true, e_curve, centric))) < 0.08


def test_pooled_correlation_by_hand():
    group = np.array([0, 0, 1, 1])
    assert pooled_correlation(np.array([1.0, 2, 11, 12]), np.array([5.0, 7, 1, 3]), group) == pytest.approx(1)
    # groups whose means alone differ correlate with nothing
    assert np.isnan(pooled_correlation(np.array([1.0, 1, 2, 2]), np.array([3.0, 3, 4, 4]), group))


@pytest.mark.parametrize(("u_iso", "scale"), [(0.02, 1.0), (0.05, 250.0)])
def test_wilson_fit_recovers_scale_and_b(u_iso, scale):
    """Data to 0.8 Å of random atoms decide B = 8π²U against the prior; averaged over crystals."""
    group = symmetry("P21")
    hkl = group.unique_reflections(MONOCLINIC, 0.8)
    fits = []
    for seed in range(6):
        structure = random_structure(n=25, seed=seed, u_iso=u_iso)
        intensity = scale * np.abs(direct_sum(structure, hkl)) ** 2
        fits.append(fit_wilson(hkl, intensity, MONOCLINIC, group, structure.cell_contents()))
    assert np.mean([f.b_iso for f in fits]) == pytest.approx(8 * np.pi**2 * u_iso, abs=0.5)
    assert np.mean([f.scale for f in fits]) == pytest.approx(scale, rel=0.25)
    assert fits[0].b_sigma < 0.6


def test_wilson_needs_intensity():
    hkl = symmetry("P21").unique_reflections(MONOCLINIC, 1.5)
    with pytest.raises(ValueError, match="positive mean"):
        fit_wilson(hkl, np.full(len(hkl), -1.0), MONOCLINIC, symmetry("P21"))


def test_sum_f_squared_by_hand():
    assert sum_f_squared({"C": 2, "O": 1}, np.zeros(1)) == pytest.approx(2 * 36 + 64, rel=2e-3)


def test_cell_contents_count_special_positions_once():
    structure = Structure(
        (7.1, 8.3, 9.6, 80.0, 95.0, 102.0), "P -1", np.array([8, 6, 1], np.uint8),
        np.array([[0, 0, 0], [0.2, 0.1, 0.3], [0.7, 0.1, 0.3]]), np.full(3, 0.03), np.array([1, 1, 0.5]),
    )  # fmt: skip
    assert structure.cell_contents() == {"C": 2, "H": 1, "O": 1}
    with pytest.raises(ValueError, match=r"u_iso: expected shape \(3,\)"):
        Structure(structure.cell, "P -1", structure.numbers, structure.frac, np.zeros(2), np.ones(3))


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30))
def test_bootstrap_interval_holds_the_mean(values):
    low, high = bootstrap_interval(np.array(values))
    assert low - 1e-9 <= np.mean(values) <= high + 1e-9 or len(set(values)) > 1
    assert low <= high


def test_bootstrap_width_matches_the_standard_error():
    values = np.random.default_rng(1).normal(3, 2, 400)
    low, high = bootstrap_interval(values)
    assert (high - low) == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.05)
    assert np.isnan(bootstrap_interval(np.array([1.0]))).all()
