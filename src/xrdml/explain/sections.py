"""What a model makes of one crystal: central planes, |R| by resolution, Patterson sections."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xrdml.crystal.cell import d_spacing
from xrdml.crystal.problem import Prediction, Predictor
from xrdml.evaluate.compare import Comparison
from xrdml.evaluate.figures import central_planes
from xrdml.evaluate.metrics import score
from xrdml.evaluate.shell_figure import shell_curves
from xrdml.explain.output import write_csv
from xrdml.explain.patterson import PattersonMap, patterson
from xrdml.explain.patterson_figure import draw_sections
from xrdml.explain.setting import Setting
from xrdml.explain.subject import Subject
from xrdml.infer.choose import BASELINES, load_predictor
from xrdml.postprocess.restore import restore

PLANES, SHELLS, PATTERSON, REFLECTIONS = "planes.png", "shells.png", "patterson.png", "reflections.csv"


@dataclass(frozen=True)
class Reconstruction:
    """A subject with the predictions of a model and of baselines to stand beside."""

    subject: Subject
    predictions: dict[str, Prediction]

    @property
    def first(self) -> Prediction:
        """Of the model itself."""
        return next(iter(self.predictions.values()))


def explain_sections(setting: Setting) -> dict[str, Any]:
    """Thesis figures 3.5 and 3.6, and |R| by resolution beside the baselines."""
    own = setting.model.predictor(setting.search, setting.say)
    others = {name: load_predictor(name) for name in BASELINES if name != setting.model.name}
    made = reconstruct(setting.subject, {setting.model.name: own, **others})
    return {
        "crystal": setting.subject.name,
        "details": made.first.details,
        **draw_reconstruction(made, setting.out),
        "patterson": draw_patterson(made, setting.out),
    }


def reconstruct(subject: Subject, predictors: dict[str, Predictor]) -> Reconstruction:
    """Ask every predictor, the model that is explained first."""
    return Reconstruction(subject, {n: p.predict([subject.problem])[0] for n, p in predictors.items()})


def draw_reconstruction(made: Reconstruction, out: Path) -> dict[str, Any]:
    """Planes, R by shell and reflections; the scores of every model where the truth is known."""
    subject, problem = made.subject, made.subject.problem
    central_planes(out / PLANES, problem, restore(problem, made.first), subject.f_true)
    _write_reflections(made, out / REFLECTIONS)
    if subject.f_true is None:
        return {"scores": None}
    truth = subject.f_true
    scores = {n: {subject.name: score(problem, truth, p.f)} for n, p in made.predictions.items()}
    shell_curves(out / SHELLS, Comparison(scores, {n: {} for n in scores}))
    return {"scores": {n: s[subject.name] for n, s in scores.items()}}


def _write_reflections(made: Reconstruction, path: Path) -> None:
    problem, truth = made.subject.problem, made.subject.f_true
    h, k, l = problem.missing.T
    unknown = np.full(len(problem.missing), np.nan)
    columns = {"h": h, "k": k, "l": l, "d": d_spacing(problem.cell, problem.missing)}
    columns |= {"f_true": unknown if truth is None else truth}
    write_csv(path, columns | {f"f_{name}": p.f for name, p in made.predictions.items()})


def patterson_maps(made: Reconstruction) -> dict[str, PattersonMap]:
    """Maps of the measured reflections, of these with the predicted ones, and of the truth where known.

    The last two are over the same reflections: those whose truth is known.
    """
    problem, truth = made.subject.problem, made.subject.f_true
    known = np.ones(len(problem.missing), bool) if truth is None else np.isfinite(truth)
    hkl = np.concatenate([problem.measured.hkl, problem.missing[known]])
    sets = {
        f"measured, to {problem.d_limit:.2f} Å": (problem.measured.hkl, problem.f_obs),
        f"predicted, to {problem.d_min:.2f} Å": (hkl, np.concatenate([problem.f_obs, made.first.f[known]])),
    }
    if truth is not None:
        sets[f"true, to {problem.d_min:.2f} Å"] = (hkl, np.concatenate([problem.f_obs, truth[known]]))
    return {name: patterson(h, f, problem.cell, problem.symmetry) for name, (h, f) in sets.items()}


def draw_patterson(made: Reconstruction, out: Path) -> dict[str, Any]:
    """Sections at y = 0 and y = ½; correlations with the true map, and what a curve of resolution reaches."""
    maps = patterson_maps(made)
    draw_sections(out / PATTERSON, maps)
    if made.subject.f_true is None:
        return {"correlation": None}
    low, _, true = maps.values()
    others = {n: Reconstruction(made.subject, {n: p}) for n, p in made.predictions.items()}
    predicted = {n: list(patterson_maps(r).values())[1].correlation(true) for n, r in others.items()}
    return {"correlation": {"measured": low.correlation(true), **predicted}}
