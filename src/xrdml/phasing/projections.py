"""The pieces that every iteration is built from, for batches of F on FFT grids.

P_A gives known reflections their measured amplitude; P_B is what is believed about densities.
"""

from __future__ import annotations

from torch import Tensor

from xrdml.phasing.sphere import MeasuredSphere


def with_amplitudes(f: Tensor, data: MeasuredSphere) -> Tensor:
    """P_A: known reflections get their measured amplitude and keep their phase; the others are left."""
    return f.where(~data.known, data.amplitude * f / f.abs().clamp_min(1e-12))


def within(f: Tensor, data: MeasuredSphere) -> Tensor:
    """F as far as the data go, 0 beyond."""
    return f * (data.known | data.floating)


def fitted(f: Tensor, data: MeasuredSphere) -> Tensor:
    """F (B, X, Y, Z) on the scale that fits the known amplitudes best, by least squares."""
    size = f.abs() * data.known
    k = (data.amplitude * size).sum((-3, -2, -1), keepdim=True) / size.square().sum(
        (-3, -2, -1), keepdim=True
    ).clamp_min(1e-12)
    return k * f


def relaxed_reflection(x: Tensor, p: Tensor, data: MeasuredSphere, beta: float) -> Tensor:
    """x + β (P_A(2 P_B(x) − x) − P_B(x)) for p = P_B(x), as far as the data go.

    Elser (2018), SIAM J. Imaging Sci. 11, 2429.
    """
    return within(x + beta * (with_amplitudes(2 * p - x, data) - p), data)


def averaged_reflection(x: Tensor, p: Tensor, data: MeasuredSphere, beta: float) -> Tensor:
    """β (x + P_A(2 P_B(x) − x) − P_B(x)) + (1 − β) P_B(x) for p = P_B(x), as far as the data go.

    Where no map fulfils both A and B, as with measured data or a prior that does not know the
    molecule well, the relaxed reflection drifts away from the solution; the share of P_B(x) holds it there.

    Luke (2005), Inverse Problems 21, 37.
    """
    return within(beta * relaxed_reflection(x, p, data, 1.0) + (1 - beta) * p, data)


def residual(f: Tensor, data: MeasuredSphere, chosen: Tensor) -> Tensor:
    """R = Σ| |Fo| − |F| | / Σ|Fo| over `chosen`, (B, X, Y, Z) → (B,), for F of :func:`fitted`."""
    a = data.amplitude * chosen
    return ((f.abs() - data.amplitude).abs() * chosen).sum((-3, -2, -1)) / a.sum().clamp_min(1e-12)
