"""The table of results: networks before and after fine-tuning, beside baselines and the thesis."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from xrdml.crystal.files import writable_directory, write_text
from xrdml.crystal.problem import Predictor
from xrdml.crystal.structure import Structure
from xrdml.crystal.symmetry import symmetry
from xrdml.data.structures import read_structures
from xrdml.errors import UserError
from xrdml.evaluate.compare import Comparison, compare, counted
from xrdml.evaluate.known import known_crystals
from xrdml.evaluate.metrics import DESCRIPTIONS
from xrdml.evaluate.shell_figure import shell_curves
from xrdml.evaluate.tensor_scores import DESCRIPTIONS as TENSOR_DESCRIPTIONS
from xrdml.evaluate.thesis import published_r
from xrdml.infer.choose import load_predictor
from xrdml.models.weights import read_config

log = logging.getLogger("xrdml")

STAGES = ("before", "after")
_HEAD = (
    "model",
    "fine-tuning",
    "steps",
    "n",
    "thesis R_all",
    "R_all",
    "R_ext",
    "CC\\|E\\|",
    "skill",
    "MSE·10³",
    "SSIM",
)
_METRICS = (("r_all", 1), ("r_ext", 1), ("cc_e", 1), ("skill", 1), ("mse_tensor", 1e3), ("ssim", 1))


@dataclass
class CrystalSet:
    name: str = MISSING
    path: str = MISSING
    subset: str = "all"
    kind: str = MISSING
    space_groups: list[str] | None = None


@dataclass
class Row:
    name: str = MISSING
    before: str | None = None
    after: str | None = None


@dataclass
class TableConfig:
    """Everything `xrdml test --table` takes; the comments are in configs/table.yaml."""

    work: str = MISSING
    sets: list[CrystalSet] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    baselines: list[str] = MISSING
    limit: int | None = None
    d_min_high: float = MISSING
    out: str = MISSING


@dataclass(frozen=True)
class Entry:
    """One line of the table: a label, its stage, the predictor, and how long that was trained."""

    label: str
    stage: str
    predictor: Predictor
    model: str
    steps: int | None = None
    sha256: str = ""

    @property
    def name(self) -> str:
        return f"{self.label} {self.stage}".strip()


def make_table(config: Any) -> list[Path]:
    """Measure everything and write results.md, results.json, and a CSV and a figure for each set.

    Networks are measured at the resolution that they were trained from (their `d_min_low`), each
    with the baselines at the same; only crystals that all rows of a section can take count.

    Raises
    ------
    UserError
        No weights, or sets and weights that cannot be read.
    """
    out = writable_directory(config.out)
    by_limit = _entries(config.rows)
    if not by_limit:
        raise UserError("rows name no weights; give rows=[{name: NAME, before: FOLDER, after: FOLDER}]")
    written: list[Path] = []
    text, content = [_INTRODUCTION], []
    for chosen in config.sets:
        name = chosen.name
        structures = chosen_structures(chosen, config.limit)
        for limit, entries in sorted(by_limit.items(), reverse=True):
            baselines = [Entry(b, "", load_predictor(b), b) for b in config.baselines]
            lines = [*entries, *baselines]
            crystals = known_crystals(structures, limit, config.d_min_high)
            predictors = {e.name: e.predictor for e in lines}
            done = _Scores(out / "scores", chosen, limit, config.d_min_high)
            comparison = compare(predictors, counted(crystals, len(structures)), done.read(entries))
            done.write(entries, comparison)
            stem = f"{name}_{limit:g}"
            text += _section(f"{name}: {limit:g} → {config.d_min_high:g} Å", chosen.kind, lines, comparison)
            content.append(
                {"set": name, "path": chosen.path, "d_min_low": limit, "n": len(comparison.common)}
                | {"models": comparison.summary(), "thesis_r_all": _thesis(lines, chosen.kind)}
                | {"refused": {model: len(r) for model, r in comparison.refused.items()}}
            )
            write_text(out / f"per_crystal_{stem}.csv", comparison.csv())
            shell_curves(out / f"shells_{stem}.png", comparison)
            written += [out / f"per_crystal_{stem}.csv", out / f"shells_{stem}.png"]
    described = {"metrics": DESCRIPTIONS | TENSOR_DESCRIPTIONS, "sections": content}
    write_text(out / "results.json", json.dumps(described, indent=2, ensure_ascii=False) + "\n")
    write_text(out / "results.md", "\n".join(text) + "\n")
    return [out / "results.md", out / "results.json", *written]


@dataclass(frozen=True)
class _Scores:
    """Scores of networks on a set, kept in files, so that a table that was stopped, or grows, goes on."""

    folder: Path
    chosen: CrystalSet
    d_min_low: float
    d_min_high: float

    def _file(self, entry: Entry) -> Path:
        path = Path(self.chosen.path)
        files = sorted(path.glob("*.cif")) if path.is_dir() else [path]
        crystals = [(str(file.resolve()), file.stat().st_mtime_ns) for file in files]
        task = (entry.sha256, crystals, self.chosen.subset, self.d_min_low, self.d_min_high)
        return self.folder / f"{hashlib.sha256(repr(task).encode()).hexdigest()[:24]}.json"

    def read(self, entries: Sequence[Entry]) -> Comparison:
        found = Comparison({}, {})
        for entry in entries:
            if (path := self._file(entry)).is_file():
                kept = json.loads(path.read_text(encoding="utf-8"))
                found.scores[entry.name], found.refused[entry.name] = kept["scores"], kept["refused"]
        return found

    def write(self, entries: Sequence[Entry], comparison: Comparison) -> None:
        self.folder.mkdir(exist_ok=True)
        for entry in entries:
            kept = self.read([entry])
            scores = kept.scores.get(entry.name, {}) | comparison.scores[entry.name]
            refused = kept.refused.get(entry.name, {}) | comparison.refused[entry.name]
            write_text(self._file(entry), json.dumps({"scores": scores, "refused": refused}))


def chosen_structures(chosen: CrystalSet, limit: int | None) -> list[tuple[str, Structure]]:
    """The first crystals of a set, of its space groups alone where it names some.

    Raises
    ------
    UserError
        There is none.
    """
    found = read_structures(Path(chosen.path), chosen.subset, None if chosen.space_groups else limit)
    if chosen.space_groups:
        wanted = {symmetry(name).name for name in chosen.space_groups}
        found = [item for item in found if item[1].symmetry.name in wanted][:limit]
        if not found:
            raise UserError(
                f"no crystal of {', '.join(sorted(wanted))}; give other space_groups", path=chosen.path
            )
    return found


def _entries(rows: Sequence[Row]) -> dict[float, list[Entry]]:
    """The networks by the resolution that they were trained from."""
    found: dict[float, list[Entry]] = {}
    for row in rows:
        for stage in STAGES:
            if (weights := getattr(row, stage)) is None:
                continue
            config = read_config(weights)
            steps = config.get("training", {}).get("steps")
            entry = Entry(
                row.name, stage, load_predictor(weights), config["model"]["name"], steps, config["sha256"]
            )
            found.setdefault(config["data"]["d_min_low"], []).append(entry)
    return found


def _thesis(lines: list[Entry], kind: str) -> dict[str, float]:
    """The thesis' R_all of the rows that are its networks, as they are called in configs/model."""
    known = {e.name: published_r(e.model, kind, e.stage) for e in lines if e.label == e.model}
    return {name: value for name, value in known.items() if value is not None}


def _section(title: str, kind: str, lines: list[Entry], comparison: Comparison) -> list[str]:
    """A Markdown table; means with 95 % intervals."""
    thesis, summary = _thesis(lines, kind), comparison.summary()
    out = ["", f"## {title}", "", f"| {' | '.join(_HEAD)} |", "|" + "---|" * len(_HEAD)]
    for e in lines:
        cells = []
        for metric, factor in _METRICS:
            m = {k: v * factor for k, v in summary[e.name][metric].items()}
            cells.append(f"{m['mean']:.3f} ({m['low']:.3f} to {m['high']:.3f})")
        quoted = f"{thesis[e.name]:.3f}" if e.name in thesis else ""
        trained = "" if e.steps is None else e.steps
        front = f"| {e.label} | {e.stage} | {trained} | {len(comparison.common)} | {quoted}"
        out.append(f"{front} | {' | '.join(cells)} |")
    for model, refused in comparison.refused.items():
        if refused:
            out += ["", f"{len(refused)} crystals are left out that {model} cannot take."]
    return out


_INTRODUCTION = """# Results

Made by `xrdml test --table`. Means over crystals with 95 % bootstrap intervals. R_all counts the
measured reflections, which are copied in, as the thesis does; R_ext and CC|E| are over the missing ones
alone; skill is 1 − R_ext / R_ext of the true shell medians. MSE and SSIM are over the whole tensor.
`results.json` says more."""
