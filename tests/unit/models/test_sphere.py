"""Expansion and transform against direct sums over the whole sphere."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest
import torch

from xrdml.crystal.grid import HklGrid
from xrdml.crystal.symmetry import symmetry
from xrdml.models._sphere import sphere
from xrdml.models.fft_unet import FFTUNet
from xrdml.models.layout import Layout

GRID = HklGrid((-3, 0, 0), (2, 3, 4))


def intensities(seed=0):
    """|F|² on Laue-unique positions of the box, and of every mate on the sphere by gemmi's operations."""
    hkl = GRID.hkl
    unique = (symmetry("P 1 2/m 1").to_asu(hkl) == hkl).all(1)
    value = np.random.default_rng(seed).random(len(hkl)) * unique
    mates: dict[tuple[int, ...], float] = {}
    operations = list(gemmi.SpaceGroup("P 1 2/m 1").operations())
    for h, x in zip(hkl[unique].tolist(), value[unique], strict=True):
        for op in operations:
            mates[tuple(op.apply_to_hkl(h))] = x
            mates[tuple(-i for i in op.apply_to_hkl(h))] = x
    return torch.from_numpy(value.reshape(1, 1, *GRID.shape)).float(), mates


def maps(multiple=1):
    return sphere(GRID.lower, GRID.shape, torch.device("cpu"), multiple)


@pytest.mark.parametrize("multiple", [1, 4])
def test_the_map_is_the_patterson_function(multiple):
    """Σ |F|² cos 2πh·u, one reflection and one point at a time."""
    box, mates = intensities()
    s = maps(multiple)
    assert all(n % multiple == 0 for n in s.full)
    got = s.to_map(s.expand(box))[0, 0].numpy()
    hkl, values = np.array(list(mates)), np.array(list(mates.values()))
    for point in np.random.default_rng(1).integers(0, s.full, (25, 3)):
        u = point / np.array(s.full)
        expected = (values * np.cos(2 * np.pi * hkl @ u)).sum() / np.sqrt(np.prod(s.full))
        assert got[tuple(point)] == pytest.approx(expected, abs=1e-4)


def test_back_to_the_box():
    box, _ = intensities()
    s = maps(4)
    unique = torch.from_numpy((symmetry("P 1 2/m 1").to_asu(GRID.hkl) == GRID.hkl).all(1).reshape(GRID.shape))
    back = s.collect(s.from_map(s.to_map(s.expand(box))))
    torch.testing.assert_close(back[0, 0][unique], box[0, 0][unique])
    expanded = s.expand(box)
    torch.testing.assert_close(s.transform(s.transform(expanded)), expanded)


def test_what_comes_back_from_any_map_has_the_symmetry():
    """Of a map without symmetry, the mean over the four mates, computed directly."""
    s = maps()
    rng = np.random.default_rng(2)
    density = rng.normal(size=s.full)
    back = s.collect(s.from_map(torch.from_numpy(density)[None, None]))[0, 0].numpy()
    full = np.fft.fftn(density) / np.sqrt(np.prod(s.full))
    for h, k, l in ((0, 1, 1), (2, 3, 4), (-3, 0, 2), (1, 0, 0)):
        expected = np.mean([full[h, k, l], full[h, -k, l], full[-h, k, -l], full[-h, -k, -l]]).real
        assert back[h + 3, k, l] == pytest.approx(expected, abs=1e-5)


def test_the_network_sees_mates_as_equal():
    """A reflection of the plane l = 0 stored by its mate (−h, k, 0) gives the same Fourier units' output."""
    torch.manual_seed(0)
    network = FFTUNet(1, 4, form="full_sphere").eval()
    s = maps()
    box, _ = intensities()
    mirrored = box.clone()
    # (h, k, 0) and (−h, k, 0) are mates; only h ≥ 0 is looked at.
    mirrored[..., :3, :, 0] = 7.0
    torch.testing.assert_close(s.expand(mirrored), s.expand(box))
    out = network(box, Layout(GRID.lower, torch.ones(1, *GRID.shape, dtype=torch.bool)))
    assert out.shape == (1, *GRID.shape)
    assert out.isfinite().all()


def test_a_box_below_zero_is_refused():
    with pytest.raises(ValueError, match="k ≥ 0"):
        sphere((0, -1, 0), (3, 3, 3), torch.device("cpu"))
