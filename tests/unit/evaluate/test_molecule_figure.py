"""The picture of a molecule."""

from __future__ import annotations

import matplotlib.image
import numpy as np

from crystals import random_structure
from xrdml.crystal.cif import read_structure
from xrdml.evaluate.molecule_figure import draw_molecule, projection


def test_projection_is_a_rotation_onto_the_flattest_plane():
    """Points of a plane lie flat, their distances and hand stay."""
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    points = rng.normal(size=(30, 3)) * [5, 2, 0.1] @ rotation + 7
    flat = projection(points)
    assert flat[:, 0].std() > flat[:, 1].std() > flat[:, 2].std()
    assert flat[:, 2].std() < 0.15
    np.testing.assert_allclose(
        np.linalg.norm(flat[1:] - flat[:-1], axis=1), np.linalg.norm(points[1:] - points[:-1], axis=1)
    )
    ours, theirs = (np.linalg.det(p[1:4] - p[0]) for p in (flat, points))
    np.testing.assert_allclose(ours, theirs)


def test_one_atom_is_drawn(tmp_path):
    draw_molecule(tmp_path / "x.png", random_structure(n=1))
    assert matplotlib.image.imread(tmp_path / "x.png").shape[2] == 4


def test_sucrose(shared_data, tmp_path):
    """Dark and red pixels for carbon and oxygen on white; wider than high."""
    structure = read_structure(shared_data / "measured/FinalCif-DK-Zucker2-0m/structure.cif")
    draw_molecule(tmp_path / "x.png", structure, "sucrose")
    rgb = matplotlib.image.imread(tmp_path / "x.png")[..., :3]
    assert rgb.shape[1] > rgb.shape[0]
    red = (rgb[..., 0] > 0.8) & (rgb[..., 1] < 0.35)
    grey = np.ptp(rgb, axis=-1) < 0.02
    assert 0.001 < red.mean() < 0.1
    assert 0.001 < (grey & (rgb.mean(-1) < 0.5)).mean() < 0.2
    assert (rgb.min(-1) > 0.99).mean() > 0.6
