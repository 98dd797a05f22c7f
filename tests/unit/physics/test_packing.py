"""Packing: forces against autograd, energies by brute force, and packed crystals seen by gemmi."""

from __future__ import annotations

from dataclasses import replace

import gemmi
import numpy as np
import pytest
import torch

from crystals import complaint
from xrdml.crystal.molecular_options import SPACE_GROUPS, MolecularOptions
from xrdml.crystal.symmetry import symmetry
from xrdml.physics import packing
from xrdml.physics.contacts import O_DONOR, PAD, POLAR_H, H, atom_kinds, atom_volumes, touching_distance
from xrdml.physics.contacts import N as NITROGEN
from xrdml.physics.drafts import Draft, half_of, rigid_crystals
from xrdml.physics.molecular import make_crystals, pack_drafts
from xrdml.physics.neighbors import Pose, RigidCrystals, find_rows
from xrdml.physics.torsions import Torsions


def _ring(n, radius, start=0.0):
    angle = start + 2 * np.pi * np.arange(n) / n
    return radius * np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)


BENZENE = (
    "c1ccccc1",
    np.array([6] * 6 + [1] * 6, np.uint8),
    np.concatenate([_ring(6, 1.39), _ring(6, 2.35)]),
)
UREA = (
    "NC(N)=O",
    np.array([6, 8, 7, 7, 1, 1, 1, 1], np.uint8),
    np.array(
        [[0, 0, 0], [0, 1.25, 0], [1.16, -0.68, 0], [-1.16, -0.68, 0],
         [1.92, -0.24, 0], [1.16, -1.56, 0], [-1.92, -0.24, 0], [-1.16, -1.56, 0]]
    ),
)  # fmt: skip
WATER = ("O", np.array([8, 1, 1], np.uint8), np.array([[0, 0, 0], [0.66, 0.52, 0], [-0.66, 0.52, 0]]))


class FewMolecules(list):
    n_solvents = 1


MOLECULES = FewMolecules([WATER, BENZENE, UREA])


def two_torsions(dtype) -> Torsions:
    """Two of the first body, the second on the moving side of the first; one of the last."""
    moves = torch.zeros(3, 2, 6, dtype=dtype)
    moves[0, 0, [1, 2, 3, 5]] = moves[0, 1, [3]] = moves[2, 0, [2, 3]] = 1
    axis = torch.tensor([[[0, 1], [1, 2]], [[0, 0], [0, 0]], [[1, 2], [0, 0]]])
    return Torsions(axis, moves, torch.zeros(3, 6, 6, dtype=dtype))


def two_crystals(dtype=torch.float64) -> tuple[RigidCrystals, Pose]:
    """A monoclinic crystal of two bodies and a triclinic one of one, overlapping."""
    generator = torch.Generator().manual_seed(3)
    kind = torch.randint(POLAR_H + 1, 13, (3, 6), generator=generator)
    kind[:, 4:] = torch.tensor([H, POLAR_H])
    kind[2, 5] = PAD
    atoms = 2 * torch.randn(3, 6, 3, generator=generator, dtype=dtype)
    to_hydrogen = torch.nn.functional.normalize(atoms[:, 4:], dim=2)
    atoms[:, 4:] = atoms[:, :2] + 0.96 * to_hydrogen
    bodies = RigidCrystals(
        crystal=torch.tensor([0, 0, 1]),
        atoms=atoms,
        kind=kind,
        signs=torch.tensor([[[1, 1, 1], [-1, 1, -1]], [[1, 1, 1], [-1, -1, -1]]], dtype=dtype),
        shifts=torch.tensor([[[0, 0, 0], [0, 0.5, 0]], [[0, 0, 0], [0, 0, 0]]], dtype=dtype),
        operation=torch.ones(2, 2, dtype=torch.bool),
        free=torch.ones(2, 3, 3, dtype=dtype).triu(),
        mobile=torch.ones(3, dtype=dtype),
        torsions=two_torsions(dtype),
    )
    cell = torch.tensor(
        [[[8, 0, -1], [0, 9, 0], [0, 0, 7]], [[6, 1, 0.5], [0, 7, 1], [0, 0, 8]]], dtype=dtype
    )
    center = torch.rand(3, 3, generator=generator, dtype=dtype)
    return bodies, Pose(cell, torch.eye(3, dtype=dtype).repeat(3, 1, 1), center)


def brute_force(bodies: RigidCrystals, pose: Pose) -> float:
    """Half the sum over all pairs of a body and any other image within ±4 cells."""
    table = touching_distance().double()
    cells = torch.cartesian_prod(*[torch.arange(-4.0, 5.0, dtype=torch.float64)] * 3)
    total = 0.0
    for c, cell in enumerate(pose.cell):
        mine = (bodies.crystal == c).nonzero()[:, 0].tolist()
        images = [(q, o, t) for q in mine for o in range(2) for t in cells]
        for p in mine:
            x = bodies.atoms[p] + cell @ pose.center[p]
            for q, o, t in images:
                if q == p and o == 0 and not t.any():
                    continue
                at = bodies.signs[c, o] * pose.center[q] + bodies.shifts[c, o] + t
                y = bodies.atoms[q] * bodies.signs[c, o] + cell @ at
                r = table[bodies.kind[p][:, None], bodies.kind[q]]
                u = torch.relu(r**2 - torch.cdist(x, y) ** 2) * (r > 0)
                total += 0.5 * float((u**2).sum())
    return total


def test_energy_counts_every_pair_once():
    bodies, pose = two_crystals()
    rows = find_rows(bodies, pose, touching_distance().double(), 1.0)
    assert float(packing.energy(bodies, pose, rows).sum()) == pytest.approx(
        brute_force(bodies, pose), rel=1e-9
    )


def test_gradient_is_that_of_autograd():
    bodies, pose = two_crystals()
    rows = find_rows(bodies, pose, touching_distance().double(), 1.0)
    move = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    turn = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    cell = pose.cell.clone().requires_grad_()
    axes = torch.eye(3, dtype=torch.float64).expand(3, 3, 3)
    generator = torch.linalg.cross(turn[:, None].expand(3, 3, 3), axes).transpose(1, 2)
    rotated = torch.matrix_exp(generator) @ pose.rotation
    moved = Pose(
        cell,
        rotated,
        pose.center + torch.einsum("pij,pj->pi", torch.linalg.inv(pose.cell)[bodies.crystal], move),
    )
    expected = torch.autograd.grad(packing.energy(bodies, moved, rows).sum(), (move, turn, cell))
    for got, want in zip(packing.gradient(bodies, pose, rows)[:3], expected, strict=True):
        torch.testing.assert_close(got, want.triu() if want.shape[-2:] == (3, 3) and len(want) == 2 else want)


def test_slopes_of_torsions_are_those_of_autograd():
    bodies, pose = two_crystals()
    rows = find_rows(bodies, pose, touching_distance().double(), 1.0)
    angles = torch.zeros(3, 2, dtype=torch.float64, requires_grad=True)
    bent = replace(bodies, atoms=bodies.torsions.turned(bodies.atoms, angles))
    (expected,) = torch.autograd.grad(packing.energy(bent, pose, rows).sum(), angles)
    assert (expected != 0).sum() == 3
    torch.testing.assert_close(packing.gradient(bodies, pose, rows)[3], expected)


def test_a_skin_changes_no_energy():
    bodies, pose = two_crystals()
    energies = [
        packing.energy(bodies, pose, find_rows(bodies, pose, touching_distance().double(), skin))
        for skin in (0.0, 3.0)
    ]
    torch.testing.assert_close(*energies)


def test_kinds_of_atoms():
    numbers = torch.tensor(
        np.stack([np.pad(UREA[1], (0, 1)).astype(int), np.pad(WATER[1], (0, 6)).astype(int)])
    )
    positions = torch.zeros(2, 9, 3, dtype=torch.float64)
    positions[0, :8], positions[1, :3] = torch.tensor(UREA[2]), torch.tensor(WATER[2])
    kinds = atom_kinds(numbers, positions)
    assert kinds[0, 2].item() == NITROGEN + 1
    assert kinds[0, 4:].tolist() == [POLAR_H] * 4 + [PAD]
    assert kinds[1, :4].tolist() == [O_DONOR, POLAR_H, POLAR_H, PAD]
    assert float(atom_volumes(numbers[1]).sum()) == pytest.approx(11.39 + 2 * 5.08, rel=1e-6)


def _seen_by_gemmi(structure, reach=2.9):
    """Distances between non-H atoms of different molecules, from gemmi's operations and axes."""
    heavy = structure.numbers > 1
    numbers, frac = structure.numbers[heavy], structure.frac[heavy]
    axes = np.array(gemmi.UnitCell(*structure.cell).orth.mat.tolist())
    shifts = np.stack(np.meshgrid(*[np.arange(-3.0, 4)] * 3, indexing="ij"), -1).reshape(-1, 3)
    operations = gemmi.SpaceGroup(structure.space_group).operations()
    # Half a benzene about the origin: its other half is the image of −x,−y,−z.
    own = {"x,y,z", "-x,-y,-z"} if len(numbers) == 3 else {"x,y,z"}
    for operation in operations:
        image = np.array([operation.apply_to_xyz(x.tolist()) for x in frac])
        delta = frac[:, None, None] - image[None, :, None] - shifts
        distance = np.linalg.norm(delta @ axes.T, axis=3)
        if operation.triplet() in own:
            distance[:, :, ~shifts.any(1)] = np.inf
        for i, j, k in np.argwhere(distance < reach):
            yield int(numbers[i]), int(numbers[j]), float(distance[i, j, k])


@pytest.fixture(scope="module")
def packed():
    """Three crystals of each group, some of two molecules or with water."""
    torch.set_num_threads(1)
    out = []
    for seed, name in enumerate(SPACE_GROUPS):
        out += make_crystals(MOLECULES, MolecularOptions({name: 1.0}), seed, range(3))
    return out


def test_no_bad_contacts_by_gemmi(packed):
    for structure in packed:
        for z, other, d in _seen_by_gemmi(structure):
            assert {z, other} <= {7, 8}, (structure.space_group, z, other, d)
            assert d > 2.4, (structure.space_group, z, other, d)


def test_cells_obey_their_symmetry(packed):
    for structure in packed:
        structure.symmetry.check_cell(structure.cell)
        right = {"monoclinic": (3, 5), "orthorhombic": (3, 4, 5), "triclinic": ()}
        assert all(structure.cell[i] == 90 for i in right[structure.symmetry.crystal_system])
        assert min(structure.cell[:3]) > 3.5
        assert min(structure.cell[3:]) > 55
        assert max(structure.cell[3:]) < 125
        if structure.symmetry.crystal_system == "monoclinic":
            assert structure.cell[4] >= 90


def test_density_is_that_of_crystals(packed):
    ratios = []
    for structure in packed:
        independent = structure.symmetry.order * float(
            atom_volumes(torch.from_numpy(structure.numbers.astype(int))).sum()
        )
        ratios.append(gemmi.UnitCell(*structure.cell).volume / independent)
    assert 0.95 < np.median(ratios) < 1.05
    assert min(ratios) > 0.80
    assert max(ratios) < 1.20


def test_molecules_stay_as_they_were(packed):
    benzenes = [s for s in packed if s.numbers.tolist() == BENZENE[1].tolist()]
    assert benzenes
    for s in benzenes:
        x = s.frac @ np.array(gemmi.UnitCell(*s.cell).orth.mat.tolist()).T
        expected = np.linalg.norm(BENZENE[2][:, None] - BENZENE[2], axis=2)[:6, :6]
        # As far as errors of refinement go.
        np.testing.assert_allclose(np.linalg.norm(x[:6, None] - x[:6], axis=2), expected, atol=0.1)


def test_molecules_sit_on_centres_of_inversion(packed):
    halves = [s for s in packed if s.numbers.tolist() == [6, 6, 6, 1, 1, 1]]
    assert halves
    for s in halves:
        assert s.symmetry.is_centrosymmetric
        x = s.frac[:3] @ np.array(gemmi.UnitCell(*s.cell).orth.mat.tolist()).T
        np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1.39, atol=0.06)


def test_half_of_a_molecule():
    assert half_of(BENZENE).tolist() == [0, 1, 2, 6, 7, 8]
    assert len(half_of(UREA)) == len(half_of(WATER)) == 0


def test_same_seed_same_crystals():
    options = MolecularOptions()
    first, again = (make_crystals(MOLECULES, options, 9, [4, 1, 7]) for _ in range(2))
    for a, b in zip(first, again, strict=True):
        assert a.cell == b.cell
        assert a.space_group == b.space_group
        np.testing.assert_array_equal(a.frac, b.frac)
        np.testing.assert_array_equal(a.u_iso, b.u_iso)
    other = make_crystals(MOLECULES, options, 10, [4])
    assert other[0].cell != first[0].cell


def test_what_cannot_be_packed_is_none():
    squeezed = Draft(symmetry("P -1"), [BENZENE], 150.0)
    assert pack_drafts([squeezed], [np.random.default_rng(0)]) == [None]


def test_bad_contacts_are_counted():
    draft = Draft(symmetry("P 1"), [BENZENE], 1000.0)
    bodies, _ = rigid_crystals([draft, draft], "cpu")
    pose = Pose(
        torch.stack([20 * torch.eye(3), torch.diag(torch.tensor([20.0, 20.0, 3.0]))]),
        torch.eye(3).repeat(2, 1, 1),
        torch.zeros(2, 3),
    )
    # Rings stacked at 3.0 Å: every C meets the C above it, which stands for the one below as well.
    assert packing.bad_contacts(bodies, pose).tolist() == [0, 6]
    far = replace(pose, cell=20 * torch.eye(3).repeat(2, 1, 1))
    assert packing.bad_contacts(bodies, far).tolist() == [0, 0]


@pytest.mark.parametrize("name", ["P 41", "P 1 1 21", "R 3:H", "P a -3"])
def test_groups_that_cannot_be_packed(name):
    assert "cannot be packed" in complaint(MolecularOptions, {symmetry(name).name: 1.0})
