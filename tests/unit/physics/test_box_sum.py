"""Sums over whole boxes of indices against the direct sum, which other tests hold against cctbx and gemmi."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from crystals import direct_sum, random_structure
from xrdml.crystal.grid import HklGrid
from xrdml.physics import box_sum, structure_factors
from xrdml.physics.box_sum import amplitudes_in_box, sums_in_box
from xrdml.physics.crystal_batch import collate

BOX = HklGrid((-5, -3, -1), (4, 6, 7))
CELLS = {
    "monoclinic": (7.7, 8.7, 10.8, 90.0, 103.0, 90.0),
    "monoclinic c": (7.7, 8.7, 10.8, 90.0, 90.0, 103.0),
    "monoclinic a": (7.7, 8.7, 10.8, 103.0, 90.0, 90.0),
    "orthorhombic": (7.2, 9.1, 11.3, 90.0, 90.0, 90.0),
    "tetragonal": (8.1, 8.1, 12.4, 90.0, 90.0, 90.0),
    "hexagonal": (9.3, 9.3, 11.9, 90.0, 90.0, 120.0),
    "cubic": (11.2, 11.2, 11.2, 90.0, 90.0, 90.0),
}
GROUPS = {
    "monoclinic": ["P 1 21 1", "C 1 2 1", "I 1 2 1", "P 1 21/c 1", "P 1 21/n 1", "C 1 2/c 1", "C 1 m 1"],
    "monoclinic c": ["P 1 1 21/b", "B 1 1 2"],
    "monoclinic a": ["P 21/b 1 1"],
    "orthorhombic": ["P 21 21 21", "P b c a", "P n a 21", "F d d 2", "F d d d:1", "F d d d:2", "P 1"],
    "tetragonal": ["P 41 21 2", "I 41/a m d:1", "I 41/a:2"],
    "hexagonal": ["P 31 2 1", "R 3:H", "R -3 c:H", "P 61", "P 63/m m c"],
    "cubic": ["P 21 3", "I a -3 d", "F d -3 m:1"],
}
CASES = [(system, name) for system, names in GROUPS.items() for name in names]


def plain(structure, hkl) -> np.ndarray:
    return structure_factors.structure_factors(collate([structure], torch.float64), hkl)[0].numpy()


@pytest.fixture
def direct(monkeypatch):
    """Everything summed directly."""
    monkeypatch.setattr(structure_factors, "DENSE", 1e9)


@pytest.mark.usefixtures("direct")
@pytest.mark.parametrize(("system", "name"), CASES)
def test_box_equals_direct_sum(system, name):
    structures = [random_structure(name, CELLS[system], n=n, seed=n) for n in (5, 1, 8)]
    batch = collate(structures, torch.float64)
    hkl = torch.from_numpy(BOX.hkl)
    for members, axis, f in sums_in_box(batch, BOX, torch.full((3,), 9.0, dtype=torch.float64)):
        assert members == [0, 1, 2]
        order = [i for i in range(3) if i != axis] + [axis]
        for k, structure in enumerate(structures):
            expected = plain(structure, hkl).reshape(BOX.shape).transpose(order)
            np.testing.assert_allclose(f[k].numpy(), expected, atol=1e-8)


@pytest.mark.parametrize("elements", [1, 3000, 10**8])
def test_limit_tiles_and_mixed_groups(monkeypatch, elements):
    """Every reflection within its crystal's own limit is right, whatever is computed together."""
    monkeypatch.setattr(box_sum, "ELEMENTS_CPU", elements)
    names = ["C 1 2 1", "P 1 21/c 1", "P 21 21 21", "C 1 2 1"]
    cells = [CELLS["orthorhombic" if n == "P 21 21 21" else "monoclinic"] for n in names]
    structures = [
        random_structure(n, c, n=4 + k, seed=k) for k, (n, c) in enumerate(zip(names, cells, strict=True))
    ]
    batch = collate(structures)
    limit = torch.tensor([0.05, 0.39, 0.2, 0.1])
    found = amplitudes_in_box(batch, BOX, limit)
    assert found.shape == (4, *BOX.shape)
    for k, s in enumerate(structures):
        f = np.abs(direct_sum(s, BOX.hkl)).reshape(BOX.shape)
        s2 = structure_factors.s_squared(batch.reciprocal_metric[k : k + 1], torch.from_numpy(BOX.hkl))
        inside = (s2 <= limit[k]).reshape(BOX.shape).numpy()
        assert inside.sum() > 20
        rms = np.sqrt((f[inside] ** 2).mean())
        np.testing.assert_allclose(found[k].numpy()[inside], f[inside], atol=2e-5 * rms)


def test_gradients():
    """∂|F|²/∂(x, U, weight) through the box equals the finite difference."""
    batch = collate([random_structure("P 21 21 21", CELLS["orthorhombic"], n=3)], torch.float64)
    box, limit = HklGrid((0, 0, 0), (1, 2, 1)), torch.ones(1, dtype=torch.float64)

    def total(frac, u_iso, weight):
        crystal = replace(batch, frac=frac, u_iso=u_iso, weight=weight)
        return amplitudes_in_box(crystal, box, limit).square().sum()

    inputs = tuple(t.clone().requires_grad_() for t in (batch.frac, batch.u_iso, batch.weight))
    assert torch.autograd.gradcheck(total, inputs, eps=1e-6, rtol=1e-4)


def test_no_column_axis_is_refused():
    batch = collate([random_structure("P -1", (7.1, 8.3, 9.7, 81.0, 98.0, 107.0), n=2)])
    assert batch.column_axes == [None]
    with pytest.raises(ValueError, match="P -1"):
        amplitudes_in_box(batch, BOX, torch.ones(1))


def test_lists_and_masks_take_either_way(monkeypatch):
    """One list a crystal, with padding: the same by box and directly, and mixed with triclinic crystals."""
    names = ["P 1 21 1", "P -1", "P 21 21 21"]
    cells = [CELLS["monoclinic"], (7.1, 8.3, 9.7, 81.0, 98.0, 107.0), CELLS["orthorhombic"]]
    structures = [random_structure(n, c, n=6) for n, c in zip(names, cells, strict=True)]
    lists = [s.symmetry.unique_reflections(s.cell, 0.9) for s in structures]
    m = max(map(len, lists))
    hkl, mask = torch.zeros(3, m, 3, dtype=torch.int32), torch.zeros(3, m, dtype=torch.bool)
    for k, one in enumerate(lists):
        hkl[k, : len(one)], mask[k, : len(one)] = torch.from_numpy(one), True
    batch = collate(structures, torch.float64)
    by_box = structure_factors.structure_factors(batch, hkl, mask)
    monkeypatch.setattr(structure_factors, "sums_in_box", None)
    monkeypatch.setattr(structure_factors, "DENSE", 1e9)
    directly = structure_factors.structure_factors(batch, hkl, mask)
    torch.testing.assert_close(by_box, directly, rtol=0, atol=1e-9)
    assert (by_box[~mask] == 0).all()
