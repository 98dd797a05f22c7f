"""Random starts side by side, watched for the moment at which one of them has found the structure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from xrdml.crystal.symmetry import Symmetry
from xrdml.phasing.iterate import Prior, Projection, Schedule, iterate, random_start
from xrdml.phasing.origin import find_origin, shifted, symmetrised
from xrdml.phasing.projections import residual, with_amplitudes, within
from xrdml.phasing.sphere import MeasuredSphere

LOOK_EVERY = 10
"""Iterations. A start may leave a solution again: the end is not the place to look."""
AVERAGE_FROM, AVERAGE_EVERY = 70, 20
"""Iteration of the first averaging, and iterations from one to the next."""
R_OF_NOTHING = 0.3
"""R between measured and drawn amplitudes that maps of wrong structures have."""
AGREEMENT_UNKNOWN = 0.7
"""Stands for the agreement where the group has no operation that could agree, or it was imposed."""


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
        Correlation of the map with its symmetry mates; 0 where it says nothing.
    has_symmetry
        Whether it says something: the group has operations, and they were not imposed.
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
    """A projection that knows the space group, for every second start from the first iteration on.

    Odd starts begin with its symmetry about its origin and keep it: half the unknowns, or fewer, for crystals
    of few data. Even starts run in P1 and are averaged about the origin where their map agrees best
    with the symmetry only now and then: other crystals are solved by these alone.

    Parameters
    ----------
    projection
        P_B.
    symmetry
        Of the group, with an operation beside lattice centring.
    first
        Number of the first start of the batch.
    """

    def __init__(self, projection: Projection, symmetry: Symmetry, first: int = 0):
        self._projection, self._symmetry, self._iteration = projection, symmetry, 0
        self._first = first

    def imposes(self, k: int) -> bool:
        """Whether start k of the batch has the symmetry throughout."""
        return (self._first + k) % 2 == 1

    def starts(self, x: Tensor, sphere: MeasuredSphere) -> Tensor:
        """Random starts (B, X, Y, Z), with the symmetry where it is imposed."""
        x = x.clone()
        for k in filter(self.imposes, range(len(x))):
            x[k] = within(with_amplitudes(symmetrised(x[k], self._symmetry), sphere), sphere)
        return x

    def __call__(self, f: Tensor, level: float) -> Tensor:
        """F (B, X, Y, Z) → F."""
        p, i = self._projection(f, level).clone(), self._iteration
        self._iteration += 1
        due = i >= AVERAGE_FROM and (i - AVERAGE_FROM) % AVERAGE_EVERY == 0
        for k in range(len(p)):
            if self.imposes(k):
                p[k] = symmetrised(p[k], self._symmetry)
            elif due:
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
    every: int = LOOK_EVERY,
) -> Found:
    """Run a batch of starts, to the end or until `look` says that it is enough.

    Parameters
    ----------
    seed, first
        Of the random phases, and the number of the first start of this batch.
    look
        Called every `every` iterations with each candidate of that moment, the best first.
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
        if i % every != every - 1 and i + 1 != schedule.iterations:
            return False
        free = residual(p, sphere, sphere.free)
        now = []
        for k in range(starts):
            says = symmetric and not averaging.imposes(k)
            agreement = find_origin(p[k], sphere.symmetry)[1] if says else 0.0
            r_known, r_free = float(rows[-1][k]), float(free[k])
            now.append(Candidate(p[k], r_known, r_free, agreement, says, first + k, i))
        now.sort(key=lambda c: -c.score)
        if not best or now[0].score > best[0].score:
            best[:] = now[:1]
        return any(look(c) for c in now)

    prior = Prior(network, sphere)
    averaging = Averaging(prior, sphere.symmetry, first)
    x = random_start(sphere, starts, seed + first)
    if symmetric:
        iterate(averaging, sphere, averaging.starts(x, sphere), schedule, watch)
    else:
        iterate(prior, sphere, x, schedule, watch)
    return Found(best[0], [float(r[best[0].start - first]) for r in rows])
