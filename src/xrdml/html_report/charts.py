"""Charts as inline SVG, in the colours of the page; each with its numbers as a table to be opened."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from xrdml.html_report.markup import Markup, details, number, table, tag

WIDTH, HEIGHT = 520, 270
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 12, 42
MOST_POINTS = 400
"""More than a line can show on a screen."""
MOST_ROWS = 60


@dataclass(frozen=True)
class Series:
    """One line: its name, and points whose values are finite."""

    name: str
    points: Sequence[tuple[float, float]]


def line_chart(
    title: str,
    x_label: str,
    series: Sequence[Series],
    *,
    log: bool = False,
    low: float | None = None,
    high: float | None = None,
    caption: str | None = None,
    ticks: Sequence[tuple[float, str]] | None = None,
    mark: float | None = None,
) -> Markup:
    """Lines over a common axis; nothing where there is no point.

    Parameters
    ----------
    log
        Logarithmic ordinate, where all values are positive.
    low, high
        Ends of the ordinate; by default those of the data.
    ticks
        Places and names on the abscissa, instead of round numbers.
    mark
        Where to draw a dotted vertical line.
    """
    drawn = [Series(s.name, points) for s in series if (points := finite(s.points))]
    if not drawn:
        return Markup("")
    ys = [y for s in drawn for _, y in s.points]
    log = log and min(ys) > 0
    y_axis = _Axis.of(ys, HEIGHT - BOTTOM, TOP, log=log, low=low, high=high)
    xs = [x for s in drawn for x, _ in s.points] + [x for x, _ in ticks or []]
    x_axis = _Axis.of(xs, LEFT, WIDTH - RIGHT, tight=True)
    lines: list[Markup] = []
    for i, s in enumerate(drawn, 1):
        places = [(x_axis(x), y_axis(y)) for x, y in thinned(s.points)]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        lines.append(tag("path", d=path, class_=f"line l{i}"))
        if len(places) <= 30:
            lines += [tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=3, class_=f"dot f{i}") for x, y in places]
    marked = None if mark is None else _line(x_axis(mark), TOP, x_axis(mark), HEIGHT - BOTTOM, "mark")
    svg = _frame(title, x_label, _x_ticks(x_axis, ticks), _y_ticks(y_axis), [marked, lines])
    rows = [(number(x, ".6g"), [number(_at(s, x), ".4g") for s in drawn]) for x in _abscissae(drawn, ticks)]
    names = {number(x, ".6g"): name for x, name in ticks or []}
    numbers = table(
        [x_label, *(s.name for s in drawn)],
        [[names.get(x, x), *values] for x, values in rows],
        f"{title}: numbers",
    )
    return _figure(title, svg, [s.name for s in drawn], "line", caption, numbers)


def stacked_bars(
    title: str,
    x_label: str,
    names: Sequence[str],
    parts: Sequence[tuple[str, Sequence[int]]],
    caption: str | None = None,
) -> Markup:
    """Bars of several parts, one on the other; `names` stand below them."""
    totals = [sum(values) for values in zip(*(values for _, values in parts), strict=True)]
    y_axis = _Axis.of([0, *totals], HEIGHT - BOTTOM, TOP, low=0)
    step = (WIDTH - LEFT - RIGHT) / len(names)
    bars = []
    for i in range(len(names)):
        base = 0
        for j, (part, values) in enumerate(parts, 1):
            top, bottom = y_axis(base + values[i]), y_axis(base)
            base += values[i]
            if values[i]:
                hint = tag("title", f"{names[i]}: {values[i]} {part}")
                bars.append(
                    tag(
                        "rect",
                        hint,
                        x=f"{LEFT + step * (i + 0.1):.1f}",
                        y=f"{top:.1f}",
                        width=f"{step * 0.8:.1f}",
                        height=f"{bottom - top:.1f}",
                        class_=f"bar f{j}",
                    )
                )
    every = max(1, math.ceil(len(names) / 8))
    x_ticks = [(LEFT + step * (i + 0.5), name) for i, name in enumerate(names) if i % every == every - 1]
    svg = _frame(title, x_label, x_ticks, _y_ticks(y_axis), bars)
    return _figure(title, svg, [name for name, _ in parts], "bar", caption, None)


def finite(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that can be drawn."""
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Means of neighbours where there are more points than can be seen."""
    if len(points) <= MOST_POINTS:
        return list(points)
    size = math.ceil(len(points) / MOST_POINTS)
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]


@dataclass(frozen=True)
class _Axis:
    """Values from low to high on pixels from start to end."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def of(
        cls,
        values: Sequence[float],
        start: float,
        end: float,
        *,
        log: bool = False,
        low: float | None = None,
        high: float | None = None,
        tight: bool = False,
    ) -> _Axis:
        bottom = min(values) if low is None else low
        top = max(values) if high is None else high
        if log:
            factor = 1.1 if top > bottom else 2.0
            return cls(bottom / factor, top * factor, start, end, True)
        space = 0.0 if tight and top > bottom else 0.06 * (top - bottom) or max(abs(top), 1e-12) * 0.5
        bottom = bottom - space if low is None else bottom
        top = top + space if high is None else top
        return cls(bottom, top if top > bottom else bottom + 1, start, end)

    def __call__(self, value: float) -> float:
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def round_values(self) -> list[float]:
        """Four to eight round numbers on it."""
        if self.log and self.high / self.low > 8:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            steps = (1,) if last - first > 3 else (1, 2, 5)
            values = [s * 10.0**e for e in range(first, last + 1) for s in steps]
        else:
            raw = (self.high - self.low) / 6
            power = 10.0 ** math.floor(math.log10(raw))
            step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= raw * 0.999)
            first = math.ceil(self.low / step - 1e-9)
            values = [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]
        return [v for v in values if self.low * (1 - 1e-9) <= v <= self.high * (1 + 1e-9) or v == 0]


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return tag("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_=kind)


def _y_ticks(axis: _Axis) -> list[tuple[float, str]]:
    return [(axis(v), number(round(v, 12), ".4g")) for v in axis.round_values()]


def _x_ticks(axis: _Axis, ticks: Sequence[tuple[float, str]] | None) -> list[tuple[float, str]]:
    if ticks is not None:
        return [(axis(x), name) for x, name in ticks]
    return [(axis(v), number(round(v, 12), ".6g")) for v in axis.round_values()]


def _frame(
    title: str,
    x_label: str,
    x_ticks: Sequence[tuple[float, str]],
    y_ticks: Sequence[tuple[float, str]],
    content: object,
) -> Markup:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    marks: list[Markup] = []
    for y, name in y_ticks:
        marks += [_line(LEFT, y, right, y, "grid")]
        marks += [tag("text", name, x=LEFT - 7, y=f"{y + 4:.1f}", text_anchor="end")]
    for x, name in x_ticks:
        marks += [_line(x, bottom, x, bottom + 4, "axis")]
        marks += [tag("text", name, x=f"{x:.1f}", y=bottom + 18, text_anchor="middle")]
    marks += [_line(LEFT, bottom, right, bottom, "axis")]
    marks += [tag("text", x_label, x=(LEFT + right) / 2, y=HEIGHT - 5, text_anchor="middle")]
    return tag(
        "svg",
        tag("title", title),
        marks,
        content,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        class_="chart",
        role="img",
        aria_label=f"Chart: {title}",
    )


def _figure(
    title: str, svg: Markup, names: Sequence[str], kind: str, caption: str | None, numbers: Markup | None
) -> Markup:
    keys = [
        tag("li", _key(i, kind), name) for i, name in enumerate(names, 1)
    ]  # a lone line is named by its title
    legend = tag("ul", keys, class_="legend") if len(names) > 1 else None
    below = tag("figcaption", caption) if caption else None
    opened = details("Numbers", numbers) if numbers is not None else None
    return tag("figure", tag("h3", title), legend, svg, below, opened)


def _key(i: int, kind: str) -> Markup:
    if kind == "line":
        shape = tag("path", d="M0 6H28", class_=f"line l{i}")
    else:
        shape = tag("rect", x=0, y=0, width=28, height=12, class_=f"bar f{i}")
    return tag("svg", shape, viewBox="0 0 28 12", aria_hidden="true")


def _abscissae(series: Sequence[Series], ticks: Sequence[tuple[float, str]] | None) -> list[float]:
    places = sorted({x for s in series for x, _ in s.points})
    if len(places) <= MOST_ROWS or ticks is not None:
        return places
    step = (len(places) - 1) / (MOST_ROWS - 1)
    return [places[round(i * step)] for i in range(MOST_ROWS)]


def _at(series: Series, x: float) -> float | None:
    return next((y for place, y in series.points if place == x), None)
