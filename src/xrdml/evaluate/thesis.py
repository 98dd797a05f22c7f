"""The thesis' results, to stand beside ours (SCIENCE §1: R over all reflections, measured ones included)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """R_all of one network before and after fine-tuning.

    Attributes
    ----------
    simulated, real
        (before, after) on simulated and on real crystals.
    mse_real
        Mean squared error over the tensor on real crystals after fine-tuning.
    """

    simulated: tuple[float, float]
    real: tuple[float, float]
    mse_real: float


PUBLISHED = {
    "unet": Published((0.477, 0.632), (0.590, 0.393), 1.39e-3),
    "fft_unet": Published((0.726, 0.619), (0.646, 0.336), 1.20e-3),
    "xrd_transformer": Published((0.346, 0.615), (0.581, 0.358), 1.31e-3),
}


def published_r(model: str, kind: str, stage: str) -> float | None:
    """R_all of a network (its name in configs/model) on ``simulated`` or ``real`` crystals, ``before`` or
    ``after`` fine-tuning; None where the thesis has no number."""
    found = PUBLISHED.get(model)
    if found is None or kind not in ("simulated", "real"):
        return None
    return (found.simulated if kind == "simulated" else found.real)[stage == "after"]
