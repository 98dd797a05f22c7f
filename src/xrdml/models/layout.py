"""What the positions of a tensor mean, for the models that need to know."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """The frame of a batch.

    Attributes
    ----------
    lower
        Miller indices h, k, l of the tensor's first position.
    sphere
        Laue-unique positions with d ≥ d_min_high, systematic absences among them, (B, H, K, L) bool.
    cell
        a, b, c in Å; α, β, γ in degrees, (B, 6); None where no model asks.
    """

    lower: tuple[int, int, int]
    sphere: Tensor
    cell: Tensor | None = None
