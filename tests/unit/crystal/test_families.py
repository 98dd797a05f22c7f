"""Families of crystals: made-up ones, and those that a table of published structures names."""

from __future__ import annotations

import csv
from itertools import combinations

import gemmi
import numpy as np
import pytest

from cif_text import cif_text
from xrdml.crystal.cif import Model, blocks_with_atoms, read_document, read_model
from xrdml.crystal.families import families, fingerprint, major_part, same_crystals
from xrdml.crystal.structure import Structure

CELL = (11.0, 12.0, 13.0, 90.0, 95.0, 90.0)
CHAIN = ("CCCCCO", [[1.0 + 1.2 * i, 1.0 + 0.7 * (i % 2), 1.0] for i in range(6)])
RING = ("CCCCCN", [[4 + 1.4 * np.cos(t), 6 + 1.4 * np.sin(t), 4.0] for t in np.arange(6) * np.pi / 3])
WATER = ("O", [[8.0, 3.0, 8.0]])
SYMBOLS = {"H": 1, "C": 6, "N": 7, "O": 8}


def crystal(*molecules, group="P 1 21 1", cell=CELL, occupancy=None, parts=None) -> Model:
    """Molecules at Cartesian places, as a CIF says them."""
    letters = "".join(text for text, _ in molecules)
    xyz = [x for _, places in molecules for x in places]
    unit_cell = gemmi.UnitCell(*cell)
    frac = [unit_cell.fractionalize(gemmi.Position(*map(float, x))).tolist() for x in xyz]
    n = len(letters)
    structure = Structure(
        cell, group, np.array([SYMBOLS[x] for x in letters], np.uint8), np.array(frac),
        np.full(n, 0.04), np.ones(n) if occupancy is None else np.array(occupancy, float),
    )  # fmt: skip
    text = cif_text("x", structure, parts=parts)
    return read_model(next(blocks_with_atoms(read_document("x.cif", text))), "x.cif")


def together(*models: Model) -> list[list[int]]:
    """Which of them are one family, sorted."""
    numbers = families([fingerprint(m) for m in models]).tolist()
    return sorted([i for i, n in enumerate(numbers) if n == number] for number in set(numbers))


def test_another_packing_is_the_same_family():
    other_cell = (11.5, 12.5, 14.0, 80.0, 95.0, 100.0)
    assert together(crystal(CHAIN), crystal(RING), crystal(CHAIN, group="P -1", cell=other_cell)) == [
        [0, 2],
        [1],
    ]


def test_atoms_in_any_order_and_any_image():
    model = crystal(CHAIN)
    s = model.structure
    order = [3, 1, 5, 0, 4, 2]
    frac = s.frac[order].copy()
    frac[0] = frac[0] * [-1, 1, -1] + [0, 0.5, 1]  # 2₁
    frac[1] += [1, 0, -2]
    moved = Structure(s.cell, s.space_group, s.numbers[order], frac, s.u_iso, s.occupancy)
    other = Model(moved, model.part, model.assembly, [], 0)
    assert fingerprint(other).molecules == fingerprint(model).molecules


def test_solvent_counts_only_where_nothing_else_is():
    assert together(crystal(CHAIN, WATER), crystal(RING, WATER), crystal(WATER)) == [[0], [1], [2]]


def test_a_cocrystal_joins_the_families_of_both():
    assert together(crystal(CHAIN), crystal(RING), crystal(CHAIN, RING)) == [[0, 1, 2]]


def test_numbers_stay_when_others_come():
    one = fingerprint(crystal(CHAIN))
    assert families([one])[0] == families([fingerprint(crystal(RING)), one])[1]


def test_a_molecule_on_an_inversion_centre_is_completed():
    """Half a chain and its image against the whole chain elsewhere."""
    places = np.array([[0.6, 0.4, 0.0], [1.8, -0.3, 0.0], [3.0, 0.4, 0.0]])
    half, whole = ("CCC", places), ("CCCCCC", np.concatenate([places, -places]) + 5)
    assert together(crystal(half, group="P -1"), crystal(whole)) == [[0, 1]]


def test_a_second_measurement():
    again = crystal(CHAIN, cell=(11.1, 12.15, 13.2, 90.0, 95.6, 90.0))
    prints = [
        fingerprint(m) for m in (crystal(CHAIN), again, crystal(CHAIN, cell=(12.0, 12.0, 13.0, 90, 95, 90)))
    ]
    assert list(same_crystals(prints)) == [(0, 1)]


def test_another_setting_is_the_same_crystal():
    """P2₁/c and P2₁/n of one lattice: c' = a + c."""
    a, b, c, beta = 9.0, 7.0, 8.0, 110.0
    cos = np.cos(np.radians(beta))
    long = np.sqrt(a**2 + c**2 + 2 * a * c * cos)
    angle = np.degrees(np.arccos((a * a + a * c * cos) / (a * long)))
    cells = [(a, b, c, 90.0, beta, 90.0), (a, b, long, 90.0, angle, 90.0)]
    assert gemmi.UnitCell(*cells[0]).volume == pytest.approx(gemmi.UnitCell(*cells[1]).volume)
    small = ("CCO", [[1.0, 1.0, 1.0], [2.3, 1.6, 1.0], [3.5, 1.0, 1.0]])
    prints = [
        fingerprint(crystal(small, group=group, cell=cell))
        for group, cell in zip(("P 1 21/c 1", "P 1 21/n 1"), cells, strict=True)
    ]
    assert list(same_crystals(prints)) == [(0, 1)]


def test_the_larger_part_of_a_disorder_counts():
    """An O on two sites of one carbon: without the smaller part it is the ordered molecule."""
    letters, places = CHAIN
    beside = (letters + "O", [*places, [7.2, 0.4, 1.9]])
    parts = [(".", ".")] * 5 + [("A", "1"), ("A", "2")]
    model = crystal(beside, occupancy=[1] * 5 + [0.6, 0.4], parts=parts)
    assert major_part(model).tolist() == [True] * 6 + [False]
    assert fingerprint(model).molecules == fingerprint(crystal(CHAIN)).molecules
    without_groups = crystal((letters + "O", [*places, [7.3, 2.0, 1.0]]), occupancy=[1] * 5 + [0.6, 0.4])
    assert major_part(without_groups).tolist() == [True] * 6 + [False]


def test_bonds_without_end():
    along = crystal(
        ("C" * 4, [[x, 1.0, 1.0] for x in (0.2, 1.7, 3.2, 4.7)]), group="P 1", cell=(6, 9, 9, 90, 90, 90)
    )
    assert fingerprint(along).endless
    assert not fingerprint(crystal(CHAIN)).endless


def test_families_of_published_structures(shared_data):
    """Against the table that came with them, pair by pair.

    The table knows no polymorphs (benzene, ibuprofen, 4-aminobenzonitrile), and joins
    an imidazolidinone with a molecule of other connectivity.
    """
    with (shared_data / "structures.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["n_indep_nonH"]) < 30]
    counts = {row["family_id"]: 0 for row in rows}
    for row in rows:
        counts[row["family_id"]] += 1
    # Small crystals, and all that share a family: the rest takes long and says nothing more.
    chosen = [row for i, row in enumerate(rows) if counts[row["family_id"]] > 1 or i % 4 == 0]
    prints = []
    for row in chosen:
        path = shared_data / "structures" / f"{row['id']}.cif"
        prints.append(fingerprint(read_model(next(blocks_with_atoms(read_document(path))), path)))
    numbers = families(prints).tolist()
    assert not any(found.endless for found in prints)
    missed, agreed = set(), 0
    for i, j in combinations(range(len(chosen)), 2):
        if chosen[i]["family_id"] == chosen[j]["family_id"]:
            agreed += numbers[i] == numbers[j]
            missed |= {chosen[i]["id"], chosen[j]["id"]} if numbers[i] != numbers[j] else set()
    assert missed == {"COD_2206832", "COD_2215272"}
    assert agreed == 6
