"""The origin of the space group in a map that was phased in P1."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crystals import random_structure
from xrdml.crystal.structure import Structure
from xrdml.data.density import density_crystal
from xrdml.phasing.origin import find_origin, shifted, symmetrised

ORTHORHOMBIC = (6.1, 7.3, 8.7, 90.0, 90.0, 90.0)
MONOCLINIC = (5.7, 6.7, 8.8, 90.0, 103.0, 90.0)
CELLS = {
    "P -1": (5.1, 6.3, 7.2, 81.0, 95.0, 102.0),
    "P 1 21 1": MONOCLINIC,
    "C 1 2 1": (9.7, 6.7, 7.8, 90.0, 103.0, 90.0),
    "P 1 21/n 1": MONOCLINIC,
    "P 1 c 1": MONOCLINIC,
    "P 21 21 21": ORTHORHOMBIC,
    "P n a 21": ORTHORHOMBIC,
    "P b c a": ORTHORHOMBIC,
    "P 41": (6.1, 6.1, 9.3, 90.0, 90.0, 90.0),
    "P 32": (7.0, 7.0, 6.4, 90.0, 90.0, 120.0),
    "R -3:H": (11.0, 11.0, 7.4, 90.0, 90.0, 120.0),
}
GRID = 0.25
"""Å: the origin is searched on half of the grid's spacing of about 0.5 Å."""


def crystal_map(name: str) -> tuple[torch.Tensor, Structure]:
    structure = random_structure(name, CELLS[name], n=3)
    return torch.from_numpy(density_crystal(structure).f), structure


def asymmetry(f: torch.Tensor, structure: Structure) -> float:
    """Share of the power that averaging over the symmetry takes away."""
    rest = f - symmetrised(f, structure.symmetry)
    return float(rest.abs().square().sum() / f.abs().square().sum())


@pytest.mark.parametrize("name", CELLS)
def test_a_shifted_map_is_brought_back_to_an_origin_of_its_group(name):
    f, structure = crystal_map(name)
    points = 2 * np.array(f.shape)
    # A shift by points of the search can be found exactly.
    displaced = shifted(f, np.array([3, 5, 7]) / points)
    x0, agreement = find_origin(displaced, structure.symmetry)
    assert agreement == pytest.approx(1, abs=1e-3)
    assert asymmetry(shifted(displaced, x0), structure) < 1e-3
    assert asymmetry(displaced, structure) > 0.05


@pytest.mark.parametrize("name", ["P -1", "P 21 21 21"])
def test_any_shift_is_found_to_the_fineness_of_the_search(name):
    f, structure = crystal_map(name)
    shift = np.array([0.1234, 0.3712, 0.2571])
    x0, agreement = find_origin(shifted(f, shift), structure.symmetry)
    # F'(h) = F(h) exp(2πi h·x₀) undoes the shift up to the group's alternative origins at ½.
    rest = (x0 + shift) * 2
    distance = np.abs(rest - np.round(rest)) / 2 * np.array(structure.cell[:3])
    assert (distance < GRID).all()
    assert agreement > 0.9


def test_random_phases_have_no_symmetry():
    f, structure = crystal_map("P 21 21 21")
    noise = torch.fft.fftn(torch.randn(f.shape, generator=torch.Generator().manual_seed(0)), norm="ortho")
    _, agreement = find_origin(f.abs() * noise / noise.abs(), structure.symmetry)
    assert agreement < 0.6


def test_without_symmetry_every_origin_is_as_good():
    f, _ = crystal_map("P 1 21 1")
    p1 = random_structure("P 1", MONOCLINIC).symmetry
    x0, agreement = find_origin(f, p1)
    assert agreement == 1
    assert (x0 == 0).all()


@pytest.mark.parametrize("name", CELLS)
def test_averaging_is_a_projection_that_leaves_symmetric_maps_alone(name):
    f, structure = crystal_map(name)
    torch.testing.assert_close(symmetrised(f, structure.symmetry), f, atol=1e-3, rtol=1e-3)
    generator = torch.Generator().manual_seed(0)
    inside = f.abs() > 0
    other = torch.fft.fftn(torch.randn(f.shape, generator=generator), norm="ortho") * inside
    once = symmetrised(other, structure.symmetry)
    torch.testing.assert_close(symmetrised(once, structure.symmetry), once, atol=1e-4, rtol=1e-3)
    assert float(once.abs().square().sum()) < float(other.abs().square().sum())
