"""Models side by side on the same crystals: what `xrdml test` does."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from xrdml.crystal.files import writable_directory, write_text
from xrdml.crystal.problem import Predictor
from xrdml.errors import UserError
from xrdml.evaluate.known import KnownCrystal
from xrdml.evaluate.metrics import DESCRIPTIONS, score, summarise
from xrdml.evaluate.tensor_scores import DESCRIPTIONS as TENSOR_DESCRIPTIONS
from xrdml.evaluate.tensor_scores import tensor_scores

COLUMNS = (
    *("r_all", "r_ext", "cc_e", "skill", "r_ext_acentric", "r_ext_centric", "cc_e_acentric", "cc_e_centric"),
    *("r_ext_radial", "mse", "mse_tensor", "ssim"),
)


@dataclass
class TestData:
    path: str = MISSING
    subset: str = MISSING
    limit: int | None = None
    d_min_low: float = MISSING
    d_min_high: float = MISSING


@dataclass
class TestConfig:
    """Everything `xrdml test` takes; the comments are in configs/test.yaml."""

    models: list[str] = MISSING
    data: TestData = field(default_factory=TestData)
    out: str = MISSING


@dataclass
class Comparison:
    """Scores of several models.

    Attributes
    ----------
    scores
        {model: {crystal: score}}, see :func:`xrdml.evaluate.metrics.score`.
    refused
        {model: {crystal: why}}: crystals that a model cannot take.
    """

    scores: dict[str, dict[str, dict[str, Any]]]
    refused: dict[str, dict[str, str]]

    @property
    def common(self) -> list[str]:
        """Crystals that every model took; the summary is over these, so that it compares like with like."""
        sets = [set(s) for s in self.scores.values()]
        return [name for name in next(iter(self.scores.values())) if all(name in s for s in sets)]

    def summary(self) -> dict[str, dict[str, dict[str, Any]]]:
        """{model: {metric: {mean, low, high, n}}} over the common crystals."""
        return {model: summarise([s[name] for name in self.common]) for model, s in self.scores.items()}

    def table(self) -> list[str]:
        """Lines of text: one model a row, means with 95 % intervals for the headline metrics."""
        head = f"{'model':<14}{'n':>6}" + "".join(f"{c:>24}" for c in COLUMNS[:4])
        lines = [head, "-" * len(head)]
        for model, metrics in self.summary().items():
            cells = "".join(
                f"{m['mean']:>9.3f} [{m['low']:.3f}, {m['high']:.3f}]".rjust(24)
                for m in (metrics.get(c, _NOTHING) for c in COLUMNS[:4])
            )
            lines.append(f"{model:<14}{len(self.common):>6}{cells}")
        radial = next(iter(self.summary().values())).get("r_ext_radial", _NOTHING)
        lines.append(f"R_ext of the true shell medians: {radial['mean']:.3f}")
        for model, refused in self.refused.items():
            if refused:
                why = next(iter(refused.values()))
                lines.append(f"{model}: {len(refused)} crystals left out of all rows, e.g. {why}")
        return lines

    def write(self, out: Path, description: dict[str, Any]) -> list[Path]:
        """Write metrics.json and per_crystal.csv into a folder."""
        writable_directory(out)
        content = {
            **description,
            "metrics": DESCRIPTIONS | TENSOR_DESCRIPTIONS,
            "n": len(self.common),
            "summary": self.summary(),
        }
        content["refused"] = {model: len(r) for model, r in self.refused.items()}
        write_text(out / "metrics.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        write_text(out / "per_crystal.csv", self.csv())
        return [out / "metrics.json", out / "per_crystal.csv"]

    def csv(self) -> str:
        """One line for each model and crystal."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        keys = ("n_measured", "n_missing", "n_centric", *COLUMNS)
        table.writerow(["model", "crystal", *keys])
        for model, scores in self.scores.items():
            for name, s in scores.items():
                table.writerow([model, name, *(s.get(k, "") for k in keys)])
        return text.getvalue()


_NOTHING = {"mean": float("nan"), "low": float("nan"), "high": float("nan")}


def compare(
    predictors: Mapping[str, Predictor], crystals: Iterable[KnownCrystal], before: Comparison | None = None
) -> Comparison:
    """Score every model on every crystal that it can take, under the names given.

    Parameters
    ----------
    before
        Scores of an earlier run, which are taken over.

    Raises
    ------
    UserError
        No crystal was taken by all models.
    """
    result = Comparison({name: {} for name in predictors}, {name: {} for name in predictors})
    for crystal in crystals:
        if len(crystal.problem.missing) == 0:
            continue
        for name, predictor in predictors.items():
            if before and crystal.name in (found := before.scores.get(name, {})):
                result.scores[name][crystal.name] = found[crystal.name]
                continue
            if before and crystal.name in (why := before.refused.get(name, {})):
                result.refused[name][crystal.name] = why[crystal.name]
                continue
            try:
                prediction = predictor.predict([crystal.problem])[0]
            except UserError as error:
                result.refused[name][crystal.name] = str(error)
                continue
            task = (crystal.problem, crystal.f_true, prediction.f)
            result.scores[name][crystal.name] = score(*task) | tensor_scores(*task)
    if not result.common:
        reasons = [why for refused in result.refused.values() for why in refused.values()]
        raise UserError(
            f"no crystal was taken by all models; {reasons[0] if reasons else 'all are too small'}"
        )
    return result


def counted(crystals: Iterable[KnownCrystal], total: int) -> Iterator[KnownCrystal]:
    """Pass crystals on and show how far it is."""
    from rich.progress import track

    return iter(track(crystals, "measuring", total=total, transient=True))
