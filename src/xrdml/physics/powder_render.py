"""Drawing powder lines: a flat list of lines of any number of patterns becomes a batch of patterns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrdml.crystal.radiation import Scan
from xrdml.physics.powder_profile import (
    GAUSSIAN_AREA,
    axial_nodes,
    axial_shift,
    common_width,
    gaussian,
    gaussian_width,
    lorentzian,
    lorentzian_width,
)

Array = NDArray[np.float64]

REACH = 30.0
"""Lorentzians are drawn to this many FWHM from their centre; their scale gives back the 1 % cut off."""
_GAUSSIAN_REACH = 3.0  # beyond it lie 2e-12 of the area

# Nodes of the quadrature of axial divergence, and the largest ratio of shift to FWHM at which they render a
# line to 0.1 % of its height (measured against 200 nodes).
_NODES = (
    *((1, 0.01), (2, 0.1), (3, 0.3), (4, 0.8), (6, 1.5), (8, 2.3), (12, 3.8), (16, 5.2)),
    *((24, 8.5), (32, 11.0), (48, 17.0), (96, 35.0), (256, np.inf)),
)
# Values of profiles held at a time: on the CPU what stays in the cache, elsewhere what fills the device.
_VALUES_CPU = 2**17
_VALUES_DEVICE = 2**25


@dataclass(frozen=True)
class Instrument:
    """What shapes the lines of one pattern.

    Attributes
    ----------
    u, v, w
        Caglioti's coefficients of the squared Gaussian FWHM, degrees².
    x, y
        Lorentzian FWHM x / cosθ + y tanθ, degrees.
    s_l, h_l
        S/L and H/L of Finger, Cox & Jephcoat; 0 for no axial divergence.
    zero
        Added to every 2θ, degrees.
    """

    u: float
    v: float
    w: float
    x: float
    y: float
    s_l: float = 0.0
    h_l: float = 0.0
    zero: float = 0.0


def render(
    lines: Sequence[tuple[Array, Array]],
    scan: Scan,
    instruments: Sequence[Instrument],
    device: torch.device | str = "cpu",
) -> Tensor:
    """Draw lines with the profile of each instrument, float32 (B, n_points), intensity per degree.

    On the CPU a pattern does not depend on which others are in the batch; on a GPU the order of sums
    is not fixed, and float32 rounding with it.

    Parameters
    ----------
    lines
        For each pattern 2θ in degrees, without zero shift and axial divergence, and integrated
        intensity, of equal shape. Lines of intensity 0 are left out, whatever their 2θ.
    """
    flat = _flat_lines(lines, scan, instruments, torch.device(device))
    # Room behind each pattern for what a chunk draws beyond the end of its shorter lines, all zeros.
    out = torch.zeros(len(lines), 2 * scan.n_points, dtype=torch.float32, device=device)
    for shape, share, reach in (
        (lorentzian, flat.eta / (2 * math.atan(2 * REACH)), REACH),
        (gaussian, (1 - flat.eta) / GAUSSIAN_AREA, _GAUSSIAN_REACH),
    ):
        for chunk in _chunks(_clipped(flat, flat.intensity * share, reach, scan)):
            _draw(shape, chunk, scan, out)
    return out[:, : scan.n_points]


@dataclass(frozen=True)
class _Lines:
    """L lines, each tensor (L,), float64 but for `row`, the pattern that a line belongs to.

    `two_theta` is where the line is without zero shift and axial divergence; `shift` how far the latter
    goes; all in degrees.
    """

    row: Tensor
    two_theta: Tensor
    intensity: Tensor
    width: Tensor
    eta: Tensor
    s_l: Tensor
    h_l: Tensor
    zero: Tensor
    shift: Tensor

    def __getitem__(self, which: Tensor) -> _Lines:
        return _Lines(*(getattr(self, field.name)[which] for field in fields(self)))


@dataclass(frozen=True)
class _Chunk:
    """Lines with the points of the scan that each covers, and the nodes and points to compute for all."""

    lines: _Lines
    first: Tensor
    points: Tensor
    nodes: int
    most_points: int


def _flat_lines(
    lines: Sequence[tuple[Array, Array]], scan: Scan, instruments: Sequence[Instrument], device: torch.device
) -> _Lines:
    intensity = np.concatenate([np.ravel(values) for _, values in lines])
    seen = intensity > 0
    row = np.repeat(np.arange(len(lines)), [np.size(values) for _, values in lines])[seen]
    angle = torch.from_numpy(np.concatenate([np.ravel(angles) for angles, _ in lines])[seen]).to(device)
    table = np.array([[getattr(i, f.name) for f in fields(Instrument)] for i in instruments])
    u, v, w, x, y, s_l, h_l, zero = torch.from_numpy(table[row].T.copy()).to(device)
    width, eta = common_width(gaussian_width(angle, u, v, w), lorentzian_width(angle, x, y))
    return _Lines(
        torch.from_numpy(row).to(device), angle, torch.from_numpy(intensity[seen]).to(device),
        width, eta, s_l, h_l, zero, axial_shift(angle, s_l, h_l),
    )  # fmt: skip


def _clipped(lines: _Lines, intensity: Tensor, reach: float, scan: Scan) -> tuple[_Lines, Tensor, Tensor]:
    """Lines of these intensities that touch the scan; first point and number of points of each."""
    centre = lines.two_theta + lines.zero - scan.start
    tail = reach * lines.width
    low = (centre + lines.shift.clamp(max=0) - tail) / scan.step
    high = (centre + lines.shift.clamp(min=0) + tail) / scan.step
    first = low.ceil().clamp(min=0).long()
    points = high.floor().clamp(max=scan.n_points - 1).long() - first + 1
    drawn = (points > 0) & (intensity > 0)
    return replace(lines, intensity=intensity)[drawn], first[drawn], points[drawn]


def _chunks(clipped: tuple[_Lines, Tensor, Tensor]) -> Iterator[_Chunk]:
    """Lines that take as many nodes and about as many points."""
    lines, first, n_points = clipped
    budget = _VALUES_CPU if first.device.type == "cpu" else _VALUES_DEVICE
    ratio = (lines.shift.abs() / lines.width).cpu().numpy()
    kind = np.searchsorted([limit for _, limit in _NODES], ratio)
    points = n_points.cpu().numpy()
    order = np.lexsort((points, kind))
    kind, points = kind[order], points[order]
    start = 0
    while start < len(order):
        nodes = _NODES[kind[start]][0]
        end = int(np.searchsorted(kind, kind[start], side="right"))
        values = points[start:end] * np.arange(1, end - start + 1) * nodes
        stop = start + max(1, int(np.searchsorted(values, budget, side="right")))
        which = torch.from_numpy(order[start:stop]).to(first.device)
        yield _Chunk(lines[which], first[which], n_points[which], nodes, int(points[stop - 1]))
        start = stop


def _draw(shape: Callable[[Tensor], Tensor], chunk: _Chunk, scan: Scan, out: Tensor) -> None:
    """Add the lines of a chunk to the patterns `out`, in place."""
    lines = chunk.lines
    two_phi, weight = axial_nodes(lines.two_theta, lines.s_l, lines.h_l, chunk.nodes)
    per_degree = 2 / lines.width
    weight = weight * (lines.intensity * per_degree)[:, None]
    # The distance to the first point in double precision: float32 has no digits to spare at 100°.
    offset = (scan.start + scan.step * chunk.first - lines.zero)[:, None] - two_phi
    steps = torch.arange(chunk.most_points, device=out.device)
    stride = (scan.step * per_degree).float()[:, None] * steps
    z = (offset * per_degree[:, None]).float()[..., None] + stride[:, None]
    drawn = shape(z).mul_(weight.float()[..., None]).sum(1)
    drawn *= steps < chunk.points[:, None]
    index = (lines.row * out.shape[1] + chunk.first)[:, None] + steps
    out.view(-1).index_add_(0, index.view(-1), drawn.view(-1))
