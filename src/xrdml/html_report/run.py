"""The page of a training run: curves, metrics, speed, configuration."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from xrdml.crystal.files import read_text
from xrdml.errors import UserError
from xrdml.html_report.charts import Series, line_chart
from xrdml.html_report.markup import NOTHING, Markup, details, facts, number, page, section, table, tag

SPEED = "speed/crystals_per_s"
STAGES = {"train": "training", "val": "validation", "test": "test"}
HIGHER_IS_BETTER = ("cc", "ssim", "crystals_per_s")
_PER_STEP = {"epoch", "step"}

Curve = list[tuple[float, float]]


@dataclass(frozen=True)
class Log:
    """What the starts of a run wrote down.

    Attributes
    ----------
    curves
        (step, value) of each logged name, by rising step.
    starts
        Number of times that the run was begun or gone on with.
    epochs
        Last epoch that was logged, counted from 1; 0 for none.
    """

    curves: dict[str, Curve]
    starts: int
    epochs: int


def run_page(folder: Path) -> str:
    """The whole page of a run."""
    text = read_text(folder / "config.yaml")
    config = _config(folder / "config.yaml")
    log = read_logs(folder)
    name = config.get("model", {}).get("name") or "network"
    return page(
        f"{name}: training run {folder.name}",
        _header(folder, config, log, str(name)),
        section("Learning curves", *_curves(log)),
        section("Metrics", _metrics(log)) if log.curves else None,
        section("Speed", *_speed(log)),
        section("Configuration", *_configuration(config, text)),
        section("Files", _files(folder)),
        _footer(folder),
    )


def read_logs(folder: Path) -> Log:
    """All metrics.csv of a run, one after the other: a start that goes on replaces what it repeats.

    Raises
    ------
    UserError
        A file that is no log of Lightning's.
    """
    rows: dict[str, dict[float, float]] = {}
    epochs = 0
    paths = sorted(folder.glob("logs/start_*/metrics.csv"), key=_start)
    for path in paths:
        entries = list(_entries(path))
        if entries:
            first = min(step for step, _, _ in entries)
            rows = {name: {s: v for s, v in curve.items() if s < first} for name, curve in rows.items()}
        for step, epoch, values in entries:
            epochs = max(epochs, epoch + 1)
            for name, value in values.items():
                rows.setdefault(name, {})[step] = value
    return Log(
        {name: sorted(curve.items()) for name, curve in sorted(rows.items()) if curve}, len(paths), epochs
    )


def _start(path: Path) -> int:
    number_ = path.parent.name.removeprefix("start_")
    return int(number_) if number_.isdigit() else 0


def _entries(path: Path) -> Iterator[tuple[float, int, dict[str, float]]]:
    try:
        text = read_text(path)
    except UserError:
        return  # nothing was logged before the run ended
    for line, row in enumerate(csv.DictReader(io.StringIO(text)), 2):
        try:
            step = float(row["step"])
            epoch = int(float(row.get("epoch") or 0))
            values = {k: float(v) for k, v in row.items() if k and k not in _PER_STEP and v}
        except (KeyError, ValueError, TypeError, OverflowError):
            raise UserError(
                "is no log of a training run; remove it, or repair this line", path=path, line=line
            ) from None
        yield step, epoch, {k: v for k, v in values.items() if math.isfinite(v)}


def _config(path: Path) -> dict[str, Any]:
    from omegaconf import OmegaConf

    try:
        plain = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except Exception as error:
        # The YAML reader raises a dozen types for a damaged file.
        raise UserError(f"is no valid YAML ({type(error).__name__})", path=path) from None
    if not isinstance(plain, dict) or not isinstance(plain.get("model"), dict):
        raise UserError("is no configuration of a training run ('model' is missing)", path=path)
    return {str(key): value for key, value in plain.items()}


def _header(folder: Path, config: dict[str, Any], log: Log, name: str) -> Markup:
    steps = max((curve[-1][0] for curve in log.curves.values()), default=None)
    planned = _section(config, "trainer").get("max_epochs")
    val = next((key for key in ("val/R_ext", "val/loss") if key in log.curves), None)
    tiles = [
        (
            "epochs" if not isinstance(planned, int) or planned < 0 else f"of {planned} epochs",
            number(log.epochs or None),
        ),
        ("steps", number(None if steps is None else int(steps) + 1)),
        (f"best {val}", number(_best(val, log.curves[val])[1], ".4g") if val else NOTHING),
        ("crystals/s, median", number(_median_speed(log), ".3g")),
    ]
    shown = [
        tag("div", tag("b", value), tag("span", label), class_="tile")
        for label, value in tiles
        if value != NOTHING
    ]
    best = (folder / "best.ckpt").is_file()
    state = "Has a best checkpoint" if best else "No checkpoint was kept as best yet"
    return tag(
        "header",
        tag("p", "xrdml train", class_="kind"),
        tag("h1", f"{name}: {folder.resolve().name}"),
        tag("span", state, class_=f"badge {'good' if best else 'note'}"),
        tag("div", shown, class_="tiles"),
    )


def _curves(log: Log) -> Iterator[Markup]:
    groups: dict[str, list[str]] = {}
    for name in log.curves:
        if name != SPEED:
            groups.setdefault(name.partition("/")[2] or name, []).append(name)
    if not groups:
        yield tag("p", "Nothing was logged. Train with logger=files to have curves.")
        return
    charts = []
    for metric, names in sorted(groups.items(), key=lambda item: ("loss" not in item[0], item[0])):
        series = [Series(_stage(name), log.curves[name]) for name in sorted(names, key=_order)]
        scale = ", logarithmic" if metric == "loss" else ""
        charts.append(line_chart(f"{metric}{scale}", "step", series, log=metric == "loss"))
    yield tag("div", charts, class_="pair")


def _order(name: str) -> int:
    stage = name.partition("/")[0]
    return list(STAGES).index(stage) if stage in STAGES else len(STAGES)


def _stage(name: str) -> str:
    stage = name.partition("/")[0]
    return STAGES.get(stage, stage)


def _metrics(log: Log) -> Markup:
    rows = []
    for name, curve in log.curves.items():
        step, best = _best(name, curve)
        rows.append(
            (
                name,
                *(number(v, ".4g") for v in (curve[0][1], best)),
                number(step),
                number(curve[-1][1], ".4g"),
            )
        )
    return table(
        ["Name", "First", "Best", "at step", "Last"],
        rows,
        "Logged values; training ones are of single batches",
    )


def _best(name: str, curve: Curve) -> tuple[float, float]:
    high = any(word in name.lower() for word in HIGHER_IS_BETTER)
    return (max if high else min)(curve, key=lambda point: point[1])


def _median_speed(log: Log) -> float | None:
    return median(y for _, y in log.curves[SPEED]) if SPEED in log.curves else None


def _speed(log: Log) -> Iterator[Markup]:
    if SPEED not in log.curves:
        yield tag("p", "The speed was not logged.")
        return
    yield tag("p", "Crystals trained on in a second, over all processes, validation left out.")
    yield tag(
        "div",
        line_chart("Crystals a second", "step", [Series("crystals/s", log.curves[SPEED])], low=0),
        class_="pair",
    )


def _section(config: dict[str, Any], name: str) -> dict[str, Any]:
    value = config.get(name)
    return value if isinstance(value, dict) else {}


def _configuration(config: dict[str, Any], text: str) -> Iterator[Markup]:
    alone = {k: v for k, v in config.items() if not isinstance(v, dict)}
    groups = {"run": alone, **{k: v for k, v in config.items() if isinstance(v, dict) and k != "run"}}
    blocks = [
        tag("div", tag("h3", name), facts((k, _value(v)) for k, v in flat(values)))
        for name, values in groups.items()
        if values
    ]
    yield tag("div", blocks, class_="pair")
    yield details("config.yaml", tag("pre", tag("code", text), tabindex="0"))


def flat(values: dict[Any, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Nested options by their dotted names."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _value(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, list):
        return ", ".join(_value(v) for v in value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _files(folder: Path) -> Markup:
    rows = []
    for name in ("config.yaml", "best.ckpt", "last.ckpt"):
        path = folder / name
        if path.is_file():
            about = path.stat()
            when = datetime.fromtimestamp(about.st_mtime, UTC)
            rows.append((tag("code", name), f"{about.st_size / 1e6:.2f} MB", f"{when:%Y-%m-%d %H:%M} UTC"))
    return table(["File", "Size", "Written"], rows)


def _footer(folder: Path) -> Markup:
    return tag("footer", f"{folder.resolve()}. Go on with: xrdml train … run.dir={folder} ckpt=last")
