"""The way of a solution from random phases, iteration by iteration."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xrdml.data.density import to_density
from xrdml.evaluate.reference import SOLVED_CC
from xrdml.phasing.iterate import Schedule, map_correlation
from xrdml.phasing.search import Candidate, search
from xrdml.phasing.sphere import MeasuredSphere

EVERY = 2
"""Iterations from one moment to the next."""
GO_ON = 30
"""Iterations after a start is solved: whether it stays so is worth seeing."""


@dataclass(frozen=True)
class Moment:
    """One start when the search looked at it.

    Attributes
    ----------
    iteration
        Counted from 1.
    r
        Figure of merit: R between measured |F| and those drawn.
    map_cc
        Correlation with the true map at the best origin and hand; NaN without a known structure.
    agreement
        Correlation of the map with its symmetry mates; NaN where it says nothing.
    f
        F drawn, about the true origin and in the true hand where these are known, (X, Y, Z).
    """

    iteration: int
    r: float
    map_cc: float
    agreement: float
    f: Tensor


@dataclass(frozen=True)
class Path:
    """The moments of one start, and its number."""

    start: int
    moments: list[Moment]

    def column(self, name: str) -> NDArray[np.float64]:
        """One number of every moment, (n,)."""
        return np.array([getattr(m, name) for m in self.moments], dtype=np.float64)

    @property
    def is_solved(self) -> bool:
        """Whether the true map was met at any moment."""
        return bool((self.column("map_cc") >= SOLVED_CC).any())

    @property
    def merit(self) -> float:
        """Highest map correlation, or −R where the truth is not known."""
        cc = self.column("map_cc")
        return float(cc.max()) if np.isfinite(cc).all() else -float(self.column("r").min())


def follow(
    network: nn.Module,
    sphere: MeasuredSphere,
    f_true: Tensor | None,
    schedule: Schedule,
    starts: int = 16,
    batch: int = 4,
    seed: int = 0,
    say: Callable[[str], None] | None = None,
) -> tuple[Path, int]:
    """Run the search of `xrdml solve` until the true map is met; all starts where nobody can tell.

    Returns
    -------
    path, tried
        Of the start with the highest map correlation, or the lowest R without a structure; and how
        many starts were tried.
    """
    paths: list[Path] = []
    for first in range(0, starts, batch):
        n = min(batch, starts - first)
        paths += _run(network, sphere, f_true, schedule, n, seed, first, say)
        if any(p.is_solved for p in paths):
            break
    return max(paths, key=lambda p: p.merit), first + n


def _run(
    network: nn.Module,
    sphere: MeasuredSphere,
    f_true: Tensor | None,
    schedule: Schedule,
    n: int,
    seed: int,
    first: int,
    say: Callable[[str], None] | None,
) -> list[Path]:
    inside = sphere.known | sphere.floating
    found: dict[int, list[Moment]] = defaultdict(list)
    solved_at: list[int] = []

    def look(c: Candidate) -> bool:
        cc, f = np.nan, c.f.cpu()
        if f_true is not None:
            cc = float(map_correlation(f_true, c.f[None], inside)[0])
            f = aligned(f_true.cpu(), f, inside.cpu())
        agreement = c.agreement if c.has_symmetry else np.nan
        found[c.start].append(Moment(c.iteration + 1, c.r_known, cc, agreement, f))
        if cc >= SOLVED_CC and not solved_at:
            solved_at.append(c.iteration)
        return bool(solved_at) and c.iteration >= solved_at[0] + GO_ON

    def report(i: int, r: float) -> None:
        if say is not None:
            say(f"starts {first + 1}–{first + n}, iteration {i + 1}, best R {r:.3f}")

    search(network, sphere, n, schedule, seed, first, look, report, EVERY)
    return [Path(start, moments) for start, moments in found.items()]


def aligned(f_true: Tensor, f: Tensor, chosen: Tensor) -> Tensor:
    """F (X, Y, Z) in the hand and about the grid point at which its map agrees with the true one best."""
    best, moved = -np.inf, f
    for hand in (f, f.conj().resolve_conj()):
        cross = torch.fft.ifftn(f_true * hand.conj() * chosen).real
        value, place = cross.flatten().max(0)
        if float(value) > best:
            at = np.unravel_index(int(place), cross.shape)
            turns = [torch.fft.fftfreq(m, 1 / m) * (i / m) for m, i in zip(f.shape, at, strict=True)]
            phase = turns[0][:, None, None] + turns[1][:, None] + turns[2]
            best, moved = float(value), hand * torch.polar(torch.ones_like(phase), -2 * torch.pi * phase)
    return moved


def projected(f: Tensor, axis: int = 1) -> NDArray[np.float64]:
    """Sum of the positive density of F (X, Y, Z) along an axis of the cell."""
    return to_density(f[None])[0].clamp_min(0).sum(axis).double().cpu().numpy()
