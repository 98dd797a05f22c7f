"""Tensors against gemmi's reflections and against the definition of every mask."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest
import torch

from crystals import complaint, direct_sum, random_structure
from xrdml.crystal.cell import d_spacing
from xrdml.crystal.grid import GridTooSmall, HklGrid
from xrdml.crystal.symmetry import symmetry
from xrdml.data import keys
from xrdml.data.tensors import Amplitudes, Limits, measured_tensors, simulated_tensors
from xrdml.physics.structure_factors import collate

GRID = HklGrid.thesis()
MASKS = (keys.MEASURED, keys.PREDICT, keys.ABSENT)
MONOCLINIC_GROUPS = [
    "P 1 21 1",
    "C 1 2 1",
    "I 1 2 1",
    "P 1 21/c 1",
    "P 1 21/n 1",
    "P 1 21/a 1",
    "C 1 2/c 1",
    "P 1 m 1",
]


def tensors(names, grid=GRID, limits=None, **options):
    structures = [random_structure(name, seed=i, **options) for i, name in enumerate(names)]
    return structures, simulated_tensors(collate(structures), grid, limits or Limits())


def at(batch, name: str, row: int) -> np.ndarray:
    return batch[name][row].numpy()


@pytest.mark.parametrize("name", MONOCLINIC_GROUPS)
def test_masks_position_by_position(name):
    """Each position of the grid by itself, from the definitions."""
    _, batch = tensors([name])
    structure, group = random_structure(name), symmetry(name)
    hkl = GRID.hkl
    d = d_spacing(structure.cell, hkl).reshape(GRID.shape)
    images = np.einsum("ni,sij->nsj", hkl, group.rotations)
    phase = np.exp(2j * np.pi * np.einsum("ni,si->ns", hkl, group.translations))
    same = (images == hkl[:, None]).all(2)
    absent = (np.abs(phase - 1) * same > 1e-6).any(1).reshape(GRID.shape)
    centric = (images == -hkl[:, None]).all(2).any(1)
    inside, seen = d >= 0.8, at(batch, keys.MEASURED, 0)
    asked, gone = at(batch, keys.PREDICT, 0), at(batch, keys.ABSENT, 0)

    np.testing.assert_array_equal((seen | asked) & absent, False)
    np.testing.assert_array_equal(gone & ~absent, False)
    np.testing.assert_array_equal((seen | asked | gone) & ~inside, False)
    np.testing.assert_array_equal(seen, (seen | asked) & (d >= 1.5))
    np.testing.assert_array_equal(at(batch, keys.CENTRIC, 0).ravel(), centric)
    np.testing.assert_array_equal(at(batch, keys.EPSILON, 0).ravel(), same.sum(1))
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(at(batch, keys.S, 0), 1 / (2 * d), rtol=1e-6)
    # Of each set of equivalents in the sphere, exactly one position is taken.
    taken = {tuple(h) for h, used in zip(hkl.tolist(), (seen | asked | gone).ravel(), strict=True) if used}
    everything = {tuple(h) for h in hkl[inside.ravel() & hkl.any(1)].tolist()}
    for h in everything:
        equivalents = np.array(h) @ group.rotations
        equivalents = {tuple(e) for e in np.concatenate([equivalents, -equivalents]).tolist()}
        assert len(equivalents & taken) == 1


@pytest.mark.parametrize("name", MONOCLINIC_GROUPS)
def test_reflections_are_those_of_gemmi(name):
    structures, batch = tensors([name])
    cell = gemmi.UnitCell(*structures[0].cell)
    group = gemmi.SpaceGroup(name)
    for limit, mask in ((0.8, keys.KNOWN), (1.5, keys.MEASURED)):
        expected = gemmi.make_miller_array(cell, group, limit, 0, True)
        expected = symmetry(name).to_asu(expected)
        got = GRID.hkl[at(batch, mask, 0).ravel()]
        assert {tuple(h) for h in got.tolist()} == {tuple(h) for h in expected.tolist()}


def test_amplitudes_scale_and_input():
    structures, batch = tensors(["P 1 21 1", "P 1 21/c 1", "C 1 2 1"])
    for i, structure in enumerate(structures):
        measured, known = at(batch, keys.MEASURED, i), at(batch, keys.KNOWN, i)
        f = np.zeros(GRID.shape)
        f[known] = np.abs(direct_sum(structure, GRID.hkl[known.ravel()]))
        scale = f[measured].max()
        assert float(batch[keys.F_SCALE][i]) == pytest.approx(scale, rel=1e-5)
        np.testing.assert_allclose(at(batch, keys.F_TARGET, i), f / scale, atol=1e-5)
        np.testing.assert_array_equal(at(batch, keys.F_INPUT, i), at(batch, keys.F_TARGET, i) * measured)
        assert at(batch, keys.F_INPUT, i).max() == 1
    assert batch[keys.SPACE_GROUP] == [s.space_group for s in structures]
    np.testing.assert_allclose(batch[keys.CELL].numpy(), [s.cell for s in structures])


def test_masks_do_not_overlap():
    _, batch = tensors(MONOCLINIC_GROUPS)
    assert sum(batch[name].int() for name in MASKS).max() == 1
    assert torch.equal(batch[keys.KNOWN], batch[keys.MEASURED] | batch[keys.PREDICT])


def test_other_grids_and_limits():
    grid, limits = HklGrid((-4, -5, 0), (4, 5, 6)), Limits(2.5, 2.0)
    structures, batch = tensors(["P -1"], grid, limits, cell=(7.1, 8.3, 9.7, 81.0, 98.0, 107.0))
    known = grid.hkl[at(batch, keys.KNOWN, 0).ravel()]
    expected = structures[0].symmetry.unique_reflections(structures[0].cell, 2.0)
    assert sorted(known.tolist()) == sorted(expected.tolist())
    assert at(batch, keys.MEASURED, 0).sum() == len(
        structures[0].symmetry.unique_reflections(structures[0].cell, 2.5)
    )


def measured(name="P 1 21 1", seed=0, d_min=0.8):
    structure = random_structure(name, seed=seed)
    hkl = structure.symmetry.unique_reflections(structure.cell, d_min)
    return structure, Amplitudes(
        structure.cell, structure.symmetry, hkl, np.abs(direct_sum(structure, hkl)) * 7
    )


def test_measured_equals_simulated_on_calculated_amplitudes():
    both = [measured("P 1 21 1", 1), measured("C 1 2 1", 2)]
    expected = simulated_tensors(collate([s for s, _ in both]), GRID, Limits())
    got = measured_tensors([a for _, a in both], GRID, Limits())
    assert got.keys() == expected.keys()
    for key, value in expected.items():
        if key == keys.F_SCALE:
            torch.testing.assert_close(got[key], value * 7, rtol=1e-5, atol=0)
        elif key in (keys.SPACE_GROUP, keys.GRID):
            assert got[key] == value
        else:
            torch.testing.assert_close(got[key], value, rtol=1e-5, atol=1e-5)


def test_measured_to_its_own_limit_leaves_the_rest_unknown():
    """Zero is a value: what was measured as zero is known, what was not measured is not."""
    _, everything = measured(d_min=1.5)
    f = everything.f.copy()
    f[3] = 0
    crystal = Amplitudes(everything.cell, everything.symmetry, everything.hkl[2:], f[2:])
    batch = measured_tensors([crystal], GRID, Limits())
    where = GRID.index(everything.hkl)
    assert at(batch, keys.MEASURED, 0)[where].tolist() == [False, False] + [True] * (len(f) - 2)
    assert at(batch, keys.PREDICT, 0)[where].tolist() == [True, True] + [False] * (len(f) - 2)
    assert torch.equal(batch[keys.KNOWN], batch[keys.MEASURED])
    np.testing.assert_allclose(at(batch, keys.F_INPUT, 0)[where][2:], f[2:] / f[2:].max(), rtol=1e-6)


def test_measured_ignores_absences_and_what_is_too_fine():
    structure = random_structure("P 1 21 1")
    hkl = np.array(
        [[1, 0, 1], [0, 1, 0], [0, 2, 0], [0, 0, 22]], np.int32
    )  # 0 1 0 is absent, 0 0 22 beyond 0.8 Å
    batch = measured_tensors(
        [Amplitudes(structure.cell, structure.symmetry, hkl, np.array([1.0, 9, 2, 9]))], GRID, Limits()
    )
    assert float(batch[keys.F_SCALE][0]) == 2
    assert int(batch[keys.KNOWN].sum()) == 2


def test_bad_crystals_are_named():
    _, crystal = measured()
    far = Amplitudes(crystal.cell, crystal.symmetry, crystal.hkl[-1:], crystal.f[-1:])
    assert "no reflection" in complaint(measured_tensors, [far], GRID, Limits())
    with pytest.raises(GridTooSmall, match="axis c"):
        measured_tensors([crystal], HklGrid((-13, 0, 0), (12, 17, 9)), Limits())
    assert "d_min_high" in complaint(Limits, 0.8, 1.5)
