"""Models as refined: displacements, riding hydrogen, errors."""

from __future__ import annotations

import numpy as np

from xrdml.physics.refined import COLD, P_COLD, as_refined, bearers, displacements, hydrogen_distances

# Isopropanol-like: CH3–CH(OH)–CH3, tetrahedra roughly.
NUMBERS = np.array([6, 6, 6, 8, 1, 1, 1, 1, 1], np.uint8)
POSITIONS = np.array(
    [[0, 0, 0], [1.3, 0.8, 0], [-1.3, 0.8, 0], [0, -0.8, 1.15], [0, -0.6, -0.8],
     [1.3, 1.4, 0.7], [1.3, 1.4, -0.7], [2.1, 0.2, 0], [0.2, -1.6, 1.0]]
)  # fmt: skip


def test_displacements_grow_outwards_and_with_hydrogen():
    rng = np.random.default_rng(0)
    numbers = np.array([6] * 9 + [1, 1, 1, 1], np.uint8)
    x = np.zeros((13, 3))
    x[:9, 0] = 1.5 * np.arange(-4, 5)
    x[9:12] = x[8] + np.array([[0.96, 0, 0], [0, 0.96, 0], [0, -0.96, 0]])  # a methyl group
    x[12] = x[4] + (0, 0.96, 0)
    u = np.mean([displacements(numbers, x, rng) for _ in range(400)], axis=0)
    assert u[8] > 1.2 * u[4]
    np.testing.assert_allclose(u[9:12] / u[8], 1.5, rtol=1e-6)
    np.testing.assert_allclose(u[12] / u[4], 1.2, rtol=1e-6)
    np.testing.assert_allclose(u[:9].mean(), 1.0, atol=0.03)


def test_hydrogen_rides_at_the_distances_of_shelxl():
    bearer = bearers(NUMBERS, POSITIONS)
    assert bearer.tolist() == [0, 1, 2, 3, 0, 1, 1, 1, 3]
    # HFIX 13, 137 and 83 at room temperature.
    expected = [0.98, 0.96, 0.96, 0.96, 0.82]
    np.testing.assert_allclose(hydrogen_distances(NUMBERS, POSITIONS, bearer), expected)


def test_models_are_the_molecule_with_small_errors():
    rng = np.random.default_rng(1)
    bearer = bearers(NUMBERS, POSITIONS)[4:]
    lengths, errors = [], []
    for _ in range(300):
        (model,) = as_refined([(NUMBERS, POSITIONS)], rng)
        lengths.append(np.linalg.norm(model.positions[4:] - model.positions[bearer], axis=1))
        errors.append(model.positions[:4] - POSITIONS[:4])
        assert ((model.u > 0.005) & (model.u <= 0.25)).all()
    assert 0.003 < np.std(errors) < 0.012
    np.testing.assert_allclose(
        np.mean(lengths, axis=0), np.array([0.98, 0.96, 0.96, 0.96, 0.82]) + P_COLD * COLD, atol=0.006
    )


def test_errors_of_a_crystal_are_its_own():
    a, b = (as_refined([(NUMBERS, POSITIONS)] * 2, np.random.default_rng(k)) for k in (5, 5))
    np.testing.assert_array_equal(a[1].positions, b[1].positions)
    assert not np.allclose(a[0].positions, a[1].positions, atol=1e-5)
