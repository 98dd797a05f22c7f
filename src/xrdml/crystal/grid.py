"""The tensor that holds a crystal's Laue-unique reflections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrdml.crystal.cell import Cell, index_limits
from xrdml.crystal.symmetry import Hkl, Symmetry
from xrdml.errors import UserError


class GridTooSmall(UserError):
    """A crystal has reflections outside the grid."""


@dataclass(frozen=True)
class HklGrid:
    """A box of Miller indices: tensor index = (h, k, l) − lower.

    Attributes
    ----------
    lower, upper
        Smallest and largest h, k, l, both inclusive.
    """

    lower: tuple[int, int, int]
    upper: tuple[int, int, int]

    def __post_init__(self) -> None:
        if (
            len(self.lower) != 3
            or len(self.upper) != 3
            or any(a > b for a, b in zip(self.lower, self.upper, strict=True))
        ):
            raise ValueError(
                f"grid bounds {self.lower} to {self.upper}: each lower must be at most its upper"
            )

    @classmethod
    def thesis(cls) -> HklGrid:
        """The monoclinic layout of the thesis, shape (26, 18, 23)."""
        return cls((-13, 0, 0), (12, 17, 22))

    @classmethod
    def for_crystal(cls, cell: Cell, symmetry: Symmetry, d_min: float) -> HklGrid:
        """The smallest grid for a Laue class that holds all unique reflections with d ≥ d_min.

        Bounds follow from the axis lengths and the Laue class alone, so crystals of one class
        and similar axes share a layout: h −H…H, k 0…K, l 0…L in 2/m; 0…H, 0…K, 0…L in mmm;
        −H…H, −K…K, 0…L in −1; and so on.
        """
        limits = np.array(index_limits(cell, d_min))
        # Which index can be negative is a property of the asymmetric unit: look at a small ball.
        signs = (
            np.stack(np.meshgrid(*[np.arange(-4, 5)] * 3, indexing="ij"), -1).reshape(-1, 3).astype(np.int32)
        )
        unique = signs[(symmetry.to_asu(signs) == signs).all(1)]
        negative = unique.min(0) < 0
        low, high = np.where(negative, -limits, 0).tolist(), limits.tolist()
        return cls((low[0], low[1], low[2]), (high[0], high[1], high[2]))

    @classmethod
    def parse(cls, text: str) -> HklGrid:
        """Read ``-13:12,0:17,0:22``.

        Raises
        ------
        UserError
            The text has another form.
        """
        try:
            low, high = zip(
                *[(int(a), int(b)) for a, b in (part.split(":") for part in text.split(","))], strict=True
            )
            return cls(low, high)
        except ValueError:
            raise UserError(f"grid bounds '{text}': write them like -13:12,0:17,0:22") from None

    def __str__(self) -> str:
        return ",".join(f"{a}:{b}" for a, b in zip(self.lower, self.upper, strict=True))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Cells along h, k, l."""
        return tuple(b - a + 1 for a, b in zip(self.lower, self.upper, strict=True))  # type: ignore[return-value]

    @property
    def hkl(self) -> Hkl:
        """Miller indices of all cells in C order, shape (n, 3)."""
        axes = [np.arange(a, b + 1, dtype=np.int32) for a, b in zip(self.lower, self.upper, strict=True)]
        return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)

    def contains(self, hkl: Hkl) -> NDArray[np.bool_]:
        """Which reflections have a cell, (n, 3) → (n,)."""
        h = np.asarray(hkl)
        # One index at a time: three times as fast as a reduction over an axis of length 3.
        bounds = enumerate(zip(self.lower, self.upper, strict=True))
        return np.logical_and.reduce([(h[..., i] >= a) & (h[..., i] <= b) for i, (a, b) in bounds])

    def index(self, hkl: Hkl) -> tuple[NDArray[np.intp], ...]:
        """Three index arrays for ``tensor[grid.index(hkl)]``.

        Raises
        ------
        GridTooSmall
            A reflection lies outside.
        """
        h = np.asarray(hkl).reshape(-1, 3)
        inside = self.contains(h)
        if not inside.all():
            worst = h[~inside][0]
            raise GridTooSmall(f"reflection {worst[0]} {worst[1]} {worst[2]} lies outside the grid {self}")
        return tuple((h - self.lower).T.astype(np.intp))

    def scatter(self, hkl: Hkl, values: NDArray, fill: float = 0) -> NDArray:
        """A tensor with `values` (n,) at `hkl` (n, 3) and `fill` elsewhere; dtype of `values`."""
        values = np.asarray(values)
        out = np.full(self.shape, fill, dtype=values.dtype)
        out[self.index(hkl)] = values
        return out

    def gather(self, tensor: NDArray, hkl: Hkl) -> NDArray:
        """Values (n,) at `hkl` (n, 3)."""
        return tensor[self.index(hkl)]

    def check_fits(self, cell: Cell, symmetry: Symmetry, d_min: float) -> None:
        """Raise GridTooSmall, naming the axis, unless all unique reflections have a cell."""
        unique = symmetry.unique_reflections(cell, d_min, absent=True)
        if self.contains(unique).all():
            return
        low, high = unique.min(0), unique.max(0)
        axis = int(np.argmax(np.maximum(high - self.upper, np.array(self.lower) - low)))
        raise GridTooSmall(
            f"axis {'abc'[axis]} = {cell[axis]:g} Å is too long for the grid {self}: to {d_min:g} Å it needs "
            f"{'hkl'[axis]} from {low[axis]} to {high[axis]}; give larger bounds, "
            f"e.g. --grid={HklGrid.for_crystal(cell, symmetry, d_min)}"
        )
