"""A solution that is known beforehand, to stand in the place of a search."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from crystals import direct_sum
from xrdml.crystal.cif import read_structure
from xrdml.crystal.structure import Structure
from xrdml.phasing.solve import Solution
from xrdml.phasing.verdict import Evidence


def published_sucrose(shared_data: Path) -> Structure:
    """The published non-H atoms, inverted and moved along the polar axis."""
    made = read_structure(shared_data / "measured/FinalCif-DK-Zucker2-0m/structure.cif")
    keep = made.numbers > 1
    return replace(
        made,
        frac=[0.5, 0.321, 0] - made.frac[keep],
        **{name: getattr(made, name)[keep] for name in ("numbers", "u_iso", "occupancy")},
    )


def found(structure: Structure, solved: bool, scale: float = 2.0) -> Solution:
    """What a search returns that ended with these atoms; |Fo| = scale · |Fc|."""
    hkl = structure.symmetry.unique_reflections(structure.cell, 1.0)
    f = scale * direct_sum(structure, hkl)
    return Solution(
        solved=solved,
        structure=structure,
        map_hkl=hkl,
        map_f=f,
        r_known=0.1,
        r_free=0.2,
        agreement=0.9,
        r1=0.05,
        r1_free=0.06,
        scale=scale,
        starts=4,
        history=[0.5, 0.1],
        seconds=1.5,
        evidence=Evidence(0.9, True, 0.05, 0.06, 200, 16, len(structure), 1.5),
    )
