"""Simulated powder measurements: counts are Poisson, parameters lie in their ranges, (seed, i) decides."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from crystals import random_structure
from xrdml.crystal.radiation import Scan
from xrdml.data.powder_options import PowderOptions, column_names, column_values, parse_ranges
from xrdml.data.powder_patterns import make_patterns
from xrdml.errors import UserError

SCAN = Scan.make("CuKa", "5:50:0.02")
FIXED = PowderOptions(
    SCAN,
    {
        "u": (0.01, 0.01), "v": (-0.005, -0.005), "w": (0.005, 0.005), "x": (0.02, 0.02), "y": (0.02, 0.02),
        "s_l": (0.02, 0.02), "zero": (0.0, 0.0), "peak_counts": (5000.0, 5000.0), "background": (0.05, 0.05),
    },
    ((-0.4, -0.4), (0.1, 0.1)),
)  # fmt: skip
DRAWN = PowderOptions(
    SCAN,
    {
        **FIXED.ranges, "u": (0, 0.02), "v": (-0.02, 0), "w": (0.001, 0.02), "s_l": (0, 0.04),
        "peak_counts": (100, 1e5), "background": (0.001, 0.5),
    },
    ((-1, 1), (-1, 1)),
)  # fmt: skip


def test_counts_are_poisson():
    """Mean and variance of (counts − expected)² / expected over 60 noises of one pattern, and the totals."""
    structure = random_structure(n=8)
    [first] = make_patterns([structure], FIXED, 1, [0])
    patterns = make_patterns([structure] * 60, FIXED, 1, range(60))
    expected = first.expected
    counts = np.array([p.counts for p in patterns], float)
    np.testing.assert_allclose([p.expected for p in patterns], [expected] * 60, rtol=1e-4)
    z = (counts - expected) / np.sqrt(expected)
    n = z.size
    # The mean of n unit deviates scatters by 1/√n, their variance by √(2/n): five of these allowed.
    assert abs(z.mean()) < 5 / np.sqrt(n)
    assert abs(z.var() - 1) < 5 * np.sqrt((2 + 1 / expected.min()) / n)
    total = expected.sum()
    deviation = (counts.sum(1) - total) / np.sqrt(total)
    assert np.abs(deviation).max() < 5
    assert 0.6 < deviation.std() < 1.5


def test_scale_and_background():
    [pattern] = make_patterns([random_structure(n=8)], FIXED, 1, [0])
    background = pattern.measurement.expected_background(SCAN)
    # T₁ = ξ, T₂ = 2ξ² − 1, by hand at both ends and in the middle; the mean level is that of T₀.
    np.testing.assert_allclose(background[[0, 1125, -1]], 250 * np.array([1.5, 0.9, 0.7]))
    assert (pattern.expected - background).max() == pytest.approx(5000)
    assert (pattern.expected >= background).all()


def test_draws_lie_in_their_ranges():
    xi = np.linspace(-1, 1, SCAN.n_points)
    rows = []
    for i in range(300):
        drawn = DRAWN.draw(np.random.default_rng((0, i)))
        rows.append(column_values(drawn))
        shape = np.polynomial.chebyshev.chebval(xi, [1, *drawn.shape])
        assert shape.min() >= 0
        tan = np.tan(np.radians(SCAN.two_theta / 2))
        assert (drawn.instrument.u * tan**2 + drawn.instrument.v * tan + drawn.instrument.w > 0).all()
    columns = dict(zip(column_names(DRAWN.shape), np.array(rows).T, strict=True))
    for name, (low, high) in DRAWN.ranges.items():
        assert (columns[name] >= low).all()
        assert (columns[name] <= high).all()
    np.testing.assert_array_equal(columns["s_l"], columns["h_l"])
    # Scales are spread over their logarithm: half of the patterns below 10^3.5 = √(100 · 10^5).
    assert 0.4 < (columns["peak_counts"] < 10**3.5).mean() < 0.6


def test_pattern_depends_on_seed_and_index_alone():
    structures = [random_structure(n=6, seed=i) for i in range(4)]
    all_four = make_patterns(structures, DRAWN, 3, range(4))
    [third] = make_patterns(structures[2:3], DRAWN, 3, [2])
    assert third.measurement == all_four[2].measurement
    assert (third.counts != all_four[2].counts).mean() < 0.01
    [other] = make_patterns(structures[2:3], DRAWN, 4, [2])
    assert other.measurement != third.measurement


def test_options_survive_json():
    for options in (FIXED, DRAWN, replace(DRAWN, ranges={**DRAWN.ranges, "h_l": (0.0, 0.01)}, shape=())):
        assert PowderOptions.from_json(json.loads(json.dumps(options.to_json()))) == options


@pytest.mark.parametrize(
    ("ranges", "shape", "message"),
    [
        ({"x": (-0.1, 0.1)}, (), "x -0.1:0.1: give"),
        ({"peak_counts": (100, 10)}, (), "peak_counts 100:10"),
        ({"zero": (-5, 5)}, (), "zero"),
        ({}, ((-2, 0),), "shape"),
        ({}, ((0, 0),) * 13, "13 Chebyshev"),
        ({"u": (0, 0), "v": (-0.1, -0.1)}, (), "line width"),
        ({}, ((1, 1), (-1, -1)), "background"),
    ],
)
def test_impossible_options(ranges, shape, message):
    with pytest.raises(UserError, match=message):
        PowderOptions(SCAN, {**FIXED.ranges, **ranges}, shape).draw(np.random.default_rng(0))


def test_no_reflection_in_the_scan():
    options = replace(FIXED, scan=Scan.make("CuKa", "0.2:2:0.02"))
    with pytest.raises(UserError, match=r"crystal 7 has no reflection between 0\.2 and 2"):
        make_patterns([random_structure(n=6)], options, 1, [7])


def test_ranges_of_the_command_line():
    assert parse_ranges("0.02,-1:2,3e2") == [(0.02, 0.02), (-1, 2), (300, 300)]
    for text in ("", "a", "1:2:3", "1,,2", "nan", "0:inf"):
        with pytest.raises(UserError, match="LOW:HIGH"):
            parse_ranges(text)
