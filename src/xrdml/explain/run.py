"""What `xrdml explain` does: every part for every model, once."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from xrdml import __version__
from xrdml.crystal.files import writable_directory
from xrdml.crystal.grid import HklGrid
from xrdml.errors import UserError
from xrdml.explain.output import write_json
from xrdml.explain.setting import PRIOR, TENSOR_NETWORKS, Explained, Say, Setting, explained
from xrdml.explain.subject import Subject, open_subjects
from xrdml.infer.choose import BASELINES
from xrdml.models.weights import weights_names
from xrdml.phasing.solve import SolveOptions

log = logging.getLogger("xrdml")

FORMAT = 1
ALL = "all"
INDEX = "explain.json"
READ_AHEAD = 20
"""Crystals looked at for each one that is wanted: most of a mixed folder may be of other Laue classes."""


@dataclass(frozen=True)
class Part:
    """One thing to explain.

    Attributes
    ----------
    kinds
        Models it applies to.
    figures
        Figure of the thesis: the picture that stands for it.
    many
        Whether it takes means over crystals.
    needs_atoms
        Models for which the atoms have to be known.
    """

    kinds: tuple[str, ...]
    figures: dict[str, str] = field(default_factory=dict)
    many: bool = True
    needs_atoms: tuple[str, ...] = ()


PARTS = {
    "attention": Part(("xrd_transformer",), {"3.1": "attention_links.png", "3.2": "attention_absences.png"}),
    "grad-cam": Part(("unet", "fft_unet"), {"3.3": "grad_cam.png"}),
    "sensitivity": Part((*TENSOR_NETWORKS, PRIOR), {"3.4": "sensitivity.png"}, needs_atoms=(PRIOR,)),
    "sections": Part(
        (*TENSOR_NETWORKS, PRIOR, *BASELINES), {"3.5": "planes.png", "3.6": "patterson.png"}, many=False
    ),
    "contraction": Part((PRIOR,), needs_atoms=(PRIOR,)),
    "path": Part((PRIOR,), many=False),
}


@dataclass(frozen=True)
class ExplainOptions:
    """What can be chosen; see `xrdml explain --help`.

    Attributes
    ----------
    part
        A key of `PARTS`, or `ALL`.
    crystal
        As :func:`xrdml.explain.subject.open_subjects` takes it.
    models
        Names or folders of weights, and baselines; empty for all that come with the project.
    entry
        Number of the crystal in a dataset or folder; None takes the first that a model can take.
    crystals
        How many of them means are taken over.
    """

    part: str
    crystal: dict[str, Any]
    out: Path
    models: tuple[str, ...] = ()
    entry: int | None = None
    crystals: int = 20
    subset: str = "all"
    d_min: float = 0.8
    grid: HklGrid | None = None
    search: SolveOptions = field(default_factory=SolveOptions)


def explain(options: ExplainOptions, say: Say = log.info) -> list[str]:
    """Make what is asked for under ``out/<model>/``; what was made before with the same input is left.

    Returns
    -------
    Lines that say what was found and where it is.

    Raises
    ------
    UserError
        Options that do not fit, input or weights that cannot be used, a place that cannot be written.
    """
    jobs = _jobs(options)
    limit = max((options.entry or 0) + 1, READ_AHEAD * options.crystals)
    subjects = open_subjects(options.crystal, options.subset, limit, options.d_min)
    writable_directory(options.out)
    lines: list[str] = []
    figures: dict[str, list[str]] = {}
    for model, name in jobs:
        part = PARTS[name]
        chosen = _choose(subjects, model, options, part)
        if options.part == ALL and model.kind in part.needs_atoms and chosen[0].structure is None:
            lines.append(f"{model.name}: {name} left out, since no file gave atoms")
            continue
        made = _make(name, model, chosen, options, say)
        lines += [f"{model.name}: {line}" for line in made]
        for number, picture in part.figures.items():
            if (options.out / model.name / picture).exists():
                figures.setdefault(number, []).append(f"{model.name}/{picture}")
    index = {"format": FORMAT, "thesis_figures": dict(sorted(figures.items()))}
    write_json(options.out / INDEX, index)
    return lines


def _jobs(options: ExplainOptions) -> list[tuple[Explained, str]]:
    if options.crystals < 1:
        raise UserError(f"--crystals {options.crystals}: give 1 or more")
    if options.entry is not None and options.entry < 0:
        raise UserError(f"--entry {options.entry}: give 0 or more")
    models = [explained(m, options.grid) for m in options.models or weights_names()]
    names = [m.name for m in models]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"--model {name} is given twice; results go to a folder of that name")
    parts = list(PARTS) if options.part == ALL else [options.part]
    jobs = [(m, p) for m in models for p in parts if m.kind in PARTS[p].kinds]
    if not jobs:
        kinds = ", ".join(PARTS[options.part].kinds) if options.part in PARTS else "trained network"
        given = ", ".join(names) or "nothing"
        raise UserError(f"{options.part} applies to {kinds}, and {given} is none of them: give --model")
    if options.models and options.part != ALL and len(jobs) < len(models):
        other = next(m for m in models if m.kind not in PARTS[options.part].kinds)
        raise UserError(
            f"{options.part} does not apply to {other.name}, which is a {other.kind}, but to "
            f"{', '.join(PARTS[options.part].kinds)}"
        )
    return jobs


def _choose(
    subjects: Sequence[Subject], model: Explained, options: ExplainOptions, part: Part
) -> list[Subject]:
    """The crystal to draw, and behind it the others for means."""
    if options.entry is not None and options.entry >= len(subjects):
        raise UserError(f"--entry {options.entry}: there are {len(subjects)} crystals, counted from 0")
    chosen = [] if options.entry is None else [subjects[options.entry]]
    if chosen or len(subjects) == 1:
        model.check(subjects[options.entry or 0])
    others = (i for i in range(len(subjects)) if i != options.entry)
    wanted = options.crystals if part.many else 1
    chosen += islice(_usable(subjects, others, model), max(0, wanted - len(chosen)))
    if not chosen:
        raise UserError(
            f"none of the first {len(subjects)} crystals suits {model.name}; give --entry to see why"
        )
    return chosen


def _usable(subjects: Sequence[Subject], numbers: Any, model: Explained) -> Any:
    for i in numbers:
        try:
            subject = subjects[i]
            model.check(subject)
        except UserError as error:
            log.info("left out: %s", error)
            continue
        yield subject


def _make(name: str, model: Explained, chosen: list[Subject], options: ExplainOptions, say: Say) -> list[str]:
    out = options.out / model.name
    path = out / f"{name}.json"
    origin = _origin(name, model, chosen, options)
    if _made_before(path, origin):
        return [f"{name} was made before: {path}"]
    writable_directory(out)
    started = time.perf_counter()
    numbers = _function(name, model)(Setting(model, chosen[0], chosen, out, options.search, say))
    content = {"format": FORMAT, "made_from": origin, "seconds": time.perf_counter() - started}
    write_json(path, {**content, **numbers})
    return [f"{name} of {chosen[0].name}: {path}"]


def _function(name: str, model: Explained) -> Callable[[Setting], dict[str, Any]]:
    if model.kind == PRIOR and name != "sections":
        from xrdml.explain import prior_parts

        return {
            "sensitivity": prior_parts.explain_prior_sensitivity,
            "contraction": prior_parts.explain_contraction,
            "path": prior_parts.explain_path,
        }[name]
    if name == "sections":
        from xrdml.explain.sections import explain_sections

        return explain_sections
    from xrdml.explain import tensor_parts

    return {
        "attention": tensor_parts.explain_attention,
        "grad-cam": tensor_parts.explain_grad_cam,
        "sensitivity": tensor_parts.explain_sensitivity,
    }[name]


def _origin(name: str, model: Explained, chosen: list[Subject], options: ExplainOptions) -> dict[str, Any]:
    """What a result depends on."""
    path = Path(options.crystal["input"]).resolve()
    return {
        "part": name,
        "weights": model.weights,
        "sha256": model.sha256,
        "input": str(path),
        "changed": int(path.stat().st_mtime),
        "crystals": [s.name for s in chosen],
        "d_limit": round(chosen[0].problem.d_limit, 4),
        "d_min": options.d_min,
        "grid": None if options.grid is None else str(options.grid),
        "search": [options.search.starts, options.search.iterations, options.search.seed],
        "version": __version__,
    }


def _made_before(path: Path, origin: dict[str, Any]) -> bool:
    try:
        return json.loads(path.read_text(encoding="utf-8")).get("made_from") == origin
    except (OSError, ValueError, AttributeError):
        return False
