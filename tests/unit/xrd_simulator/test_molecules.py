"""Random molecules: chemistry, element statistics, and molecule i as a function of (seed, i)."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from rdkit import Chem

from xrdml.xrd_simulator import _fragments
from xrdml.xrd_simulator.molecules import (
    N_ATOMS,
    SHRINKAGE,
    X_H,
    _embed,
    random_graph,
    sample,
    solvent,
    symmetric_graph,
)

TABLES = {name: table for name, table in vars(_fragments).items() if name.isupper() and name != "CORES"}
# Alvarez, Dalton Trans. 2008, 2832; the distance of a bond is within 0.3 Å of the sum.
COVALENT = {1: 0.31, 6: 0.76, 7: 0.71, 8: 0.66, 9: 0.57,
            14: 1.11, 15: 1.07, 16: 1.05, 17: 1.02, 35: 1.20, 53: 1.39}  # fmt: skip


@pytest.fixture(scope="module")
def molecules():
    return [sample(11, i) for i in range(40)]


@pytest.mark.parametrize("name", TABLES)
def test_building_blocks_are_molecules(name):
    for smiles in TABLES[name]:
        mol = Chem.MolFromSmiles(smiles)
        assert mol is not None, smiles
        for atom in mol.GetAtoms():
            if atom.GetAtomicNum() == 0:
                assert [b.GetBondType() for b in atom.GetBonds()] == [Chem.BondType.SINGLE], smiles


def test_core_probabilities_sum_to_one():
    assert sum(weight for weight, _ in _fragments.CORES) == pytest.approx(1)


def test_molecule_depends_on_seed_and_number_alone(molecules):
    again = sample(11, 7)
    assert again.smiles == molecules[7].smiles
    np.testing.assert_array_equal(again.numbers, molecules[7].numbers)
    np.testing.assert_array_equal(again.positions, molecules[7].positions)
    assert sample(12, 7).smiles != again.smiles


def test_molecules_differ(molecules):
    assert len({m.smiles for m in molecules}) > 0.9 * len(molecules)


def test_atoms_are_those_of_the_smiles(molecules):
    for m in molecules:
        mol = Chem.AddHs(Chem.MolFromSmiles(m.smiles))
        assert Counter(m.numbers.tolist()) == Counter(atom.GetAtomicNum() for atom in mol.GetAtoms())
        assert (np.diff((m.numbers == 1).astype(int)) >= 0).all(), "hydrogen comes last"
        assert not any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms())


def test_bonds_seen_in_space_are_those_of_the_graph(molecules):
    for m in molecules:
        mol = Chem.AddHs(Chem.MolFromSmiles(m.smiles))
        radius = np.array([COVALENT[z] for z in m.numbers.tolist()])
        x = m.positions[0]
        distance = np.linalg.norm(x[:, None] - x, axis=2)
        bonded = np.triu(distance < radius[:, None] + radius + 0.3, 1)
        heavy = m.numbers > 1
        assert bonded[np.ix_(heavy, heavy)].sum() == Chem.RemoveHs(mol).GetNumBonds(), m.smiles
        assert bonded.sum() == mol.GetNumBonds(), m.smiles


def test_hydrogen_distances_are_those_of_x_rays(molecules):
    for m in molecules:
        x, heavy = m.positions[0], m.numbers > 1
        distance = np.linalg.norm(x[~heavy, None] - x[heavy], axis=2)
        for d, z in zip(distance.min(1), m.numbers[heavy][distance.argmin(1)].tolist(), strict=True):
            if z in X_H:
                assert d == pytest.approx(X_H[z], abs=1e-6)


def test_conformers_differ_in_torsions_only():
    flexible = next(m for m in (sample(4, i, conformers=3) for i in range(20)) if len(m.positions) == 3)
    heavy = flexible.numbers > 1
    for x in flexible.positions:
        np.testing.assert_allclose(x[heavy].mean(0), 0, atol=1e-9)
    assert not np.allclose(flexible.positions[0], flexible.positions[1], atol=0.01)


def test_elements_and_sizes_are_those_of_organic_crystals():
    rng = np.random.default_rng(0)
    graphs = [g for g in (random_graph(rng) for _ in range(600)) if g is not None]
    elements = Counter(atom.GetAtomicNum() for g in graphs for atom in g.GetAtoms())
    share = {z: n / elements.total() for z, n in elements.items()}
    # 206 published crystals of ../shared/data have 0.71, 0.09 and 0.15.
    assert share[6] == pytest.approx(0.71, abs=0.05)
    assert share[7] == pytest.approx(0.09, abs=0.03)
    assert share[8] == pytest.approx(0.15, abs=0.03)
    special = [
        any(atom.GetAtomicNum() in (9, 14, 15, 16, 17, 35, 53) for atom in g.GetAtoms()) for g in graphs
    ]
    assert 0.20 < np.mean(special) < 0.45
    sizes = np.array([g.GetNumAtoms() for g in graphs])
    assert 15 < np.median(sizes) < 21
    assert N_ATOMS[0] <= sizes.min()
    assert sizes.max() <= N_ATOMS[1]


def test_water():
    water = solvent("O")
    assert water.numbers.tolist() == [8, 1, 1]
    to_h = water.positions[0][1:] - water.positions[0][0]
    np.testing.assert_allclose(np.linalg.norm(to_h, axis=1), 0.84, atol=1e-6)
    assert to_h[0] @ to_h[1] / 0.84**2 == pytest.approx(np.cos(np.radians(104.0)), abs=0.1)


def test_needs_neither_torch_nor_cctbx():
    code = "import sys, xrdml.xrd_simulator.molecules; print({'torch', 'cctbx'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.fixture(scope="module")
def centrosymmetric():
    rng = np.random.default_rng(3)
    graphs = [g for g in (symmetric_graph(rng) for _ in range(60)) if g is not None]
    made = [_embed(g, 1, 0) for g in graphs]
    assert sum(m is not None for m in made) > 0.4 * len(graphs)
    return [m for m in made if m is not None]


def test_centres_of_inversion(centrosymmetric):
    for m in centrosymmetric:
        x = m.positions[0]
        distance = np.linalg.norm(x[:, None] + x, axis=2)
        assert distance.min(1).max() < 1e-6, m.smiles
        np.testing.assert_array_equal(m.numbers[distance.argmin(1)], m.numbers)


def test_inversion_keeps_the_bonds(centrosymmetric):
    test_bonds_seen_in_space_are_those_of_the_graph(centrosymmetric)
    test_atoms_are_those_of_the_smiles(centrosymmetric)


def test_aromatic_bonds_are_as_long_as_in_crystals():
    benzene = solvent("c1ccccc1")
    x = benzene.positions[0][:6]
    nearest = np.sort(np.linalg.norm(x[:, None] - x, axis=2), axis=1)[:, 1]
    # 1.384 Å is the mean of International Tables C, table 9.5.1.1, for aromatic C–C; MMFF94 gives 1.395 Å.
    np.testing.assert_allclose(nearest, 1.384, atol=0.006)
    np.testing.assert_allclose(nearest, 1.395 * SHRINKAGE, atol=0.004)
