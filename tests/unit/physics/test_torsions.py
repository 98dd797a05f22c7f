"""Torsions: which bonds turn, and that turning keeps bonds and angles."""

from __future__ import annotations

import numpy as np
import torch

from xrdml.physics.torsions import find_torsions


def butane():
    """C4H10, all trans, with ideal tetrahedra."""
    third = np.arccos(-1 / 3)
    step = np.array([1.53 * np.sin(third / 2), 0, 0])
    up = np.array([0, 1.53 * np.cos(third / 2), 0])
    carbon = np.array([k * step + (k % 2) * up for k in range(4)])
    hydrogen = []
    for k, x in enumerate(carbon):
        away = -1 if k % 2 == 0 else 1
        hydrogen += [x + np.array([0, away * 0.62, s * 0.87]) for s in (1, -1)]
    ends = [carbon[0] + np.array([-0.9, 0.5, 0]), carbon[3] + np.array([0.9, -0.5, 0])]
    return np.array([6] * 4 + [1] * 10, np.uint8), np.concatenate([carbon, hydrogen, ends])


def dihedral(x, a, b, c, d):
    u, v, w = x[b] - x[a], x[c] - x[b], x[d] - x[c]
    first, second = np.cross(u, v), np.cross(v, w)
    return np.arctan2(np.linalg.norm(v) * u @ second, first @ second)


def test_single_bonds_turn_and_rings_do_not():
    angle = 2 * np.pi * np.arange(6) / 6
    benzene = np.array([6] * 6, np.uint8), 1.39 * np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)
    found = find_torsions([butane(), benzene], 14, "cpu")
    assert sorted(map(sorted, found.axis[0].tolist())) == [[0, 1], [1, 2], [2, 3]]
    assert not found.moves[1].any()
    # The smaller side moves: a methyl group with its hydrogen.
    assert sorted(found.moves[0].sum(1).tolist()) == [4, 4, 7]
    # Ends of butane are three bonds apart, their hydrogen atoms four and five.
    assert found.apart[0, 0, 3] == 0
    assert found.apart[0, 12, 3] == 1
    assert found.apart[0, 12, 13] == 1


def test_turning_changes_the_torsion_and_nothing_else():
    numbers, x = butane()
    found = find_torsions([(numbers, x)], 14, "cpu")
    angles = torch.zeros(1, 3)
    middle = [sorted(axis) for axis in found.axis[0].tolist()].index([1, 2])
    angles[0, middle] = 0.3
    turned = found.turned(torch.from_numpy(x)[None].float(), angles)[0].double().numpy()
    change = dihedral(turned, 0, 1, 2, 3) - dihedral(x, 0, 1, 2, 3)
    np.testing.assert_allclose(abs((change + np.pi) % (2 * np.pi) - np.pi), 0.3, atol=1e-5)
    before, after = (np.linalg.norm(y[:, None] - y, axis=2) for y in (x, turned))
    carbon = numbers == 6
    # Bonds and 1–3 distances, with C and with H; 1–4 distances begin at 2.4 Å with H.
    kept = (before < 2.2) | ((before < 2.6) & carbon[:, None] & carbon)
    np.testing.assert_allclose(after[kept], before[kept], atol=1e-5)
