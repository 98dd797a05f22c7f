"""A few cycles of isotropic refinement of atoms against measured amplitudes and a phased map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from xrdml.crystal.cell import metric
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Hkl
from xrdml.physics.structure_factors import collate, s_squared, structure_factors

U_RANGE = (0.005, 0.25)
MAP_WEIGHT, U_WEIGHT = 0.15, 0.01


def refine(
    structure: Structure,
    hkl: Hkl,
    f_obs: np.ndarray,
    map_hkl: Hkl,
    f_map: np.ndarray,
    cycles: int = 60,
    map_weight: float = MAP_WEIGHT,
    u_weight: float = U_WEIGHT,
) -> tuple[Structure, float, float]:
    """Move the atoms as far as their site symmetry lets them, refine U_iso and the scale.

    Minimises Σ(|Fo| − k|Fc|)² / Σ|Fo|² over the measured reflections, plus `map_weight` times
    Σ|F_map − k'·exp(−B's²)·Fc|² / Σ|F_map|² over those of the map, plus `u_weight` times the variance of
    ln U: data to 1.5 Å alone are fewer than the parameters of an organic crystal want. The map has a fall-off
    B' of its own, since a network draws what is uncertain too smooth; so it speaks on positions, the
    measured amplitudes on displacements.

    Parameters
    ----------
    hkl, f_obs
        Measured Laue-unique reflections, (n, 3), and |F| on any scale, (n,).
    map_hkl, f_map
        Reflections of the phased map, (m, 3), and complex F on the same scale, (m,), with the
        symmetry of the group about its origin.

    Returns
    -------
    structure, scale, r1
        |Fo| ≈ scale · |Fc| in electrons; R1 over the measured reflections.
    """
    batch = collate([structure])
    h = torch.from_numpy(np.ascontiguousarray(hkl))
    hm = torch.from_numpy(np.ascontiguousarray(map_hkl))
    fo = torch.from_numpy(f_obs.astype(np.float32))
    fm = torch.from_numpy(f_map.astype(np.complex64))
    free = torch.from_numpy(_free_directions(structure)).float()
    shift = torch.zeros_like(batch.frac, requires_grad=True)
    log_u = batch.u_iso.log().clone().requires_grad_(True)
    # Shifts in units of 1 Å, so that one step size serves both kinds of parameters.
    lengths = torch.tensor(structure.cell[:3])
    falloff = torch.zeros((), requires_grad=True)
    s2_map = s_squared(batch.reciprocal_metric, hm)[0]
    optimiser = torch.optim.LBFGS([shift, log_u, falloff], max_iter=cycles, line_search_fn="strong_wolfe")

    def positions() -> Tensor:
        return batch.frac + torch.einsum("nij,bnj->bni", free, shift / lengths)

    def calculated() -> tuple[Tensor, Tensor, Tensor]:
        moved = replace(
            batch,
            frac=positions(),
            u_iso=log_u.exp().clamp(*U_RANGE),
        )
        fc, fcm = structure_factors(moved, h)[0], structure_factors(moved, hm)[0]
        k = (fo * fc.abs()).sum() / fc.abs().square().sum()
        return fc, fcm, k

    def loss() -> Tensor:
        optimiser.zero_grad()
        fc, fcm, k = calculated()
        amplitude = (fo - k * fc.abs()).square().sum() / fo.square().sum()
        fcm = fcm * torch.exp(-10 * falloff * s2_map)
        km = (fm.conj() * fcm).real.sum() / fcm.abs().square().sum()
        density = (fm - km * fcm).abs().square().sum() / fm.abs().square().sum()
        value = amplitude + map_weight * density + u_weight * log_u.var(unbiased=False)
        value.backward()
        return value

    optimiser.step(loss)
    with torch.no_grad():
        fc, _, k = calculated()
        r1 = float((fo - k * fc.abs()).abs().sum() / fo.sum())
        frac = positions()[0].double().numpy()
        u = log_u.exp().clamp(*U_RANGE)[0].double().numpy()
    return replace(structure, frac=frac, u_iso=u), float(k), r1


def _free_directions(structure: Structure, tolerance: float = 0.1) -> np.ndarray:
    """Projections of fractional shifts onto those that keep each atom on its symmetry element, (n, 3, 3).

    The mean of the rotations that bring a site back to within `tolerance` Å of itself.
    """
    group, x = structure.symmetry, structure.frac
    delta = np.einsum("sij,nj->nsi", group.rotations, x) + group.translations - x[:, None]
    delta -= np.round(delta)
    stays = np.einsum("nsi,ij,nsj->ns", delta, metric(structure.cell), delta) < tolerance**2
    return np.einsum("ns,sij->nij", stays, group.rotations) / stays.sum(1)[:, None, None]
