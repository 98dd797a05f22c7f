"""Which model fills a crystal."""

from __future__ import annotations

from collections.abc import Callable

from xrdml.crystal.grid import HklGrid
from xrdml.crystal.problem import Predictor
from xrdml.infer.baselines import RadialBaseline, RidgeBaseline

BASELINES: dict[str, type[RadialBaseline] | type[RidgeBaseline]] = {
    "radial": RadialBaseline,
    "ridge": RidgeBaseline,
}
DEFAULT = "density_prior"


def load_predictor(
    name: str, grid: HklGrid | None = None, progress: Callable[[str, float], None] | None = None
) -> Predictor:
    """A baseline by name, or what the weights of that name or folder are for.

    A density prior solves the crystal and takes the amplitudes from its atoms; where it fails,
    the ridge baseline serves.

    Parameters
    ----------
    grid
        Tensor layout for a tensor network, instead of the one that it was trained on.
    progress
        Called by a density prior with what is going on and the best R so far.

    Raises
    ------
    UserError
        Unknown name, or weights that are damaged or foreign.
    """
    if name in BASELINES:
        return BASELINES[name]()
    from xrdml.models.weights import read_config

    if read_config(name)["model"]["name"] == "density_prior":
        from xrdml.infer.phased import PhasingPredictor

        return PhasingPredictor(RidgeBaseline(), name, progress=progress)
    from xrdml.infer.network import NetworkPredictor

    return NetworkPredictor(name, grid)
