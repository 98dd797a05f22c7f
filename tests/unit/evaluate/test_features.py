"""Features of crystals: by hand, by Wilson's theory, and on published crystals."""

from __future__ import annotations

from itertools import pairwise

import gemmi
import numpy as np
import pytest

from crystals import MONOCLINIC, direct_sum, random_structure
from xrdml.crystal.cif import DEFAULT_U_ISO, read_structure
from xrdml.crystal.structure import Structure
from xrdml.evaluate.features import (
    FEATURES,
    amplitudes,
    cell_features,
    crystal_features,
    displacement_features,
    distance_features,
    one_three_distances,
    ordered_atoms,
    radial_curve,
)

CUBE = (10.0, 10.0, 10.0, 90.0, 90.0, 90.0)


def structure_of(group, cell, frac, numbers, u=0.04, occupancy=1.0) -> Structure:
    n = len(frac)
    return Structure(
        cell, group, np.array(numbers, np.uint8), np.array(frac, float),
        np.broadcast_to(u, n).astype(float), np.broadcast_to(occupancy, n).astype(float),
    )  # fmt: skip


def test_names_and_order():
    assert list(crystal_features(random_structure())) == list(FEATURES)


def test_a_right_angle_of_three_atoms():
    """Bonds 1.5 and 2.0 Å (C–S) at 90°: 1–3 distance 2.5 Å; no H, no minor parts."""
    frac = [[0, 0, 0], [0.15, 0, 0], [0, 0.2, 0], [0.1, 0.1, 0], [0.05, 0, 0]]
    structure = structure_of("P 1", CUBE, frac, [6, 6, 16, 1, 6], occupancy=[1, 1, 1, 1, 0.4])
    atoms = ordered_atoms(structure)
    found = distance_features(atoms)
    assert one_three_distances(atoms) == pytest.approx([2.5])
    assert found["bond_mean"] == pytest.approx(1.75)
    assert found["bond_std"] == pytest.approx(0.25)
    assert (found["bond_min"], found["bond_max"]) == pytest.approx((1.5, 2.0))
    assert found["bonds_per_atom"] == pytest.approx(4 / 3)
    assert found["nearest_mean"] == pytest.approx((1.5 + 1.5 + 2) / 3)
    assert np.isnan(found["contact_min"])


def test_all_one_three_distances_of_a_tetrahedron():
    """Four atoms 1.5 Å about one: six distances of 1.5·√(8/3) Å."""
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.15 / np.sqrt(3)
    structure = structure_of("P 1", CUBE, [[0, 0, 0], *corners], [6] * 5)
    assert one_three_distances(ordered_atoms(structure)) == pytest.approx([1.5 * np.sqrt(8 / 3)] * 6)


def test_contacts():
    structure = structure_of("P 1", (3.6, 10.0, 10.0, 90.0, 90.0, 90.0), [[0, 0, 0], [0, 0.12, 0]], [6, 8])
    found = distance_features(ordered_atoms(structure))
    assert found["contact_min"] == found["contact_mean"] == pytest.approx(3.6)
    radius = max(gemmi.Element(6).vdw_r, gemmi.Element(8).vdw_r)
    assert found["contact_over_vdw"] == pytest.approx(3.6 / 2 / radius)


def test_cell():
    structure = structure_of(
        "P -1", (12.0, 4.0, 6.0, 90.0, 80.0, 95.0), [[0, 0, 0], [0.2, 0.2, 0.2], [0.3, 0.3, 0.3]], [6, 6, 1]
    )
    found = cell_features(structure)
    assert (found["axis_ratio_mid"], found["axis_ratio_long"], found["beta"]) == (1.5, 3.0, 100.0)
    assert found["volume_per_non_h"] == pytest.approx(gemmi.UnitCell(*structure.cell).volume / 3)


def test_displacements():
    structure = structure_of("P 1", CUBE, np.eye(3) / 3, [6, 6, 1], u=[0.02, 0.08, 0.5])
    found = displacement_features(structure)
    assert found["u_median"] == pytest.approx(0.05)
    assert found["u_spread"] == pytest.approx(np.log(2))
    assert found["u_max_over_median"] == pytest.approx(1.6)
    assumed = structure_of("P 1", CUBE, np.eye(3) / 3, [6, 6, 6], u=np.float32(DEFAULT_U_ISO))
    assert np.isnan(list(displacement_features(assumed).values())).all()


@pytest.mark.parametrize("group", ["P 1 21 1", "P 1 21/c 1"])
def test_moments_of_e_follow_wilson(group):
    """P2₁ has a centric zone: its mean lies between the two theoretical ones, by their numbers."""
    crystals = [random_structure(group, n=60, seed=i) for i in range(4)]
    centric = amplitudes(crystals[0]).centric.mean()
    for name, of_acentric, of_centric, tolerance in (
        ("e_mean", np.sqrt(np.pi) / 2, np.sqrt(2 / np.pi), 0.01),
        ("e2_minus_1", 2 / np.e, 0.968, 0.025),
        ("e4_mean", 2, 3, 0.25),
    ):
        found = np.mean([crystal_features(crystal)[name] for crystal in crystals])
        expected = centric * of_centric + (1 - centric) * of_acentric
        assert found == pytest.approx(expected, abs=tolerance), name


def test_radial_curve_against_a_direct_sum():
    structure = random_structure("C 1 2 1", n=8)
    edges = np.linspace(0, 1.5, 4)
    hkl = structure.symmetry.unique_reflections(MONOCLINIC, 0.8)
    power = np.abs(direct_sum(structure, hkl)) ** 2 / structure.symmetry.epsilon(hkl)
    q = np.array([gemmi.UnitCell(*MONOCLINIC).calculate_1_d2(h) for h in hkl.tolist()])
    z2 = sum(4 * gemmi.Element(int(z)).it92.calculate_sf(0) ** 2 for z in structure.numbers)
    expected = [np.sqrt(power[(q >= a) & (q < b)].mean() / z2) for a, b in pairwise(edges)]
    assert radial_curve(amplitudes(structure), edges) == pytest.approx(expected, rel=1e-4)
    assert np.isnan(radial_curve(amplitudes(structure), np.array([2.0, 3.0, 4.0]))).all()


def test_published_crystals_look_as_expected(shared_data):
    """SCIENCE §5: bonds 1.2–1.54 Å, 1–3 distances 2.2–2.6 Å, contacts above 2.5 Å, 18 Å³ per atom."""
    for name in ("COD_2200000", "FinalCif-DK-Zucker2-0m"):
        found = crystal_features(read_structure(shared_data / "measured" / name / "structure.cif"))
        assert 1.15 < found["bond_min"] < found["bond_mean"] < found["bond_max"] < 1.6
        assert 2.1 < found["one_three_min"] < found["one_three_mean"] < 2.6
        assert 2.5 < found["contact_min"] < found["contact_mean"] < 4
        assert 14 < found["volume_per_non_h"] < 20
        assert 0.005 < found["u_median"] < 0.08
