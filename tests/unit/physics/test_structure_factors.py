"""Structure factors against cctbx, gemmi, hand calculation, and the identities that define a space group."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace

import gemmi
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crystals import direct_sum, random_structure
from xrdml.crystal.cell import index_limits, inverse_d_squared, metric
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Symmetry, symmetry
from xrdml.physics import structure_factors as module
from xrdml.physics.structure_factors import collate, structure_factors

CELLS = {
    "triclinic": (7.1, 8.3, 9.7, 81.0, 98.0, 107.0),
    "monoclinic": (7.7, 8.7, 10.8, 90.0, 103.0, 90.0),
    "monoclinic c": (7.7, 8.7, 10.8, 90.0, 90.0, 103.0),
    "orthorhombic": (7.2, 9.1, 11.3, 90.0, 90.0, 90.0),
    "tetragonal": (8.1, 8.1, 12.4, 90.0, 90.0, 90.0),
    "hexagonal": (9.3, 9.3, 11.9, 90.0, 90.0, 120.0),
    "rhombohedral": (8.4, 8.4, 8.4, 77.0, 77.0, 77.0),
    "cubic": (11.2, 11.2, 11.2, 90.0, 90.0, 90.0),
}
GROUPS = {
    "triclinic": ["P 1", "P -1"],
    "monoclinic": [
        *("P 1 21 1", "C 1 2 1", "I 1 2 1", "P 1 21/c 1", "P 1 21/n 1", "P 1 21/a 1", "C 1 2/c 1"),
        *("I 1 2/a 1", "A 1 2/n 1", "C 1 m 1"),
    ],
    "monoclinic c": ["P 1 1 21/b", "B 1 1 2"],
    "orthorhombic": [
        *("P 21 21 21", "P n m a", "P b n m", "C 2 2 21", "F d d 2", "F d d d:1", "F d d d:2", "A e a 2"),
    ],
    "tetragonal": ["P 41 21 2", "P -4 21 m", "I 41/a m d:1", "I 41/a:2"],
    "hexagonal": ["P 31 2 1", "R 3:H", "R -3 c:H", "P 61", "P 6 2 2", "P 63/m m c"],
    "rhombohedral": ["R 3:R", "R -3 c:R", "R 3 2:R"],
    "cubic": ["P 21 3", "P 43 3 2", "I a -3 d", "F m -3 m", "F d -3 m:1", "F d -3 m:2"],
}
CASES = [(system, name) for system, names in GROUPS.items() for name in names]


def special_sites(group: Symmetry, rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """Points on axes, planes and centres: random points moved onto what an operation leaves fixed."""
    found: list[np.ndarray] = []
    for i in rng.permutation(np.arange(1, group.order)):
        x = rng.random(3)
        a, t = np.eye(3) - group.rotations[i], group.translations[i]
        x = x + np.linalg.pinv(a) @ (t - a @ x)
        if np.allclose(a @ x, t) and not np.allclose(a, 0):
            found.append(x)
        if len(found) == n:
            break
    return found


def is_clear(group: Symmetry, cell, x: np.ndarray) -> bool:
    """No image within 0.5 Å but those that coincide, so that no program takes it for another site."""
    delta = group.rotations @ x + group.translations - x
    delta -= np.round(delta)
    d = np.sqrt(np.einsum("si,ij,sj->s", delta, metric(cell), delta))
    return bool(((d < 1e-6) | (d > 0.5)).all())


def make_case(system: str, name: str) -> tuple[Structure, np.ndarray]:
    """A crystal with general and special positions, and reflections of all kinds to 0.8 Å."""
    rng = np.random.default_rng(CASES.index((system, name)))
    group, cell = symmetry(name), CELLS[system]
    sites = [*special_sites(group, rng, 4), *rng.random((40, 3))]
    sites = [x for x in sites if is_clear(group, cell, x)][:12]
    n = len(sites)
    structure = Structure(
        cell=cell,
        space_group=name,
        numbers=rng.choice(np.array([1, 6, 7, 8, 17, 35, 53], np.uint8), n),
        frac=np.array(sites) + rng.integers(-2, 3, (n, 3)),
        u_iso=rng.uniform(0.01, 0.1, n),
        occupancy=rng.uniform(0.3, 1, n),
    )
    box = rng.integers(-1, 2, (4000, 3)) * rng.integers(0, np.array(index_limits(cell, 0.8)) + 1, (4000, 3))
    inside = box[(inverse_d_squared(cell, box) <= 1 / 0.8**2) & box.any(1)]
    return structure, np.unique(inside, axis=0)[:: max(1, len(inside) // 400)].astype(np.int32)


@pytest.fixture(scope="module")
def cases() -> dict[str, tuple[Structure, np.ndarray]]:
    return {name: make_case(system, name) for system, name in CASES}


@pytest.fixture(scope="module")
def by_cctbx(cases, root) -> dict[str, np.ndarray]:
    """All cases in one process, because cctbx and torch may not share one."""
    sent = [
        {
            "cell": s.cell,
            "hall": s.symmetry.hall,
            "hkl": hkl.tolist(),
            "atoms": [
                [gemmi.Element(int(z)).name, x.tolist(), float(u), float(o)]
                for z, x, u, o in zip(s.numbers, s.frac, s.u_iso, s.occupancy, strict=True)
            ],
        }
        for s, hkl in cases.values()
    ]
    command = [sys.executable, root / "tests" / "cctbx_direct.py"]
    done = subprocess.run(command, input=json.dumps(sent), capture_output=True, text=True, check=True)
    received = [np.array(f) for f in json.loads(done.stdout)]
    return {name: f[:, 0] + 1j * f[:, 1] for name, f in zip(cases, received, strict=True)}


def by_gemmi(structure: Structure, hkl: np.ndarray) -> np.ndarray:
    small = gemmi.SmallStructure()
    small.cell = gemmi.UnitCell(*structure.cell)
    small.spacegroup_hm = structure.symmetry.name
    small.symops = [op.triplet() for op in gemmi.SpaceGroup(structure.symmetry.name).operations()]
    small.determine_and_set_spacegroup("S")
    columns = (structure.numbers, structure.frac, structure.u_iso, structure.occupancy)
    for z, x, u, occupancy in zip(*columns, strict=True):
        site = gemmi.SmallStructure.Site()
        site.fract = gemmi.Fractional(*(x % 1))
        site.element = gemmi.Element(int(z))
        site.occ, site.u_iso = float(occupancy), float(u)
        small.add_site(site)
    small.setup_cell_images()
    small.change_occupancies_to_crystallographic()
    calculator = gemmi.StructureFactorCalculatorX(small.cell)
    return np.array([calculator.calculate_sf_from_small_structure(small, h.tolist()) for h in hkl])


def by_torch(structure: Structure, hkl: np.ndarray, dtype=torch.float32) -> np.ndarray:
    return structure_factors(collate([structure], dtype), torch.from_numpy(hkl))[0].numpy()


def relative(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.linalg.norm(found - truth) / np.linalg.norm(truth))


def test_cases_cover_what_they_should(cases):
    groups = [symmetry(name) for name in cases]
    assert len({g.name for g in groups}) >= 30
    assert {g.crystal_system for g in groups} == {
        *("triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic")
    }
    special = [name for name, (s, _) in cases.items() if (s.weight < s.occupancy).any()]
    assert len(special) >= 30
    assert min(len(hkl) for _, hkl in cases.values()) >= 100


@pytest.mark.parametrize("name", [name for _, name in CASES])
def test_three_programs_agree(name, cases, by_cctbx):
    structure, hkl = cases[name]
    ours, gemmis = by_torch(structure, hkl), by_gemmi(structure, hkl)
    assert relative(ours, gemmis) < 1e-4
    # cctbx multiplies by the number of centring vectors, also where they cancel.
    allowed = ~structure.symmetry.is_absent(hkl)
    assert relative(ours[allowed], by_cctbx[name][allowed]) < 1e-4
    # Each reflection by itself, not only their sum.
    rms = np.sqrt(np.mean(np.abs(gemmis) ** 2))
    assert np.abs(ours - by_torch(structure, hkl, torch.float64)).max() < 1e-4 * rms


def test_double_precision_against_a_plain_sum(cases):
    for structure, hkl in list(cases.values())[::5]:
        few = hkl[::9]
        # gemmi gives f in single precision.
        assert relative(by_torch(structure, few, torch.float64), direct_sum(structure, few)) < 2e-7


def test_one_atom_by_hand():
    """Carbon at the origin of P 21: the image at (0, ½, 0) doubles k even and cancels k odd.
    f_C = 2.31 e^(−20.8439 s²) + 1.02 e^(−10.2075 s²) + 1.5886 e^(−0.5687 s²) + 0.865 e^(−51.6512 s²)
    + 0.2156.
    """
    cell = (10.0, 10.0, 10.0, 90.0, 90.0, 90.0)
    carbon = Structure(
        cell, "P 1 21 1", *(np.array([z]) for z in (6,)), np.zeros((1, 3)), *np.array([[0.05], [0.5]])
    )
    s2 = (4**2) / 100 / 4
    f = 0.2156 + sum(
        a * math.exp(-b * s2)
        for a, b in ((2.31, 20.8439), (1.02, 10.2075), (1.5886, 0.5687), (0.865, 51.6512))
    )
    expected = 2 * 0.5 * f * math.exp(-8 * math.pi**2 * 0.05 * s2)
    got = by_torch(carbon, np.array([[0, 4, 0], [4, 0, 0], [0, 3, 0], [0, 1, 0]]))
    np.testing.assert_allclose(got, [expected, expected, 0, 0], rtol=1e-6, atol=1e-6)


def test_sizes_in_a_batch_do_not_matter(cases, monkeypatch):
    """Padding, masks and blocks of any size leave every value as it is."""
    chosen = [cases[name] for name in ("P 1", "F m -3 m", "R 3:H", "P 1 21/c 1")]
    m = max(len(hkl) for _, hkl in chosen)
    hkl, mask = torch.zeros(4, m, 3, dtype=torch.int32), torch.zeros(4, m, dtype=torch.bool)
    for i, (_, h) in enumerate(chosen):
        hkl[i, : len(h)], mask[i, : len(h) : 2] = torch.from_numpy(h), True
    batch = collate([s for s, _ in chosen], torch.float64)
    for budget in (1, 5000, 10**9):
        monkeypatch.setattr(module, "PHASES_CPU", budget)
        found = structure_factors(batch, hkl, mask)
        assert (found[~mask] == 0).all()
        for i, (s, h) in enumerate(chosen):
            alone = by_torch(s, h, torch.float64)
            np.testing.assert_allclose(found[i, : len(h) : 2].numpy(), alone[::2], rtol=0, atol=1e-9)


def test_shared_indices_and_empty_masks():
    structures = [random_structure(seed=i) for i in range(3)]
    hkl = torch.tensor([[1, 0, 0], [0, 2, 0]])
    batch = collate(structures)
    assert torch.equal(structure_factors(batch, hkl), structure_factors(batch, hkl.expand(3, 2, 3)))
    nothing = torch.zeros(3, 2, dtype=torch.bool)
    assert (structure_factors(batch, hkl, nothing) == 0).all()


def test_gradient_of_coordinates():
    """∂|F|²/∂x by autograd equals its finite difference."""
    batch = collate([random_structure("C 1 2/c 1", n=4)], torch.float64)
    hkl = torch.tensor([[2, 2, 1], [-3, 1, 4]])
    x = batch.frac.clone().requires_grad_()

    def total(frac: torch.Tensor) -> torch.Tensor:
        return structure_factors(replace(batch, frac=frac), hkl).abs().square().sum()

    assert torch.autograd.gradcheck(total, (x,), eps=1e-6, rtol=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(CASES),
    st.integers(0, 2**31),
    st.tuples(st.integers(-9, 9), st.integers(-9, 9), st.integers(-9, 9)),
)
def test_identities(case, seed, h):
    """Friedel, the symmetry relation, absences, and the scale of occupancies."""
    system, name = case
    structure = random_structure(name, CELLS[system], n=5, seed=seed)
    group, hkl = structure.symmetry, np.array([h], np.int32)
    f = by_torch(structure, hkl, torch.float64)[0]
    tolerance = 1e-9 * structure.numbers.sum() * group.order

    assert by_torch(structure, -hkl, torch.float64)[0] == pytest.approx(f.conjugate(), abs=tolerance)
    images = (hkl @ group.rotations)[:, 0].astype(np.int32)
    shifted = f * np.exp(-2j * np.pi * (group.translations @ hkl[0]))
    np.testing.assert_allclose(by_torch(structure, images, torch.float64), shifted, atol=tolerance)
    if group.is_absent(hkl)[0]:
        assert abs(f) < tolerance
    half = replace(structure, occupancy=structure.occupancy / 2)
    assert by_torch(half, hkl, torch.float64)[0] == pytest.approx(f / 2, abs=tolerance)


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(*[st.floats(-3, 3)] * 3),
    st.lists(st.tuples(*[st.integers(-9, 9)] * 3), min_size=1, max_size=5),
)
def test_a_shift_of_the_origin_turns_the_phase(shift, hkl):
    """In P 1: F'(h) = F(h) exp(2πi h·Δ)."""
    structure = random_structure("P 1", CELLS["triclinic"], n=6)
    h = np.array(hkl, np.int32)
    moved = replace(structure, frac=structure.frac + np.array(shift))
    expected = by_torch(structure, h, torch.float64) * np.exp(2j * np.pi * (h @ np.array(shift)))
    np.testing.assert_allclose(by_torch(moved, h, torch.float64), expected, atol=1e-9)


def test_no_displacement_means_no_damping():
    """With U = 0 and s → 0, F(000) counts the electrons of the cell."""
    structure = replace(random_structure(n=7), u_iso=np.zeros(7))
    f000 = by_torch(structure, np.zeros((1, 3), np.int32))[0]
    assert f000.real == pytest.approx(2 * structure.numbers.astype(int).sum(), rel=1e-3)
    assert f000.imag == 0
