"""What a simulated powder measurement is drawn from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.radiation import Scan
from xrdml.errors import UserError
from xrdml.physics.powder_render import Instrument

Range = tuple[float, float]
"""Lowest and highest value."""

LIMITS: dict[str, Range] = {
    "u": (-1, 1), "v": (-1, 1), "w": (-1, 1), "x": (0, 5), "y": (0, 20),
    "s_l": (0, 0.2), "h_l": (0, 0.2), "zero": (-2, 2),
    "peak_counts": (1, 1e8), "background": (0, 2), "shape": (-1, 1),
}  # fmt: skip
"""What each parameter may be: widths in degrees of 2θ, U, V and W in degrees²."""

# Scales rather than amounts: as many patterns between 1 and 10 as between 10 and 100.
_LOGARITHMIC = ("w", "x", "peak_counts", "background")
_ATTEMPTS = 1000
_MAX_SHAPE = 12  # with the limits above, counts stay below 2³²


@dataclass(frozen=True)
class Measurement:
    """The parameters of one pattern.

    Attributes
    ----------
    instrument
        Shapes the lines.
    peak_counts
        Expected counts of the highest point, background not included.
    background
        Mean level of the background as a share of `peak_counts`.
    shape
        r₁, r₂, …: the background is peak_counts · background · (1 + Σ r_k T_k(ξ)), with Chebyshev
        polynomials T_k and ξ from −1 to 1 over the scan.
    """

    instrument: Instrument
    peak_counts: float
    background: float
    shape: tuple[float, ...]

    def expected_background(self, scan: Scan) -> NDArray[np.float64]:
        """Counts, (n_points,)."""
        xi = np.linspace(-1, 1, scan.n_points)
        relative = np.polynomial.chebyshev.chebval(xi, [1.0, *self.shape])
        return np.asarray(self.peak_counts * self.background * relative, dtype=np.float64)


@dataclass(frozen=True)
class PowderOptions:
    """The scan, and the range that each parameter is drawn from; equal ends fix it.

    Attributes
    ----------
    scan
        Radiation, 2θ and monochromator.
    ranges
        Of the keys of `LIMITS` except ``shape``; without ``h_l`` H/L equals S/L. w, x, peak_counts and
        background are drawn uniformly in their logarithm where the range does not touch 0.
    shape
        One range for each r_k of the background.
    """

    scan: Scan
    ranges: dict[str, Range]
    shape: tuple[Range, ...] = ()

    def __post_init__(self) -> None:
        if len(self.shape) > _MAX_SHAPE:
            raise UserError(
                f"background: {len(self.shape)} Chebyshev coefficients; give {_MAX_SHAPE} at most"
            )
        for name, given in [*self.ranges.items(), *(("shape", r) for r in self.shape)]:
            lowest, highest = LIMITS[name]
            if not lowest <= given[0] <= given[1] <= highest:
                text = ":".join(f"{value:g}" for value in given)
                raise UserError(
                    f"{name} {text}: give LOW:HIGH or a number between {lowest:g} and {highest:g}"
                )

    def draw(self, rng: np.random.Generator) -> Measurement:
        """One measurement; widths and backgrounds that are not positive all over the scan are drawn anew.

        Raises
        ------
        UserError
            The ranges hold nothing else.
        """
        for _ in range(_ATTEMPTS):
            values = {name: _draw(rng, name, given) for name, given in self.ranges.items()}
            shape = tuple(float(rng.uniform(*given)) for given in self.shape)
            peak_counts, background = values.pop("peak_counts"), values.pop("background")
            values.setdefault("h_l", values["s_l"])
            found = Measurement(Instrument(**values), peak_counts, background, shape)
            if self._has_width(found.instrument) and found.expected_background(self.scan).min() >= 0:
                return found
        raise UserError(
            "no line width (U tan²θ + V tanθ + W and x, y) or no background that is positive over the whole "
            "scan; raise --w or --x, or flatten --background"
        )

    def _has_width(self, instrument: Instrument) -> bool:
        # Lines from beside the scan are drawn as well: look a little further.
        angles = np.linspace(max(self.scan.start - 2, 0), min(self.scan.stop + 2, 179.99), 200)
        tan = np.tan(np.radians(angles / 2))
        gaussian = (instrument.u * tan + instrument.v) * tan + instrument.w
        return bool(gaussian.min() > 0) or bool(gaussian.min() >= 0 and instrument.x > 0)

    def to_json(self) -> dict[str, Any]:
        ranges = {name: list(given) for name, given in self.ranges.items()}
        return {**self.scan.to_json(), "ranges": ranges, "shape": [list(r) for r in self.shape]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> PowderOptions:
        ranges = {name: (low, high) for name, (low, high) in value["ranges"].items()}
        return cls(Scan.from_json(value), ranges, tuple((low, high) for low, high in value["shape"]))


def _draw(rng: np.random.Generator, name: str, given: Range) -> float:
    low, high = given
    if name in _LOGARITHMIC and low > 0:
        # Rounding may not move a fixed value.
        return min(max(math.exp(rng.uniform(math.log(low), math.log(high))), low), high)
    return float(rng.uniform(low, high))


def parse_ranges(text: str) -> list[Range]:
    """``1,2:3`` → [(1, 1), (2, 3)].

    Raises
    ------
    UserError
        Something that is no number.
    """
    out = []
    for word in text.split(","):
        ends = word.split(":")
        try:
            numbers = [float(end) for end in ends]
        except ValueError:
            numbers = []
        if len(numbers) not in (1, 2) or not all(map(math.isfinite, numbers)):
            raise UserError(f"'{text[:40]}': give numbers or ranges LOW:HIGH, separated by commas")
        out.append((numbers[0], numbers[-1]))
    return out


def column_names(shape: Sequence[Any]) -> list[str]:
    """Names of the parameters of a measurement in the order of :func:`column_values`."""
    instrument = ["u", "v", "w", "x", "y", "s_l", "h_l", "zero"]
    return [*instrument, "peak_counts", "background", *(f"shape_{k}" for k in range(1, len(shape) + 1))]


def column_values(measurement: Measurement) -> list[float]:
    """The parameters of a measurement as one row of numbers."""
    i = measurement.instrument
    widths = [i.u, i.v, i.w, i.x, i.y, i.s_l, i.h_l, i.zero]
    return [*widths, measurement.peak_counts, measurement.background, *measurement.shape]
