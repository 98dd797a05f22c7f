"""Random starts side by side, watched for the moment at which one of them has found the structure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from xrdml.crystal.symmetry import Symmetry
from xrdml.phasing.iterate import Prior, Projection, Schedule, iterate, random_start
from xrdml.phasing.origin import find_origin, shifted, symmetrised
from xrdml.phasing.projections import residual
from xrdml.phasing.sphere import MeasuredSphere

LOOK_EVERY = 10
"""Iterations. Relaxed-reflect-reflect often leaves a solution again: the end is not the place to look."""
AVERAGE_FROM, AVERAGE_EVERY = 70, 20
"""Iteration of the first averaging, and iterations from one to the next."""
R_OF_NOTHING = 0.3
"""R between measured and drawn amplitudes that maps of wrong structures have."""
AGREEMENT_UNKNOWN = 0.7
"""Stands for the agreement where the group has no operation that could agree."""


@dataclass(frozen=True)
class Candidate:
    """The map of one start at one moment.

    Attributes
    ----------
    f
        F that the prior drew, on the scale of the data, (X, Y, Z).
    r_known, r_free
        R between measured and drawn amplitudes, over the reflections used and over those left out.
    agreement
        Correlation of the map with its symmetry mates; 0 where there are none.
    start, iteration
        The number of its start among all of the search, and the moment.
    """

    f: Tensor
    r_known: float
    r_free: float
    agreement: float
    has_symmetry: bool
    start: int
    iteration: int

    @property
    def score(self) -> float:
        """Rises with agreement and with fit; around 0.3 where structures begin to be right."""
        return (self.agreement if self.has_symmetry else AGREEMENT_UNKNOWN) * (
            1 - self.r_known / R_OF_NOTHING
        )


@dataclass(frozen=True)
class Found:
    """The best candidate of a batch, R over the known reflections of every iteration of its start."""

    best: Candidate
    history: list[float]


def has_symmetry(sphere: MeasuredSphere) -> bool:
    """Whether the group has an operation beside lattice centring."""
    return any((r != np.eye(3)).any() for r in sphere.symmetry.rotations)


class Averaging:
    """A projection after which every second start is now and then averaged over the space group.

    The average about the origin where a map agrees best with the symmetry helps where data are few;
    other crystals are solved only by starts that know no symmetry. So half of them do.

    Parameters
    ----------
    projection
        P_B.
    symmetry
        Of the group, with an operation beside lattice centring.
    """

    def __init__(self, projection: Projection, symmetry: Symmetry):
        self._projection, self._symmetry, self._iteration = projection, symmetry, 0

    def __call__(self, f: Tensor, level: float) -> Tensor:
        """F (B, X, Y, Z) → F."""
        p, i = self._projection(f, level), self._iteration
        self._iteration += 1
        if i < AVERAGE_FROM or (i - AVERAGE_FROM) % AVERAGE_EVERY:
            return p
        p = p.clone()
        for k in range(1, len(p), 2):
            x0, _ = find_origin(p[k], self._symmetry)
            p[k] = symmetrised(shifted(p[k], x0), self._symmetry)
        return p


def search(
    network: nn.Module,
    sphere: MeasuredSphere,
    starts: int,
    schedule: Schedule,
    seed: int,
    first: int,
    look: Callable[[Candidate], bool],
    report: Callable[[int, float], None] | None = None,
) -> Found:
    """Run a batch of starts, to the end or until `look` says that it is enough.

    Parameters
    ----------
    seed, first
        Of the random phases, and the number of the first start of this batch.
    look
        Called every `LOOK_EVERY` iterations with each candidate of that moment, the best first.
    report
        Called after every iteration with its number and the lowest R.
    """
    rows: list[Tensor] = []
    best: list[Candidate] = []
    symmetric = has_symmetry(sphere)

    def watch(i: int, p: Tensor) -> bool:
        rows.append(residual(p, sphere, sphere.known))
        if report is not None:
            report(i, float(rows[-1].min()))
        if i % LOOK_EVERY != LOOK_EVERY - 1 and i + 1 != schedule.iterations:
            return False
        free = residual(p, sphere, sphere.free)
        now = [
            Candidate(
                p[k],
                float(rows[-1][k]),
                float(free[k]),
                find_origin(p[k], sphere.symmetry)[1] if symmetric else 0.0,
                symmetric,
                first + k,
                i,
            )
            for k in range(starts)
        ]
        now.sort(key=lambda c: -c.score)
        if not best or now[0].score > best[0].score:
            best[:] = now[:1]
        return any(look(c) for c in now)

    projection: Projection = Prior(network, sphere)
    if symmetric:
        projection = Averaging(projection, sphere.symmetry)
    iterate(projection, sphere, random_start(sphere, starts, seed + first), schedule, watch)
    return Found(best[0], [float(r[best[0].start - first]) for r in rows])
