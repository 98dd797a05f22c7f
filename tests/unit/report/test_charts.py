"""Charts of the HTML report: points lie where the axis says."""

from __future__ import annotations

import re

import pytest

from xrdml.html_report.charts import HEIGHT, LEFT, RIGHT, WIDTH, Series, line_chart, stacked_bars, thinned


def points(svg: str) -> list[tuple[float, float]]:
    path = re.search(r'<path d="M([^"]+)" class="line', svg)[1]
    return [tuple(map(float, pair.split())) for pair in path.split("L")]


def labels(svg: str) -> dict[float, float]:
    """{value: y} of the ordinate."""
    found = re.findall(r'<text x="\d+" y="([\d.]+)" text-anchor="end">([^<]+)</text>', svg)
    return {float(text.replace("−", "-")): float(y) - 4 for y, text in found}


@pytest.mark.parametrize("log", [False, True])
def test_points_agree_with_the_labels_of_the_axis(log):
    values = [0.001, 0.01, 0.1, 1.0] if log else [-1.0, 0.5, 2.0, 3.0]
    svg = line_chart("t", "x", [Series("a", list(enumerate(values)))], log=log)
    axis = labels(svg)
    common = [v for v in values if v in axis]
    assert len(common) >= 2
    for (_, y), value in zip(points(svg), values, strict=True):
        if value in axis:
            assert y == pytest.approx(axis[value], abs=0.11)
    assert points(svg)[0][0] == LEFT
    assert points(svg)[-1][0] == WIDTH - RIGHT


def test_logarithm_of_what_is_not_positive():
    svg = line_chart("t", "x", [Series("a", [(0, 0.0), (1, 1.0)])], log=True)
    assert 0.5 in labels(svg) or 0.4 in labels(svg)


@pytest.mark.parametrize("values", [[], [float("nan")], [float("inf"), float("nan")]])
def test_nothing_to_draw(values):
    assert line_chart("t", "x", [Series("a", list(enumerate(values)))]) == ""


@pytest.mark.parametrize("values", [[3.0], [2.0, 2.0], [0.0, 0.0], [1e-300, 1e-300], [1e300, -1e300]])
def test_values_without_a_range(values):
    svg = line_chart("t", "x", [Series("a", list(enumerate(values)))])
    assert all(0 <= y <= HEIGHT and 0 <= x <= WIDTH for x, y in points(svg))


def test_heights_of_bars_are_proportional():
    svg = stacked_bars("t", "x", ["1", "2"], [("a", [10, 20]), ("b", [30, 0])])
    bars = [
        (float(y), float(h))
        for y, h in re.findall(r'<rect x="[1-9][\d.]*" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', svg)
    ]
    assert len(bars) == 3
    (top, low), (upper_top, upper), (_, second) = bars
    assert upper / low == pytest.approx(3, rel=0.01)
    assert second / low == pytest.approx(2, rel=0.01)
    assert upper_top + upper == pytest.approx(top, abs=0.2)


def test_thinning_keeps_the_mean():
    many = [(float(i), float(i % 7)) for i in range(5000)]
    few = thinned(many)
    assert len(few) <= 400
    assert sum(y for _, y in few) / len(few) == pytest.approx(3.0, abs=0.05)
