"""The pairs of tensors of the thesis, by cctbx. Runs in a worker process only."""

from __future__ import annotations

from xrdml.xrd_simulator._cctbx_first import flex

# isort: split

import gemmi
import numpy as np
from cctbx import crystal, math_module, miller, xray
from cctbx.xray.ext import structure_factors_direct

from xrdml.crystal.cell import inverse_d_squared
from xrdml.crystal.store import TensorLayout, TensorPair
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Hkl
from xrdml.xrd_simulator.random_atoms import space_group_info

# Direct summation with a table of cosines: four times as fast as without, and |F| is within 2·10⁻³ of
# the mean |F| (6·10⁻⁵ rms). cctbx' default, the FFT, is slower for such cells and 20 % off where U is near 0.
_COSINES = math_module.cos_sin_table(2**16)


def amplitudes(structure: Structure, d_min: float) -> tuple[Hkl, np.ndarray]:
    """Laue-unique indices (n, 3) in our asymmetric unit, without absences, and |F| (n,) in electrons."""
    symmetry = crystal.symmetry(
        unit_cell=structure.cell, space_group_info=space_group_info(structure.space_group)
    )
    scatterers = flex.xray_scatterer(
        [
            xray.scatterer(scattering_type=gemmi.Element(z).name, site=site, u=u, occupancy=occupancy)
            for z, site, u, occupancy in zip(
                structure.numbers.tolist(),
                structure.frac.tolist(),
                structure.u_iso.tolist(),
                structure.occupancy.tolist(),
                strict=True,
            )
        ]
    )
    model = xray.structure(crystal_symmetry=symmetry, scatterers=scatterers)
    # A little further, so that our own d, not cctbx' rounding, decides at the limit.
    indices = miller.index_generator(
        model.unit_cell(), symmetry.space_group_info().type(), False, d_min * (1 - 1e-6)
    ).to_array()
    result = structure_factors_direct(
        _COSINES,
        model.unit_cell(),
        model.space_group(),
        indices,
        model.scatterers(),
        model.scattering_type_registry(table="it1992"),
    )
    hkl = indices.as_vec3_double().as_numpy_array().astype(np.int32)
    return structure.symmetry.to_asu(hkl), flex.abs(result.f_calc()).as_numpy_array()


def tensor_pair(structure: Structure, layout: TensorLayout) -> TensorPair:
    """|F| to `d_min_low` and to `d_min_high`, each divided by the largest |F| to `d_min_low`.

    Raises
    ------
    GridTooSmall
        A reflection has no cell in the grid.
    """
    hkl, f = amplitudes(structure, layout.d_min_high)
    inverse_d2 = inverse_d_squared(structure.cell, hkl)
    in_high = inverse_d2 * layout.d_min_high**2 <= 1
    in_low = inverse_d2[in_high] * layout.d_min_low**2 <= 1
    f = f[in_high]
    scaled = (f / f[in_low].max()).astype(np.float32)
    index = layout.grid.index(hkl[in_high])
    low, high = np.zeros((2, *layout.grid.shape), dtype=np.float32)
    high[index] = scaled
    low[index] = np.where(in_low, scaled, 0)
    return low, high
