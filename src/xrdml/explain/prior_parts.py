"""Sensitivity, contraction and path of a density prior: numbers and pictures in a folder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from xrdml.errors import UserError
from xrdml.evaluate.metrics import summarise
from xrdml.explain.contraction import (
    KnownMap,
    Quality,
    Step,
    contraction,
    known_map,
    prior_response,
    sphere_of,
)
from xrdml.explain.map_figure import draw_maps
from xrdml.explain.output import write_csv
from xrdml.explain.path import follow
from xrdml.explain.prior_figure import draw_contraction, draw_path
from xrdml.explain.sensitivity import LEVELS
from xrdml.explain.setting import Setting
from xrdml.explain.shell_output import write_shells
from xrdml.explain.subject import Subject
from xrdml.phasing.iterate import Prior, Schedule


def explain_prior_sensitivity(setting: Setting) -> dict[str, Any]:
    """What errors of the measured |F| do to what the prior draws (thesis figure 3.4 for another model)."""
    known, problem = _known(setting, setting.subject), setting.subject.problem
    response = prior_response(setting.model.prior, known, problem)
    centred = [np.fft.fftshift(np.where(response.counted, c, 0.0)) for c in response.change]
    lower = tuple(-(n // 2) for n in known.sphere.shape)
    limits = {
        "measured": np.fft.fftshift((known.sphere.known | known.sphere.floating).cpu().numpy()),
        "drawn": np.fft.fftshift(response.counted),
    }
    maps = {f"change at σ = {s:g}": c for s, c in zip(LEVELS, centred, strict=True)}
    draw_maps(setting.out / "sensitivity.png", maps, (lower[0], lower[1], lower[2]), limits, relative=True)
    hkl = np.argwhere(np.fft.fftshift(response.counted)) + lower
    columns: dict[str, Any] = dict(zip("hkl", hkl.T, strict=True))
    columns["d"] = np.fft.fftshift(response.inverse_d2)[tuple((hkl - lower).T)] ** -0.5
    values = {f"change_{s:g}": c for s, c in zip(LEVELS, centred, strict=True)}
    values["output"] = np.fft.fftshift(response.output)
    columns |= {name: v[tuple((hkl - lower).T)] for name, v in values.items()}
    write_csv(setting.out / "sensitivity.csv", columns)
    curves = []
    for i, other in enumerate(setting.others):
        found = prior_response(setting.model.prior, _known(setting, other), other.problem)
        d, ratio = found.by_shell(max(other.problem.d_min, 1.0))
        curves.append(ratio)
        setting.count("sensitivity", i + 1)
    return write_shells(setting, d, np.array(curves))


def explain_contraction(setting: Setting) -> dict[str, Any]:
    """Phase error and map correlation before and after one application."""
    everything: list[list[Step]] = []
    for i, other in enumerate(setting.others):
        known = _known(setting, other)
        everything.append(contraction(known, Prior(setting.model.prior, known.sphere), seed=i))
        setting.count("contraction", i + 1)
    rows = [
        {"crystal": other.name, "level": s.level, "told": s.told, **_numbers(s)}
        for other, steps in zip(setting.others, everything, strict=True)
        for s in steps
    ]
    write_csv(setting.out / "contraction.csv", {name: [r[name] for r in rows] for name in rows[0]})
    draw_contraction(
        setting.out / "contraction.png", [_mean(column) for column in zip(*everything, strict=True)]
    )
    curve = []
    for column in zip(*everything, strict=True):
        first = column[0]
        estimates = summarise([_numbers(s) for s in column])
        curve.append({"level": first.level, "told": first.told, **estimates})
    return {"n_crystals": len(everything), "curve": curve}


def explain_path(setting: Setting) -> dict[str, Any]:
    """Figure of merit and map correlation from random phases on; the true map where atoms are known."""
    subject, options = setting.subject, setting.search
    if subject.structure is None:
        known, sphere = None, sphere_of(subject.problem)
    else:
        known = _known(setting, subject)
        sphere = known.sphere
    device = next(setting.model.prior.parameters()).device
    schedule = Schedule(options.iterations)
    path, tried = follow(
        setting.model.prior,
        sphere.to(device),
        None if known is None else known.f_true,
        schedule,
        options.starts,
        options.batch,
        options.seed,
        lambda what: setting.say(f"{setting.model.name}: {what}"),
    )
    columns = {name: path.column(name) for name in ("iteration", "r", "map_cc", "agreement")}
    level = np.array([schedule.level((i - 1) / schedule.iterations) for i in columns["iteration"]])
    write_csv(setting.out / "path.csv", columns | {"level_told": level})
    draw_path(setting.out / "path.png", path, level, None if known is None else known.f_true)
    knows = known is not None
    return {
        "solved": path.is_solved if knows else None,
        "start": path.start,
        "starts_tried": tried,
        "iterations": path.moments[-1].iteration,
        "r_lowest": columns["r"].min(),
        "r_last": columns["r"][-1],
        "map_cc_highest": columns["map_cc"].max() if knows else None,
        "map_cc_last": columns["map_cc"][-1] if knows else None,
    }


def _known(setting: Setting, subject: Subject) -> KnownMap:
    if subject.structure is None:
        raise UserError(
            f"{subject.name}: true phases are needed, and no file gave atoms; give --cif with the structure"
        )
    device: torch.device = next(setting.model.prior.parameters()).device
    return known_map(subject.problem, subject.structure, device)


def _numbers(step: Step) -> dict[str, float]:
    parts = {"before": step.before, "after": step.after, "beyond": step.beyond}
    return {f"{key}_{name}": getattr(q, key) for name, q in parts.items() for key in ("cc", "phase_error")}


def _mean(steps: tuple[Step, ...]) -> Step:
    """Of the same levels for several crystals."""

    def mean(part: str) -> Quality:
        found = [getattr(s, part) for s in steps]
        return Quality(float(np.mean([q.cc for q in found])), float(np.mean([q.phase_error for q in found])))

    return replace(steps[0], before=mean("before"), after=mean("after"), beyond=mean("beyond"))
