"""The way of a solution from random phases, iteration by iteration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xrdml.data.density import to_density
from xrdml.evaluate.reference import SOLVED_CC
from xrdml.phasing.iterate import Prior, Projection, Schedule, iterate, map_correlation, random_start
from xrdml.phasing.origin import find_origin
from xrdml.phasing.projections import residual
from xrdml.phasing.search import Averaging, has_symmetry
from xrdml.phasing.sphere import MeasuredSphere

SNAPSHOT_EVERY = 10
"""Iterations."""
GO_ON = 30
"""Iterations after a start is solved: whether it stays so is worth seeing."""


@dataclass(frozen=True)
class Path:
    """One start.

    Attributes
    ----------
    start
        Its number.
    level
        Error level that the prior was told at every iteration, (n,).
    r
        Figure of merit: R between measured |F| and those drawn, (n,).
    map_cc
        Correlation with the true map at the best origin and hand, (n,); NaN without a known structure.
    agreement
        Correlation of the map with its symmetry mates, (n,); NaN where it was not looked at.
    iterations, maps
        Moments of the pictures, (m,), and F drawn there, about the true origin and in the true hand
        where these are known, (m, X, Y, Z).
    """

    start: int
    level: NDArray[np.float64]
    r: NDArray[np.float64]
    map_cc: NDArray[np.float64]
    agreement: NDArray[np.float64]
    iterations: NDArray[np.int64]
    maps: Tensor

    @property
    def is_solved(self) -> bool:
        """Whether the true map was met at any time."""
        return bool(np.nanmax(self.map_cc, initial=-1) >= SOLVED_CC)


def follow(
    network: nn.Module,
    sphere: MeasuredSphere,
    f_true: Tensor | None,
    schedule: Schedule,
    starts: int = 16,
    batch: int = 4,
    seed: int = 0,
    say: Callable[[str, float], None] | None = None,
) -> tuple[Path, int]:
    """Run starts in batches, as a search does, until one is solved; all starts where nobody can tell.

    The best start is the one with the highest map correlation, or the lowest R without a structure.

    Returns
    -------
    path, tried
        Of the best start, and how many starts were tried.
    """
    best: Path | None = None
    tried = 0
    for first in range(0, starts, batch):
        n = min(batch, starts - first)
        for path in _run(network, sphere, f_true, schedule, n, seed, first, say):
            if best is None or _merit(path) > _merit(best):
                best = path
        tried = first + n
        if best is not None and best.is_solved:
            break
    assert best is not None  # at least one start was asked for
    return best, tried


def _merit(path: Path) -> float:
    return float(np.nanmax(path.map_cc)) if np.isfinite(path.map_cc).any() else -float(path.r.min())


def _run(
    network: nn.Module,
    sphere: MeasuredSphere,
    f_true: Tensor | None,
    schedule: Schedule,
    n: int,
    seed: int,
    first: int,
    say: Callable[[str, float], None] | None,
) -> list[Path]:
    r, cc, agreement, maps, moments = [], [], [], [], []
    solved_at: list[int] = []
    symmetric = has_symmetry(sphere)
    inside = sphere.known | sphere.floating

    def watch(i: int, p: Tensor) -> bool:
        r.append(residual(p, sphere, sphere.known).cpu().numpy())
        unknown = np.full(n, np.nan)
        cc.append(unknown if f_true is None else map_correlation(f_true, p, inside).cpu().numpy())
        look = i % SNAPSHOT_EVERY == 0 or i + 1 == schedule.iterations
        if look:
            maps.append(p.cpu())
            moments.append(i)
        values = [find_origin(f, sphere.symmetry)[1] for f in p] if look and symmetric else [np.nan] * n
        agreement.append(np.array(values))
        if say is not None:
            say(f"starts {first + 1}–{first + n}, iteration {i + 1}", float(r[-1].min()))
        if not solved_at and cc[-1].max() >= SOLVED_CC:
            solved_at.append(i)
        return bool(solved_at) and i >= solved_at[0] + GO_ON

    projection: Projection = Prior(network, sphere)
    if symmetric:
        projection = Averaging(projection, sphere.symmetry)
    iterate(projection, sphere, random_start(sphere, n, seed + first), schedule, watch)
    level = np.array([schedule.level(i / schedule.iterations) for i in range(len(r))])
    out = []
    for k in range(n):
        shown = torch.stack([m[k] for m in maps])
        if f_true is not None:
            shown = torch.stack([aligned(f_true.cpu(), f, inside.cpu()) for f in shown])
        figures = [np.array(column)[:, k] for column in (r, cc, agreement)]
        out.append(Path(first + k, level, *figures, np.array(moments), shown))  # type: ignore[call-arg, arg-type]
    return out


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
