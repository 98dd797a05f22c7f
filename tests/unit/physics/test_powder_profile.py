"""Line shapes: areas and widths against what was asked for, axial divergence against direct quadrature."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch

from crystals import random_structure
from xrdml.crystal.radiation import Scan
from xrdml.physics.powder import line_positions, powder_patterns, powder_reflections
from xrdml.physics.powder_profile import axial_nodes, common_width, gaussian_width, lorentzian_width
from xrdml.physics.powder_render import Instrument, render

F64 = torch.float64


def draw(instrument: Instrument, angle: float, scan: Scan, intensity: float = 1.0) -> np.ndarray:
    """The profile of one line on the scan."""
    return render([(np.array([angle]), np.array([intensity]))], scan, [instrument])[0].double().numpy()


def instrument(gaussian: float, lorentz: float, angle: float, **more) -> Instrument:
    """Of given Gaussian and Lorentzian widths at one angle."""
    return Instrument(0, 0, gaussian**2, lorentz * math.cos(math.radians(angle / 2)), 0, **more)


def direct_pseudo_voigt(x: np.ndarray, width: float, eta: float) -> np.ndarray:
    """From the definitions of both functions."""
    sigma, gamma = width / math.sqrt(8 * math.log(2)), width / 2
    gauss = np.exp(-(x**2) / 2 / sigma**2) / sigma / math.sqrt(2 * math.pi)
    return eta * gamma / math.pi / (x**2 + gamma**2) + (1 - eta) * gauss


def width_at_half_maximum(x: np.ndarray, y: np.ndarray) -> float:
    half, top = y.max() / 2, y.argmax()
    left = np.interp(half, y[: top + 1], x[: top + 1])
    right = np.interp(-half, -y[top:], x[top:])
    return right - left


def numbers(*values: float) -> list[torch.Tensor]:
    return [torch.tensor([v], dtype=F64) for v in values]


def test_common_width_of_pure_shapes():
    """Pure Gaussian: Γ = Γ_G, η = 0. Pure Lorentzian: Γ = Γ_L, η = 1 (the coefficients sum to 1)."""
    width, eta = common_width(*numbers(0.1, 0.0))
    assert (width.item(), eta.item()) == pytest.approx((0.1, 0.0))
    width, eta = common_width(*numbers(0.0, 0.1))
    assert (width.item(), eta.item()) == pytest.approx((0.1, 1.0), abs=1e-6)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0, 3.0])
def test_common_width_of_a_voigt(share):
    """Γ and η stand for a Voigt function: convolve and look. The approximation is known to be off by about
    1 % of the height; it keeps the shape as a whole rather than the width."""
    step = 0.0005
    x = np.arange(-20, 20 + step / 2, step)
    gauss = direct_pseudo_voigt(x[np.abs(x) < 0.5], 0.1, 0.0)
    voigt = np.convolve(direct_pseudo_voigt(x, share * 0.1, 1.0), gauss, "same") * step
    width, eta = (value.item() for value in common_width(*numbers(0.1, share * 0.1)))
    assert width == pytest.approx(width_at_half_maximum(x, voigt), rel=1e-2)
    assert np.abs(direct_pseudo_voigt(x, width, eta) - voigt).max() < 0.015 * voigt.max()


def test_widths_by_hand():
    """At 2θ = 90° tanθ = 1 and cosθ = 1/√2."""
    assert gaussian_width(*numbers(90, 0.02, -0.01, 0.006)).item() == pytest.approx(math.sqrt(0.016))
    assert lorentzian_width(*numbers(90, 0.05, 0.1)).item() == pytest.approx(0.05 * math.sqrt(2) + 0.1)


@pytest.mark.parametrize(("gaussian", "lorentz"), [(0.08, 0.0), (0.08, 0.03), (0.05, 0.1), (0.02, 0.3)])
@pytest.mark.parametrize("angle", [25.003, 80.0117])
def test_drawn_line(gaussian, lorentz, angle):
    """Shape, FWHM, area and height of a line, drawn by float32 on any device, against the definition."""
    width, eta = (value.item() for value in common_width(*numbers(gaussian, lorentz)))
    scan = Scan.make("1.5", f"{angle - 12:g}:{angle + 12:g}:0.002")
    y = draw(instrument(gaussian, lorentz, angle), angle, scan, 7.0) / 7
    x = scan.two_theta - angle
    expected = direct_pseudo_voigt(x, width, eta)
    near = np.abs(x) < 30 * width
    # 1.06 % of the Lorentzian's area lies farther out and is put back.
    assert np.abs(y - expected)[near].max() < 0.011 * expected.max()
    tail = (x > 20 * width) & (x < 29 * width)
    np.testing.assert_allclose(y[tail], expected[tail] * 1.0107, rtol=1e-3)
    assert width_at_half_maximum(x, y) == pytest.approx(width, rel=0.01)
    if 30 * width < 12:
        assert y.sum() * scan.step == pytest.approx(1, abs=2e-5)
        assert (y[~near & (np.abs(x) > 31 * width)] == 0).all()


def direct_axial(
    x_all: np.ndarray, angle: float, s_l: float, h_l: float, width: float, eta: float
) -> np.ndarray:
    """Finger, Cox & Jephcoat's integral as they define it, in 2φ with its pole at 2θ, by adaptive quadrature.

    The pole is that of an inverse square root; the substitution 2φ = 2θ ∓ q² removes it and nothing else.
    """
    integrate = pytest.importorskip("scipy.integrate")
    cos = math.cos(math.radians(angle))
    side = -1 if cos > 0 else 1

    def two_phi(height: float) -> float:
        return math.degrees(math.acos(max(-1.0, min(1.0, cos * math.sqrt(1 + height**2)))))

    def d(away: float) -> float:
        """D at `away` degrees from 2θ, with cos²2φ − cos²2θ as a product, which has no cancellation."""
        phi = angle + side * away
        difference = math.sin(math.radians(side * -away)) * math.sin(math.radians(angle + phi))
        h = math.sqrt(difference) / abs(cos)
        w = 2 * min(h_l, s_l) if h <= abs(h_l - s_l) else max(h_l + s_l - h, 0)
        return w / (h * abs(math.cos(math.radians(phi))))

    end = math.sqrt(abs(two_phi(s_l + h_l) - angle))
    kink = math.sqrt(abs(two_phi(abs(s_l - h_l)) - angle)) if s_l != h_l else 0.0
    breaks = sorted({0.0, kink, end})

    def total(f) -> float:
        return sum(
            integrate.quad(lambda q: f(q * q) * 2 * q, a, b, epsabs=1e-9, epsrel=1e-9, limit=400)[0]
            for a, b in pairwise(breaks)
        )

    def smeared(x: float, away: float) -> float:
        return d(away) * float(direct_pseudo_voigt(np.array(x - angle - side * away), width, eta))

    norm = total(d)
    return np.array([total(partial(smeared, x)) for x in x_all]) / norm


@pytest.mark.parametrize(
    ("angle", "s_l", "h_l", "gaussian"),
    [
        (8.0, 0.02, 0.02, 0.08), (8.0, 0.04, 0.04, 0.05), (15.0, 0.01, 0.03, 0.05), (15.0, 0.03, 0.01, 0.05),
        (30.0, 0.04, 0.02, 0.03), (60.0, 0.04, 0.04, 0.05), (140.0, 0.03, 0.03, 0.05),
    ],
)  # fmt: skip
def test_axial_divergence_by_direct_quadrature(angle, s_l, h_l, gaussian):
    """The drawn asymmetric line within 0.3 % of its height of the defining integral."""
    lorentz = 0.01
    width, eta = (value.item() for value in common_width(*numbers(gaussian, lorentz)))
    scan = Scan.make("1.5", f"{angle - 3:g}:{angle + 3:g}:0.01")
    y = draw(instrument(gaussian, lorentz, angle, s_l=s_l, h_l=h_l), angle, scan)
    some = np.abs(scan.two_theta - angle) < 1.5
    chosen = np.flatnonzero(some)[::3]
    expected = direct_axial(scan.two_theta[chosen], angle, s_l, h_l, width, eta)
    assert np.abs(y[chosen] - expected).max() < 3e-3 * expected.max()
    # The tail goes to lower angles below 90° and to higher ones above.
    mean = (scan.two_theta * y).sum() / y.sum()
    assert (mean < angle) == (angle < 90)


def test_axial_nodes():
    """Weights sum to 1; S and H may change places; without either nothing moves; 90° is not moved."""
    angle, s, h = (
        torch.tensor(v, dtype=F64)
        for v in ([8.0, 8.0, 40.0, 90.0], [0.01, 0.03, 0, 0.02], [0.03, 0.01, 0, 0.02])
    )
    two_phi, weight = axial_nodes(angle, s, h, 16)
    assert two_phi.shape == (4, 32)
    np.testing.assert_allclose(weight.sum(1), 1)
    np.testing.assert_allclose((two_phi * weight)[0].sum(), (two_phi * weight)[1].sum())
    np.testing.assert_allclose(two_phi[2:], angle[2:, None].expand(2, 32))
    # A point sample: heights are spread evenly over 0…H, and the mean of −t² cot 2θ / 2 is −H² cot 2θ / 6.
    two_phi, weight = axial_nodes(*numbers(60.0, 0.0, 0.01), 16)
    shift = math.radians((two_phi * weight).sum().item() - 60)
    assert shift == pytest.approx(-(0.01**2) / math.tan(math.radians(60)) / 6, rel=1e-3)


def test_zero_shift_moves_everything():
    scan = Scan.make("1.5", "10:30:0.01")
    base = draw(instrument(0.08, 0.02, 20), 20.0, scan)
    moved = draw(instrument(0.08, 0.02, 20, zero=0.05), 20.0, scan)
    np.testing.assert_allclose(moved[5:], base[:-5], atol=1e-4 * base.max())


def test_lines_at_the_ends_of_a_scan():
    """A line outside leaves its tail, one inside is cut, and both as in a longer scan."""
    long, short = Scan.make("1.5", "10:30:0.01"), Scan.make("1.5", "15:25:0.01")
    for angle in (14.5, 15.02, 24.99, 25.4):
        i = instrument(0.08, 0.05, angle, s_l=0.02, h_l=0.02)
        np.testing.assert_allclose(
            draw(i, angle, short), draw(i, angle, long)[500:1501], atol=2e-5 * draw(i, angle, long).max()
        )


def test_pattern_is_the_sum_of_its_lines():
    """Lines of a crystal, drawn one at a time by the definition; the total is the sum of intensities."""
    structure = random_structure(n=6, u_iso=0.03)
    scan = Scan.make("CuKa", "5:40:0.01")
    i = Instrument(0.01, -0.004, 0.006, 0.01, 0.02, zero=0.03)
    [found] = powder_reflections([structure], scan)
    two_theta, intensity = line_positions(found, scan)
    expected = np.zeros(scan.n_points)
    for angle, area in zip(two_theta.ravel(), intensity.ravel(), strict=True):
        tan = math.tan(math.radians(angle / 2))
        gaussian = math.sqrt(0.01 * tan**2 - 0.004 * tan + 0.006)
        lorentz = 0.01 / math.cos(math.radians(angle / 2)) + 0.02 * tan
        width, eta = (value.item() for value in common_width(*numbers(gaussian, lorentz)))
        expected += area * direct_pseudo_voigt(scan.two_theta - angle - 0.03, width, eta)
    drawn = powder_patterns([structure], scan, [i])[0].double().numpy()
    assert np.abs(drawn - expected).max() < 0.005 * expected.max()


def test_batches():
    """A pattern does not depend on its company beyond the rounding of |F|."""
    structures = [random_structure(n=4 + i, seed=i) for i in range(5)]
    scan = Scan.make("CuKa", "5:50:0.02")
    instruments = [
        Instrument(0.01, -0.002, 0.004 * (i + 1), 0.02, 0.02, 0.01 * i, 0.01 * i) for i in range(5)
    ]
    together = powder_patterns(structures, scan, instruments)
    for structure, i, row in zip(structures, instruments, together, strict=True):
        alone = powder_patterns([structure], scan, [i])[0]
        np.testing.assert_allclose(row, alone, rtol=2e-5, atol=2e-5 * alone.max().item())
