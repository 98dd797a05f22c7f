"""Which model fills a crystal."""

from __future__ import annotations

from xrdml.crystal.grid import HklGrid
from xrdml.crystal.problem import Predictor
from xrdml.crystal.symmetry import Symmetry
from xrdml.infer.baselines import RadialBaseline, RidgeBaseline

BASELINES: dict[str, type[RadialBaseline] | type[RidgeBaseline]] = {
    "radial": RadialBaseline,
    "ridge": RidgeBaseline,
}
DEFAULT_NETWORK = "unet"


def load_predictor(name: str, grid: HklGrid | None = None) -> Predictor:
    """A baseline by name, or a network by the name or folder of its weights.

    Parameters
    ----------
    grid
        Tensor layout for a network, instead of the one that it was trained on.

    Raises
    ------
    UserError
        Unknown name, or weights that are damaged or foreign.
    """
    if name in BASELINES:
        return BASELINES[name]()
    from xrdml.infer.network import NetworkPredictor

    return NetworkPredictor(name, grid)


def choose_predictor(name: str, symmetry: Symmetry, grid: HklGrid | None = None) -> tuple[Predictor, str]:
    """A predictor and the reason for it in a few words.

    ``auto`` takes the default network for crystals of a Laue class that it was trained on and the
    ridge baseline for all others: a network has learned nothing about a lattice it never saw.
    """
    if name != "auto":
        return load_predictor(name, grid), "chosen by --model"
    network = load_predictor(DEFAULT_NETWORK, grid)
    trained = network.laue_groups  # type: ignore[attr-defined]
    if symmetry.laue_group.xhm() in trained:
        return network, "default for its Laue class"
    reason = f"{network.name} was trained on {', '.join(sorted(trained))} only"
    return load_predictor("ridge"), reason
