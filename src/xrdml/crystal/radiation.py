"""Wavelengths of laboratory X-rays, and the scan of a powder diffractometer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrdml.errors import UserError

K_ALPHA = {
    "Cu": (1.540593, 1.544427),
    "Mo": (0.709317, 0.713607),
    "Co": (1.788996, 1.792835),
}
"""Kα1 and Kα2 in Å: International Tables C (2006), table 4.2.2.4."""

MAX_POINTS = 200_000


@dataclass(frozen=True)
class Radiation:
    """The lines of a source.

    Attributes
    ----------
    name
        As :meth:`parse` takes it.
    wavelengths
        Å, the strongest first.
    weights
        Their shares of the intensity, summing to 1.
    """

    name: str
    wavelengths: tuple[float, ...]
    weights: tuple[float, ...]

    @classmethod
    def parse(cls, text: str) -> Radiation:
        """``CuKa`` (Kα1 and Kα2, 2 : 1), ``CuKa1`` (Kα1 alone), the same of Mo and Co, or a wavelength in Å.

        Raises
        ------
        UserError
            None of these, or a wavelength outside 0.1–5 Å.
        """
        element, line = text[:2].capitalize(), text[2:].lower().replace("α", "a")
        if element in K_ALPHA and line == "ka":
            return cls(f"{element}Ka", K_ALPHA[element], (2 / 3, 1 / 3))
        if element in K_ALPHA and line == "ka1":
            return cls(f"{element}Ka1", K_ALPHA[element][:1], (1.0,))
        try:
            wavelength = float(text)
        except ValueError:
            wavelength = float("nan")
        if not 0.1 <= wavelength <= 5:
            known = ", ".join(f"{name}Ka, {name}Ka1" for name in K_ALPHA)
            raise UserError(f"radiation '{text[:20]}': give {known}, or a wavelength of 0.1–5 Å")
        return cls(f"{wavelength:.10g}", (wavelength,), (1.0,))


@dataclass(frozen=True)
class Scan:
    """What a powder diffractometer steps through.

    Attributes
    ----------
    radiation
        The source.
    start, step
        First 2θ and step in degrees.
    n_points
        Number of steps.
    monochromator
        2θ of a monochromator crystal in degrees; None where there is none.
    """

    radiation: Radiation
    start: float
    step: float
    n_points: int
    monochromator: float | None = None

    @classmethod
    def make(cls, radiation: str, two_theta: str, monochromator: float | None = None) -> Scan:
        """From options: a name that :meth:`Radiation.parse` takes, and ``start:stop:step`` in degrees.

        Raises
        ------
        UserError
            A range that no diffractometer has.
        """
        try:
            start, stop, step = (float(word) for word in two_theta.split(":"))
        except ValueError:
            raise UserError(f"range '{two_theta[:40]}': write start:stop:step in degrees 2θ") from None
        if not (0.1 <= start < stop <= 179.9 and 1e-4 <= step <= stop - start):
            raise UserError(
                f"range '{two_theta[:40]}': give 0.1 ≤ start < stop ≤ 179.9 and a step of 0.0001 or more"
            )
        n_points = int(np.floor((stop - start) / step + 1e-6)) + 1
        if n_points > MAX_POINTS:
            raise UserError(f"range '{two_theta[:40]}': {n_points} points, more than {MAX_POINTS}")
        if monochromator is not None and not 0 < monochromator < 180:
            raise UserError(f"monochromator {monochromator:g}: give its 2θ, between 0 and 180°")
        return cls(Radiation.parse(radiation), start, step, n_points, monochromator)

    @property
    def stop(self) -> float:
        """Last 2θ in degrees."""
        return self.start + self.step * (self.n_points - 1)

    @property
    def two_theta(self) -> NDArray[np.float64]:
        """All 2θ in degrees, (n_points,)."""
        return np.asarray(self.start + self.step * np.arange(self.n_points), dtype=np.float64)

    @property
    def polarization(self) -> float:
        """cos²2θ of the monochromator: the share of the second polarisation that it passes; 1 without."""
        return 1.0 if self.monochromator is None else float(np.cos(np.radians(self.monochromator)) ** 2)

    def to_json(self) -> dict[str, Any]:
        return {
            "radiation": self.radiation.name,
            "two_theta": f"{self.start:.10g}:{self.stop:.10g}:{self.step:.10g}",
            "monochromator": self.monochromator,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Scan:
        return cls.make(value["radiation"], value["two_theta"], value["monochromator"])
