"""From the map of a candidate to refined atoms and the verdict on them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xrdml.crystal.problem import FillProblem
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import Hkl
from xrdml.data.density import D_HIGH, density_crystal
from xrdml.phasing.elements import refine_with_elements
from xrdml.phasing.iterate import Prior, Schedule
from xrdml.phasing.origin import find_origin, shifted, symmetrised
from xrdml.phasing.peaks import atoms_from_peaks
from xrdml.phasing.projections import fitted, residual, with_amplitudes, within
from xrdml.phasing.refine import refine
from xrdml.phasing.search import Candidate
from xrdml.phasing.sphere import MeasuredSphere, measured_sphere
from xrdml.phasing.verdict import Evidence, is_solved
from xrdml.physics.structure_factors import collate, structure_factors

POLISHING, FINISHING = 12, 4
"""Iterations with the symmetry of the group after it was found, and after atoms gave new phases."""
RECYCLES, WORTH_RECYCLING = 2, (0.1, 0.4)
"""How often the phases of the atoms may give a new map, from which R1 on, and up to which."""


@dataclass(frozen=True)
class Built:
    """Atoms of a candidate.

    Attributes
    ----------
    solved
        The verdict on the evidence.
    structure
        Refined atoms about the origin of the space group; None where the map has no peak.
    scale, r1
        |Fo| of the file = scale · |Fc| in electrons, and R1, over all measured reflections.
    map_hkl, map_f
        Laue-unique reflections to `D_HIGH`, (m, 3), and their phased F on the file's scale, (m,).
    r_free
        R of the symmetric map over the reflections left out.
    evidence
        What the verdict rests on.
    """

    solved: bool
    structure: Structure | None
    scale: float
    r1: float
    map_hkl: Hkl
    map_f: NDArray[np.complex128]
    r_free: float
    evidence: Evidence


class Builder:
    """Builds atoms for candidates of one crystal.

    Parameters
    ----------
    sphere
        What the candidates were iterated with: its free reflections take no part in map, atoms, elements and
        refinement until the verdict is there.
    """

    def __init__(self, problem: FillProblem, network: nn.Module, sphere: MeasuredSphere):
        self._problem, self._network, self._sphere = problem, network, sphere
        given = (problem.measured.hkl, problem.f_obs, problem.cell, problem.symmetry, problem.d_limit)
        self._all = measured_sphere(*given, free_fraction=0).to(sphere.amplitude.device)
        self._shape = np.array(sphere.shape)
        hkl = problem.measured.hkl
        inside = (2 * np.abs(hkl) < self._shape).all(1)
        free = sphere.free.cpu().numpy()[tuple((hkl % self._shape).T)]
        self._free: NDArray[np.bool_] = free & inside

    def build(self, candidate: Candidate) -> Built:
        """Atoms, verdict on them, and then a last refinement with everything."""
        f, r_free = self._polish(candidate.f)
        working = ~self._free
        structure, r1 = self._atoms(f)
        for _ in range(RECYCLES):
            if structure is None or not WORTH_RECYCLING[0] < r1 < WORTH_RECYCLING[1]:
                break
            again = self._with_symmetry(self._calculated(structure), self._sphere, FINISHING)
            other, other_r1 = self._atoms(again)
            if not other_r1 < r1:
                break
            f, structure, r1 = again, other, other_r1
        n_atoms = 0 if structure is None else len(structure)
        evidence = Evidence(
            agreement=candidate.agreement,
            has_symmetry=candidate.has_symmetry,
            r1=r1,
            r1_free=math.nan if structure is None else self._r1_free(structure),
            n_reflections=int(working.sum()),
            n_free=int(self._free.sum()),
            n_atoms=n_atoms,
            d_limit=self._problem.d_limit,
        )
        f = self._with_symmetry(f, self._all, FINISHING)
        hkl, f_map = self._unique(f)
        scale = math.nan
        if structure is not None:
            p = self._problem
            structure, scale, r1 = refine(structure, p.measured.hkl, p.f_obs, hkl, f_map)
        return Built(is_solved(evidence), structure, scale, r1, hkl, f_map, r_free, evidence)

    def _atoms(self, f: Tensor) -> tuple[Structure | None, float]:
        """Atoms of a symmetric map (1, X, Y, Z), refined without the free reflections; R1."""
        p, working = self._problem, ~self._free
        structure, peaks = atoms_from_peaks(f[0].cpu(), p.cell, p.symmetry, p.contents)
        if len(peaks.height) == 0:
            return None, math.nan
        refined, _, r1 = refine_with_elements(
            structure, p.measured.hkl[working], p.f_obs[working], *self._unique(f)
        )
        return refined, r1

    def _r1_free(self, structure: Structure) -> float:
        """R1 over the reflections left out, on the scale of the others."""
        p = self._problem
        with torch.no_grad():
            hkl = torch.from_numpy(np.ascontiguousarray(p.measured.hkl))
            fc = structure_factors(collate([structure]), hkl)[0].abs().double().numpy()
        working, free = ~self._free, self._free
        k = (p.f_obs * fc)[working].sum() / max((fc[working] ** 2).sum(), 1e-12)
        return float(np.abs(p.f_obs - k * fc)[free].sum() / max(p.f_obs[free].sum(), 1e-12))

    def _calculated(self, structure: Structure) -> Tensor:
        """F of the atoms, (1, X, Y, Z)."""
        f = torch.from_numpy(density_crystal(structure).f).to(self._all.amplitude.device)
        return fitted(f[None], self._all)

    def _polish(self, f: Tensor) -> tuple[Tensor, float]:
        """Go on from a P1 map with the symmetry about its origin: map (1, X, Y, Z) and R_free."""
        symmetry = self._sphere.symmetry
        x0, _ = find_origin(f, symmetry)
        p = symmetrised(shifted(f, x0), symmetry)[None]
        p = self._with_symmetry(p, self._sphere, POLISHING)
        return p, float(residual(fitted(p, self._sphere), self._sphere, self._sphere.free))

    def _with_symmetry(self, p: Tensor, data: MeasuredSphere, iterations: int) -> Tensor:
        """Plain iteration with averaging: the map that fits best, (1, X, Y, Z)."""
        prior = Prior(self._network, data)
        best = (p, math.inf)
        for _ in range(iterations):
            drawn = prior(within(with_amplitudes(p, data), data), Schedule().level_end)
            p = symmetrised(drawn[0], data.symmetry)[None]
            r = float(residual(p, data, data.known))
            if r < best[1]:
                best = (p, r)
        return best[0]

    def _unique(self, f: Tensor) -> tuple[Hkl, NDArray[np.complex128]]:
        """The unique reflections of a symmetric map (1, X, Y, Z), on the scale of the measured |F|."""
        p = self._problem
        hkl = p.symmetry.unique_reflections(p.cell, D_HIGH)
        hkl = hkl[(2 * np.abs(hkl) < self._shape).all(1)]
        grid = f[0].cpu().numpy().astype(np.complex128)

        def at(h: Hkl) -> NDArray[np.complex128]:
            return grid[tuple((h % self._shape).T)]

        measured = p.measured.hkl
        inside = (2 * np.abs(measured) < self._shape).all(1) & ~self._free
        drawn = np.abs(at(measured[inside]))
        k = (drawn * p.f_obs[inside]).sum() / max((drawn**2).sum(), 1e-12)
        return hkl, k * at(hkl)
