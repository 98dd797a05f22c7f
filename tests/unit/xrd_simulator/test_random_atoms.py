"""The crystals of the recipe `random_atoms`, looked at from outside: no cctbx in this process."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from crystals import direct_sum
from xrdml.crystal.cell import metric, volume
from xrdml.crystal.grid import HklGrid
from xrdml.crystal.store import StructureStore, TensorLayout
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import symmetry
from xrdml.errors import UserError
from xrdml.xrd_simulator.options import RandomAtomsOptions
from xrdml.xrd_simulator.simulate import describe, simulate

GRID = HklGrid.thesis()
LAYOUT = TensorLayout(GRID, 1.5, 0.8)
N = 200
LATTICE = np.array(list(itertools.product((-1, 0, 1), repeat=3)))


def make(path, groups, *, n=N, grid=GRID, tensors=LAYOUT, thesis=False) -> StructureStore:
    options = RandomAtomsOptions.make(groups, grid=grid, thesis=thesis)
    assert simulate(path, n, describe(options, 5, tensors), workers=2, shard_size=100) == n
    return StructureStore(path)


@pytest.fixture(scope="module")
def realistic(tmp_path_factory) -> StructureStore:
    return make(tmp_path_factory.mktemp("set") / "realistic.h5", ["P21", "C2"])


@pytest.fixture(scope="module")
def thesis(tmp_path_factory) -> StructureStore:
    return make(tmp_path_factory.mktemp("set") / "thesis.h5", ["P21", "C2"], thesis=True)


@pytest.fixture(scope="module")
def other_systems(tmp_path_factory) -> StructureStore:
    groups = ["P-1", "I2/a", "P 1 1 21", "Pbca", "P41212", "R-3:R", "R3:H", "P6522", "P213"]
    path = tmp_path_factory.mktemp("set") / "systems.h5"
    return make(path, groups, n=60, grid=None, tensors=None)


def closest(structure: Structure) -> float:
    """Shortest distance in Å between two different atoms of the crystal, images of all kinds included."""
    group, g = structure.symmetry, metric(structure.cell)
    images = np.einsum("sij,nj->nsi", group.rotations, structure.frac) + group.translations
    delta = images.reshape(-1, 1, 3) - structure.frac
    delta = delta - np.round(delta)
    delta = delta[:, :, None] + LATTICE
    distance = np.sqrt(np.einsum("...i,ij,...j->...", delta, g, delta))
    # An atom on a special position meets itself there: rounding apart, that is distance zero.
    return float(distance[distance > 1e-3].min())


def test_atoms_keep_their_distance(realistic, thesis, other_systems):
    for store in (realistic, thesis, other_systems):
        shortest = [closest(structure) for structure in store]
        assert min(shortest) >= 1.5 - 1e-6
        assert min(shortest) < 1.6  # the limit is what stops them


def test_number_volume_and_groups(realistic, thesis, other_systems):
    for store in (realistic, thesis, other_systems):
        atoms = np.array([len(s) for s in store])
        per_atom = np.array([volume(s.cell) / (len(s) * s.symmetry.order) for s in store])
        assert set(atoms) <= set(range(10, 31))
        assert per_atom.min() > 13.99
        assert per_atom.max() < 22.01
    for store in (realistic, thesis):
        assert set(np.array([len(s) for s in store])) == set(range(10, 31))
        c2 = sum(s.space_group == "C 1 2 1" for s in store)
        assert abs(c2 - N / 2) < 4 * np.sqrt(N / 4)  # four standard deviations of a fair coin


def test_elements(realistic, thesis):
    for store, expected in ((realistic, [0.76, 0.09, 0.13, 0.02]), (thesis, [0.25] * 4)):
        numbers = np.concatenate([s.numbers for s in store])
        share = np.array([(numbers == z).mean() for z in (6, 7, 8, 17)])
        assert share.sum() == 1
        tolerance = 4 * np.sqrt(np.array(expected) * (1 - np.array(expected)) / len(numbers))
        assert (abs(share - expected) < tolerance).all()


def test_displacements(realistic, thesis):
    u = np.concatenate([s.u_iso for s in realistic])
    assert 0.01 - 1e-7 < u.min() < u.max() < 0.2 + 1e-7
    # Crystals differ by 0.3 in ln U: the median of 200 is good to 0.03, four of which are allowed.
    assert abs(np.log(np.median(u) / 0.035)) < 0.12
    u = np.concatenate([s.u_iso for s in thesis])
    assert 0 <= u.min() < 0.003
    assert 0.297 < u.max() <= 0.3
    assert abs(u.mean() - 0.15) < 4 * 0.3 / np.sqrt(12 * len(u))


def test_cell_of_the_thesis(thesis):
    for s in thesis:
        a, b, c, alpha, beta, gamma = s.cell
        assert (b / a, c / a) == pytest.approx((1.3, 1.7))
        assert (alpha, beta, gamma) == pytest.approx((90, 109, 90))


def test_free_cells(realistic):
    cells = np.array([s.cell for s in realistic])
    assert cells[:, :3].min() >= 3.8 - 1e-4
    assert (cells[:, [3, 5]] == 90).all()
    assert 90 <= cells[:, 4].min() < 92
    assert 118 < cells[:, 4].max() <= 120
    assert np.log(cells[:, 0] / cells[:, 2]).std() > 0.3


def test_reflections_fit_the_grid(realistic, thesis):
    for store in (realistic, thesis):
        for s in store:
            GRID.check_fits(s.cell, s.symmetry, 0.8)


def test_lattices_of_all_systems(other_systems):
    assert len({s.space_group for s in other_systems}) == 9
    for s in other_systems:
        s.symmetry.check_cell(s.cell)
    cell = next(s.cell for s in other_systems if s.space_group == "P 1 1 21")
    assert cell[3:5] == (90, 90)
    assert cell[5] > 90  # the unique axis is where the setting says


def test_special_positions_are_exact(thesis):
    """In C2 atoms within 0.75 Å of the axis are put on it: x and z are then multiples of 1/2."""
    found = 0
    for s in thesis:
        if s.space_group == "C 1 2 1":
            special = s.symmetry.site_order(s.frac, s.cell) > 1
            found += special.sum()
            on_axis = s.frac[special][:, [0, 2]] * 2
            np.testing.assert_array_equal(on_axis, np.round(on_axis))
    assert found > 10


@pytest.mark.parametrize("name", ["realistic", "thesis"])
def test_tensors_against_direct_summation(name, request):
    """Every cell of both tensors, absences and |F| scale included, from gemmi's tables alone."""
    store = request.getfixturevalue(name)
    for i in range(0, 20, 2):
        s = store[i]
        low, high = store.tensors(i)
        hkl = s.symmetry.unique_reflections(s.cell, 0.8, absent=True)
        d = 1 / np.sqrt(np.einsum("ni,ij,nj->n", hkl, np.linalg.inv(metric(s.cell)), hkl))
        f = abs(direct_sum(s, hkl))
        f[s.symmetry.is_absent(hkl)] = 0
        f /= f[d >= 1.5].max()
        for tensor, kept in ((low, d >= 1.5), (high, d >= 0.8)):
            expected = GRID.scatter(hkl[kept], f[kept])
            np.testing.assert_allclose(tensor, expected, atol=5e-4)
            assert not tensor[expected == 0].any()
        assert low.max() == 1


def test_tensors_in_another_setting(tmp_path):
    """I2/a: cctbx' asymmetric unit is another one than ours; amplitudes must lie where ours puts them."""
    store = make(tmp_path / "i2a.h5", ["I2/a"], n=3, grid=HklGrid((-20, 0, 0), (20, 24, 30)),
                 tensors=TensorLayout(HklGrid((-20, 0, 0), (20, 24, 30)), 1.5, 0.8))  # fmt: skip
    for i, s in enumerate(store):
        high = store.tensors(i)[1]
        hkl = s.symmetry.unique_reflections(s.cell, 0.8)
        f = abs(direct_sum(s, hkl))
        got = store.tensor_layout.grid.gather(high, hkl)
        assert np.corrcoef(got, f)[0, 1] > 0.999999
        assert np.count_nonzero(high) == np.count_nonzero(got)


def test_a_grid_that_cannot_hold_a_group():
    for group, grid in (("P-1", GRID), ("Fm-3m", GRID), ("P21", HklGrid((-4, 0, 0), (4, 4, 4)))):
        with pytest.raises(UserError, match="--grid=") as caught:
            RandomAtomsOptions.make([group], grid=grid)
        suggested = HklGrid.parse(str(caught.value).split("--grid=")[1].split(", or")[0])
        RandomAtomsOptions.make([group], grid=suggested)


def test_options_survive_json():
    options = RandomAtomsOptions.make(["P21/n", "P 1 21/n 1"], grid=None, thesis=True)
    assert options.space_groups == (symmetry("P21/n").name,)  # one group by two names
    assert RandomAtomsOptions.from_json(options.to_json()) == options
