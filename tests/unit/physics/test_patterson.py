"""The quarter of a Patterson map against sums over the whole sphere and the whole cell."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest
import torch

from xrdml.crystal.grid import HklGrid
from xrdml.crystal.symmetry import symmetry
from xrdml.physics.patterson import LAUE_GROUP, quarter_map, triplet_sums
from xrdml.physics.wilson import expected_amplitude

GRID = HklGrid((-3, 0, 0), (2, 3, 4))
POINTS = (8, 8, 10)  # what triplet_sums chooses for this box


@pytest.fixture(scope="module")
def box():
    """Values of Laue-unique positions, (H, K, L)."""
    unique = (symmetry(LAUE_GROUP).to_asu(GRID.hkl) == GRID.hkl).all(1)
    return (np.random.default_rng(0).normal(size=len(unique)) * unique).reshape(GRID.shape)


def mates(box):
    """Every reflection of the sphere by gemmi's operations: indices (n, 3) and values (n,)."""
    found = {}
    operations = list(gemmi.SpaceGroup(LAUE_GROUP).operations())
    unique = (symmetry(LAUE_GROUP).to_asu(GRID.hkl) == GRID.hkl).all(1)
    for h, x in zip(GRID.hkl[unique].tolist(), box.ravel()[unique], strict=True):
        for op in operations:
            found[tuple(op.apply_to_hkl(h))] = x
            found[tuple(-i for i in op.apply_to_hkl(h))] = x
    return np.array(list(found)), np.array(list(found.values()))


def whole_map(hkl, values):
    """Σ X cos 2πh·u at u = (i + ½)/N over the whole cell, (N₁, N₂, N₃), and the u's."""
    axes = [(np.arange(n) + 0.5) / n for n in POINTS]
    u = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    return np.cos(2 * np.pi * u @ hkl.T) @ values, u


def maps(points=POINTS):
    return quarter_map(GRID.lower, GRID.shape, points, torch.device("cpu"))


def test_the_quarter_is_that_of_the_whole_map(box):
    whole, u = whole_map(*mates(box))
    q = maps()
    got = q.to_map(torch.from_numpy(box)[None, None].float())[0, 0].numpy()
    assert got.shape == q.shape == (4, 4, 10)
    np.testing.assert_allclose(got, whole[:4, :4], atol=1e-4)
    image = u[:4, :4] - np.round([0, 0, 1] * u[:4, :4])
    np.testing.assert_allclose(q.vectors().numpy(), image, atol=1e-6)
    # What lies beyond the faces, as the docstring has it.
    np.testing.assert_allclose(whole[-1], whole[0][:, ::-1], atol=1e-9)
    np.testing.assert_allclose(whole[4], whole[3][:, ::-1], atol=1e-9)
    np.testing.assert_allclose(whole[:, -1], whole[:, 0], atol=1e-9)
    np.testing.assert_allclose(whole[:, 4], whole[:, 3], atol=1e-9)


def test_back_to_the_box(box):
    given = torch.from_numpy(box)[None, None].float()
    back = maps().from_map(maps().to_map(given))
    unique = given != 0
    torch.testing.assert_close(back[unique], given[unique], atol=1e-5, rtol=1e-5)


def test_triplet_sums_are_the_square_of_the_positive_map(box):
    hkl = torch.from_numpy(GRID.hkl).reshape(*GRID.shape, 3)
    s = 0.1 * hkl.float().norm(dim=-1)[None] + 1e-3
    measured = torch.from_numpy(box != 0)[None] & (s < 0.3)
    f = torch.from_numpy(np.abs(box)).float()[None] * measured
    expected = expected_amplitude(f, measured, torch.ones_like(f), s)
    excess = torch.where(measured, (f / expected) ** 2 - 1, 0)[0].double().numpy()
    indices, values = mates(excess)
    whole, u = whole_map(indices, values)
    squares = np.maximum(whole, 0) ** 2
    wanted = [(squares * np.cos(2 * np.pi * u @ h)).mean() for h in ((2, 3, 4), (1, 0, 3), (-2, 1, 4))]
    got = triplet_sums(f / expected, measured, s, GRID.lower)[0]
    ratio = np.array([got[5, 3, 4], got[4, 0, 3], got[1, 1, 4]]) / wanted
    assert ratio == pytest.approx(ratio.mean(), rel=1e-3)  # the unit is the caller's business


def test_a_box_below_zero_is_refused():
    with pytest.raises(ValueError, match="k ≥ 0"):
        quarter_map((0, -1, 0), (3, 3, 3), (8, 8, 8), torch.device("cpu"))
