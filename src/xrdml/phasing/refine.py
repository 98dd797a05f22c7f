"""Isotropic refinement of atoms against measured amplitudes and a phased map, by Levenberg and Marquardt."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.cell import inverse_d_squared, metric
from xrdml.crystal.scattering import form_factor
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Hkl, Symmetry

U_RANGE = (0.005, 0.25)
MAP_WEIGHT, U_WEIGHT = 0.15, 0.01
FALLOFF_WEIGHT = 1e-4
"""Keeps the fall-off of the map from running away where the map says nothing of it."""
FALLOFF_LIMIT = 3.0
"""Of B' / 10 Å²."""
CONVERGED = 1e-4
"""Relative gain of a cycle after which there is nothing more to gain."""

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


def refine(
    structure: Structure,
    hkl: Hkl,
    f_obs: Real,
    map_hkl: Hkl,
    f_map: NDArray[np.complexfloating],
    cycles: int = 25,
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
        Measured Laue-unique reflections without absences, (n, 3), and |F| on any scale, (n,).
    map_hkl, f_map
        Reflections of the phased map, (m, 3), and complex F on the same scale, (m,), with the
        symmetry of the group about its origin.
    cycles
        At most.

    Returns
    -------
    structure, scale, r1
        |Fo| ≈ scale · |Fc| in electrons; R1 over the measured reflections.
    """
    problem = _Problem(structure, hkl, f_obs, map_hkl, np.asarray(f_map, np.complex128), map_weight, u_weight)
    p = problem.start()
    damping = 1e-3
    value, gradient, hessian = problem.quadratic(p)
    for _ in range(cycles):
        diagonal = np.diag(hessian).copy()
        diagonal[diagonal < 1e-12] = 1e-12
        step = np.linalg.solve(hessian + np.diag(damping * diagonal + 1e-12), -gradient)
        tried = problem.admissible(p + step)
        now = problem.value(tried)
        if now >= value:
            damping *= 8
            if damping > 1e4:
                break
            continue
        gain, p, damping = value - now, tried, damping / 4
        if gain < CONVERGED * value:
            break
        value, gradient, hessian = problem.quadratic(p)
    fc = np.abs(problem.calculated(p)[problem.measured])
    k = float((f_obs * fc).sum() / max((fc**2).sum(), 1e-12))
    return problem.atoms(p), k, float(np.abs(f_obs - k * fc).sum() / f_obs.sum())


@dataclass(frozen=True)
class _Sizes:
    """Where the parameters are: shifts in Å along the axes, ln U, ln k, ln k', B'."""

    n: int

    @property
    def shift(self) -> slice:
        return slice(0, 3 * self.n)

    @property
    def log_u(self) -> slice:
        return slice(3 * self.n, 4 * self.n)


class _Problem:
    """The sum of squares and its derivatives."""

    def __init__(
        self,
        structure: Structure,
        hkl: Hkl,
        f_obs: Real,
        map_hkl: Hkl,
        f_map: Complex,
        map_weight: float,
        u_weight: float,
    ):
        self.structure, self.f_obs, self.f_map = structure, f_obs, f_map
        self.u_weight = u_weight / len(structure)
        self.amplitude_weight = 1 / max((f_obs**2).sum(), 1e-12)
        self.map_weight = map_weight / max((np.abs(f_map) ** 2).sum(), 1e-12)
        rows, inverse = np.unique(np.concatenate([hkl, map_hkl]), axis=0, return_inverse=True)
        inverse = inverse.ravel()
        self.hkl, self.measured, self.drawn = rows, inverse[: len(hkl)], inverse[len(hkl) :]
        self.sizes = _Sizes(len(structure))
        self.s2 = inverse_d_squared(structure.cell, rows) / 4
        group = structure.symmetry
        self.rotations, self.translations = _without_centring(group)
        weight = structure.occupancy / group.site_order(structure.frac, structure.cell)
        weight = weight * (group.order / len(self.rotations))
        kinds, index = np.unique(structure.numbers, return_inverse=True)
        self.f0 = form_factor(kinds[:, None], self.s2)[index] * weight[:, None]
        # dx = free · (shift / lengths): what site symmetry leaves of a shift along the axes.
        self.free = _free_directions(structure) / np.array(structure.cell[:3])

    def start(self) -> Real:
        n = self.sizes.n
        p = np.zeros(4 * n + 3)
        p[self.sizes.log_u] = np.log(self.structure.u_iso)
        p = self.admissible(p)
        fc = self.calculated(p)
        a, b = np.abs(fc[self.measured]), fc[self.drawn]
        p[4 * n] = np.log(max((self.f_obs * a).sum() / max((a**2).sum(), 1e-12), 1e-12))
        overlap = (self.f_map * b.conj()).real.sum() / max((np.abs(b) ** 2).sum(), 1e-12)
        p[4 * n + 1] = np.log(max(overlap, 1e-3 * np.exp(p[4 * n])))
        return p

    def admissible(self, p: Real) -> Real:
        """U and the fall-off of the map within their ranges."""
        p = p.copy()
        p[self.sizes.log_u] = p[self.sizes.log_u].clip(*np.log(U_RANGE))
        p[-1] = p[-1].clip(-FALLOFF_LIMIT, FALLOFF_LIMIT)
        return p

    def atoms(self, p: Real) -> Structure:
        return replace(self.structure, frac=self._frac(p), u_iso=np.exp(p[self.sizes.log_u]))

    def _frac(self, p: Real) -> Real:
        shift = p[self.sizes.shift].reshape(-1, 3)
        return self.structure.frac + np.einsum("nij,nj->ni", self.free, shift)

    def _waves(self, p: Real) -> tuple[Complex, Complex]:
        """Contributions of the atoms to F, (n, h), and their derivatives by fractional x, (n, 3, h)."""
        x = self._frac(p)
        u = np.exp(p[self.sizes.log_u])
        size = self.f0 * np.exp(-8 * np.pi**2 * u[:, None] * self.s2)
        total = np.zeros(size.shape, dtype=np.complex128)
        slope = np.zeros((len(x), 3, len(self.hkl)), dtype=np.complex128)
        for rotation, translation in zip(self.rotations, self.translations, strict=True):
            turned = self.hkl @ rotation
            wave = np.exp(2j * np.pi * (x @ turned.T + self.hkl @ translation))
            total += wave
            slope += wave[:, None] * turned.T
        return size * total, 2j * np.pi * size[:, None] * slope

    def calculated(self, p: Real) -> Complex:
        """F of all reflections, (h,)."""
        x = self._frac(p)
        size = self.f0 * np.exp(-8 * np.pi**2 * np.exp(p[self.sizes.log_u])[:, None] * self.s2)
        total = np.zeros(size.shape, dtype=np.complex128)
        for rotation, translation in zip(self.rotations, self.translations, strict=True):
            total += np.exp(2j * np.pi * (x @ (self.hkl @ rotation).T + self.hkl @ translation))
        f: Complex = (size * total).sum(0)
        return f

    def value(self, p: Real) -> float:
        n, fc = self.sizes.n, self.calculated(p)
        a = self.f_obs - np.exp(p[4 * n]) * np.abs(fc[self.measured])
        b = self.f_map - self._map_scale(p) * fc[self.drawn]
        spread = p[self.sizes.log_u] - p[self.sizes.log_u].mean()
        return float(
            self.amplitude_weight * (a**2).sum()
            + self.map_weight * (np.abs(b) ** 2).sum()
            + self.u_weight * (spread**2).sum()
            + FALLOFF_WEIGHT * p[-1] ** 2
        )

    def _map_scale(self, p: Real) -> Real:
        out: Real = np.exp(p[-2] - 10 * p[-1] * self.s2[self.drawn])
        return out

    def quadratic(self, p: Real) -> tuple[float, Real, Real]:
        """Value, and half of gradient and of the Gauss–Newton Hessian."""
        n = self.sizes.n
        waves, slopes = self._waves(p)
        fc = waves.sum(0)
        u = np.exp(p[self.sizes.log_u])
        # dF/dp for shifts and ln U, (4n, h)
        by_shift = np.einsum("njh,njk->nkh", slopes, self.free).reshape(3 * n, -1)
        by_u = waves * (-8 * np.pi**2 * u[:, None] * self.s2)
        jacobian = np.concatenate([by_shift, by_u])

        k, f = np.exp(p[4 * n]), fc[self.measured]
        size = np.abs(f).clip(1e-9)
        ja = np.zeros((len(p), len(f)))
        ja[: 4 * n] = k * (jacobian[:, self.measured] * (f.conj() / size)).real
        ja[4 * n] = k * size
        ra = self.f_obs - k * size

        scale, g = self._map_scale(p), fc[self.drawn]
        jb = np.zeros((len(p), len(g)), dtype=np.complex128)
        jb[: 4 * n] = scale * jacobian[:, self.drawn]
        jb[4 * n + 1] = scale * g
        jb[4 * n + 2] = -10 * self.s2[self.drawn] * scale * g
        rb = self.f_map - scale * g

        gradient = -self.amplitude_weight * (ja @ ra) - self.map_weight * (jb.conj() @ rb).real
        hessian = self.amplitude_weight * (ja @ ja.T) + self.map_weight * (
            jb.real @ jb.real.T + jb.imag @ jb.imag.T
        )
        at = self.sizes.log_u
        spread = p[at] - p[at].mean()
        gradient[at] += self.u_weight * spread
        hessian[at, at] += self.u_weight * (np.eye(n) - 1 / n)
        gradient[-1] += FALLOFF_WEIGHT * p[-1]
        hessian[-1, -1] += FALLOFF_WEIGHT
        return self.value(p), gradient, hessian


def _without_centring(group: Symmetry) -> tuple[NDArray, NDArray]:
    """One operation of each rotation: those of a centred lattice repeat them, which only scales F."""
    _, first = np.unique(group.rotations.reshape(len(group.rotations), 9), axis=0, return_index=True)
    return group.rotations[first], group.translations[first]


def _free_directions(structure: Structure, tolerance: float = 0.1) -> np.ndarray:
    """Projections of fractional shifts onto those that keep each atom on its symmetry element, (n, 3, 3).

    The mean of the rotations that bring a site back to within `tolerance` Å of itself.
    """
    group, x = structure.symmetry, structure.frac
    delta = np.einsum("sij,nj->nsi", group.rotations, x) + group.translations - x[:, None]
    delta -= np.round(delta)
    stays = np.einsum("nsi,ij,nsj->ns", delta, metric(structure.cell), delta) < tolerance**2
    return np.einsum("ns,sij->nij", stays, group.rotations) / stays.sum(1)[:, None, None]
