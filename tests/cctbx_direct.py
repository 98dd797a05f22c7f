"""Direct summation by cctbx, for a process of its own: JSON with crystals on standard input, F on output."""

from __future__ import annotations

import json
import sys

from cctbx.array_family import flex  # isort: skip — cctbx comes first
from cctbx import crystal, eltbx, miller, xray  # noqa: F401


def structure_factors(c: dict) -> list[list[float]]:
    symmetry = crystal.symmetry(unit_cell=c["cell"], space_group_symbol="Hall: " + c["hall"])
    structure = xray.structure(crystal.special_position_settings(symmetry, min_distance_sym_equiv=0.1))
    for i, (label, site, u, occupancy, *anomalous) in enumerate(c["atoms"]):
        fp, fdp = anomalous or (0, 0)
        structure.add_scatterer(
            xray.scatterer(
                f"{label}{i}", site=site, u=u, occupancy=occupancy, scattering_type=label, fp=fp, fdp=fdp
            )
        )
    structure.scattering_type_registry(table="it1992")
    indices = miller.set(symmetry, flex.miller_index([tuple(h) for h in c["hkl"]]), anomalous_flag=True)
    f = indices.structure_factors_from_scatterers(structure, algorithm="direct").f_calc()
    assert list(f.indices()) == [tuple(h) for h in c["hkl"]]
    return [[z.real, z.imag] for z in f.data()]


if __name__ == "__main__":
    json.dump([structure_factors(c) for c in json.load(sys.stdin)], sys.stdout)
