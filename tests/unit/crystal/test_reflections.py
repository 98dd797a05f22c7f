"""Merging of equivalents against plain loops and gemmi."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from xrdml.crystal.reflections import Reflections, merge
from xrdml.crystal.symmetry import symmetry

P21 = symmetry("P21")


def make(rows) -> Reflections:
    table = np.array(rows, dtype=float)
    return Reflections(table[:, :3].astype(np.int32), table[:, 3], table[:, 4])


def random_reflections(n=4000, seed=3, lowest=1.0) -> Reflections:
    rng = np.random.default_rng(seed)
    hkl = rng.integers(-5, 6, (n, 3)).astype(np.int32)
    hkl = hkl[hkl.any(1)]
    return Reflections(hkl, rng.normal(50, 40, len(hkl)), rng.uniform(lowest, 9, len(hkl)))


def test_two_equivalents_by_hand():
    # Weights 1 and 1/4: mean (10 + 20/4)/1.25 = 12; scatter (4 + 64/4)/1.25 = 16; 1/Σw = 0.8.
    merged = merge(make([(1, 2, 3, 10, 1), (-1, 2, -3, 20, 2)]), P21)
    assert merged.reflections.hkl.tolist() == [[1, 2, 3]]
    assert merged.reflections.intensity[0] == pytest.approx(12)
    assert merged.reflections.sigma[0] == pytest.approx(4)
    assert merged.redundancy.tolist() == [2]
    assert merged.r_int == pytest.approx((2 + 8) / 30)
    assert merged.r_sigma == pytest.approx(4 / 12)


def test_sigma_of_observations_that_agree_is_that_of_the_weights():
    merged = merge(make([(1, 2, 3, 10, 3), (1, 2, 3, 10, 3), (1, -2, 3, 10, 3)]), P21)
    assert merged.reflections.sigma[0] == pytest.approx(3 / np.sqrt(3))
    assert merged.r_int == 0


def test_sorted_absences_kept_but_not_counted():
    merged = merge(make([(2, 0, 1, 5, 1), (0, 1, 0, 3, 1), (0, -1, 0, 9, 1), (1, 0, 0, 7, 1)]), P21)
    assert merged.reflections.hkl.tolist() == [[0, 1, 0], [1, 0, 0], [2, 0, 1]]
    assert merged.r_int is None
    assert merged.r_sigma == pytest.approx(2 / 12)


def test_sigma_zero_has_no_weight_beside_others():
    merged = merge(make([(1, 2, 3, 10, 2), (1, 2, 3, 99, 0), (1, 1, 1, 5, -1), (1, 1, 1, 7, 0)]), P21)
    assert merged.reflections.hkl.tolist() == [[1, 1, 1], [1, 2, 3]]
    assert merged.reflections.intensity == pytest.approx([6, 10])
    # The scatter of 5 and 7 is √(2·1/(1·2)) = 1; two median σ's promise 2/√2.
    assert merged.reflections.sigma == pytest.approx([np.sqrt(2), 2])
    assert merged.redundancy.tolist() == [2, 2]


def test_nothing_to_merge():
    with pytest.raises(ValueError, match="positive sigma"):
        merge(make([(1, 2, 3, 10, 0)]), P21)
    with pytest.raises(ValueError, match="sigma: expected shape"):
        Reflections(np.zeros((3, 3), dtype=np.int32), np.zeros(3), np.zeros(2))


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_scale_does_not_matter(scale):
    data = random_reflections(500)
    scaled = merge(Reflections(data.hkl, data.intensity * scale, data.sigma * scale), P21)
    plain = merge(data, P21)
    assert scaled.reflections.intensity / scale == pytest.approx(plain.reflections.intensity)
    assert scaled.reflections.sigma / scale == pytest.approx(plain.reflections.sigma)
    assert scaled.r_int == pytest.approx(plain.r_int)


@pytest.mark.parametrize("name", ["P-1", "P21/n", "C2", "P212121", "R-3:H", "P6322", "Ia-3d"])
def test_against_a_plain_loop_and_gemmi(name):
    group, data = symmetry(name), random_reflections()
    merged = merge(data, group)

    laue = [np.array(op.rot) // 24 for op in gemmi.SpaceGroup(group.name).operations().sym_ops]
    groups: dict[tuple, list[int]] = {}
    for i, h in enumerate(data.hkl):
        orbit = [tuple(sign * (h @ r)) for r in laue for sign in (1, -1)]
        groups.setdefault(max(orbit), []).append(i)
    assert len(groups) == len(merged.redundancy)
    above = below = 0.0
    for h, members in groups.items():
        weight = data.sigma[members] ** -2
        intensity = data.intensity[members]
        mean = (weight * intensity).sum() / weight.sum()
        if len(members) > 1 and not gemmi.SpaceGroup(group.name).operations().is_systematically_absent(h):
            above += np.abs(intensity - mean).sum()
            below += intensity.sum()
    assert merged.r_int == pytest.approx(above / below)

    reference = gemmi.Intensities()
    reference.set_data(
        gemmi.UnitCell(10, 10, 10, 90, 90, 90),
        gemmi.SpaceGroup(group.laue_group.xhm()),
        data.hkl,
        data.intensity,
        data.sigma,
    )
    reference.merge_in_place(gemmi.DataType.Mean)
    order = np.lexsort(reference.miller_array.T[::-1])
    assert (reference.miller_array[order] == merged.reflections.hkl).all()
    assert reference.value_array[order] == pytest.approx(merged.reflections.intensity)
    # Ours adds the scatter: never below gemmi's.
    assert (merged.reflections.sigma >= reference.sigma_array[order] * (1 - 1e-9)).all()
    assert (reference.nobs_array[order] == merged.redundancy).all()
