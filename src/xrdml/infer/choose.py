"""Which model fills a crystal, and which one serves where it is not solved."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from xrdml.crystal.grid import HklGrid
from xrdml.crystal.problem import Predictor
from xrdml.errors import UserError
from xrdml.infer.baselines import RadialBaseline, RidgeBaseline
from xrdml.infer.case import Progress
from xrdml.models.weights import read_config, weights_names
from xrdml.phasing.solve import SolveOptions

BASELINES: dict[str, type[RadialBaseline] | type[RidgeBaseline]] = {
    "radial": RadialBaseline,
    "ridge": RidgeBaseline,
}
DEFAULT = "density_prior"
LAST_RESORT = "ridge"
"""Takes every crystal."""


def load_predictor(
    name: str,
    grid: HklGrid | None = None,
    *,
    fallback: str | None = None,
    search: SolveOptions | None = None,
    progress: Progress | None = None,
) -> Predictor:
    """A baseline by name, or what the weights of that name or folder are for.

    A density prior solves the crystal and takes the amplitudes from its atoms. Where it fails,
    `fallback` serves, and `LAST_RESORT` where that cannot take the crystal either.

    Parameters
    ----------
    grid
        Tensor layout for a tensor network, instead of the one that it was trained on.
    fallback
        A baseline, or the name or folder of a tensor network; None stands for :func:`best_measured`.
    search
        How hard a density prior tries.
    progress
        Called by a density prior with what is going on and the best R so far.

    Raises
    ------
    UserError
        Unknown name, weights that are damaged or foreign, or a density prior as fallback.
    """
    if not solves(name):
        return _without_solving(name, grid)
    from xrdml.infer.phased import PhasingPredictor

    if fallback is None:
        fallback, reason = best_measured()
    else:
        reason = f"--fallback {fallback}"
    if solves(fallback):
        raise UserError(
            f"--fallback {fallback}: is a density prior; give a baseline ({', '.join(BASELINES)}) "
            "or a tensor network"
        )
    chain = [_without_solving(n, grid) for n in dict.fromkeys([fallback, LAST_RESORT])]
    return PhasingPredictor(chain, reason, name, search, progress)


def solves(name: str) -> bool:
    """Whether a model phases crystals, rather than to predict amplitudes alone.

    Raises
    ------
    UserError
        Unknown name, or weights that are damaged or foreign.
    """
    return name not in BASELINES and read_config(name)["model"]["name"] == "density_prior"


def _without_solving(name: str, grid: HklGrid | None) -> Predictor:
    if name in BASELINES:
        return BASELINES[name]()
    from xrdml.infer.network import NetworkPredictor

    return NetworkPredictor(name, grid)


def best_measured() -> tuple[str, str]:
    """The model that fills real crystals best without solving them, and the figures that say so.

    The lowest mean R_ext of the models that are present wins.
    """
    measured = _measured()
    present = {*BASELINES, *weights_names()}
    r_ext = {name: row["r_ext"]["mean"] for name, row in measured["summary"].items() if name in present}
    ranked = sorted(r_ext, key=lambda name: r_ext[name])
    figures = ", ".join(f"{name} {r_ext[name]:.3f}" for name in ranked)
    return ranked[0], f"lowest R_ext on {measured['n']} published crystals: {figures}"


def _measured() -> dict[str, Any]:
    """metrics.json of `xrdml test` with all that comes with the project, on crystals none was trained on."""
    return json.loads(files("xrdml.infer").joinpath("fallback.json").read_text(encoding="utf-8"))
