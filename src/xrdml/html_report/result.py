"""The page of one crystal that `infer` or `solve` worked on."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xrdml.crystal.cif import read_structure
from xrdml.crystal.shelx_atoms import read_res
from xrdml.crystal.structure import Structure
from xrdml.errors import UserError
from xrdml.html_report.charts import Series, line_chart
from xrdml.html_report.markup import (
    Markup,
    asset,
    details,
    facts,
    number,
    page,
    picture,
    section,
    table,
    tag,
)
from xrdml.html_report.molecule import SCRIPT, molecule_view, read_picture
from xrdml.html_report.shells import predicted_errors, shell_chart, shell_table
from xrdml.html_report.verdict import Verdict, judge, reasons

log = logging.getLogger("xrdml")


class Result:
    """A report.json and the folder it lies in; whatever is missing or of another type reads as None."""

    def __init__(self, folder: Path, content: dict[str, Any]):
        self.folder, self.content = folder, content
        model = content.get("model")
        self.command = "infer" if isinstance(model, dict) else "solve"
        self.search: dict[str, Any] = model if isinstance(model, dict) else content

    def get(self, *keys: str) -> Any:
        """A value by its path."""
        value: Any = self.content
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def file(self, kind: str) -> Path | None:
        """A file of the result, if it lies in the folder itself."""
        name = self.get("files", kind)
        if not isinstance(name, str) or Path(name).name != name:
            return None
        path = self.folder / name
        return path if path.is_file() and not path.is_symlink() else None

    @property
    def title(self) -> str:
        return str(self.get("title") or Path(str(self.get("input") or self.folder.name)).stem)


def result_page(folder: Path, content: dict[str, Any]) -> str:
    """The whole page of a result."""
    result = Result(folder, content)
    verdict = judge(result.content, result.search, result.command)
    structure = _structure(result)
    molecule = None if structure is None else molecule_view(structure, _picture(result, "picture"))
    drawn = molecule is not None and 'id="molecule-view"' in molecule
    return page(
        f"{result.title}: {verdict.badge}",
        _header(result, verdict),
        _warnings(result.get("warnings")),
        section("Verdict, and why", *reasons(result.content, result.search, verdict)),
        section("The molecule", _best_attempt(verdict), molecule) if molecule else None,
        section("What was measured", *_measured(result)),
        section("What was predicted", *_predicted(result)) if result.command == "infer" else None,
        section("Compared with what is known", *compared) if (compared := _compared(result)) else None,
        section("The search", *searched) if (searched := _search(result)) else None,
        section("Files, versions, settings", *_provenance(result)),
        _footer(folder / "report.json"),
        script=asset(SCRIPT) if drawn else None,
    )


def _header(result: Result, verdict: Verdict) -> Markup:
    formula = _formula(result.get("contents"))
    kind = f"xrdml {result.command} · {result.get('space_group')} · {formula}"
    tiles = [
        ("R1 of the atoms", number(result.search.get("r1"), ".3f")),
        ("R1 of reflections left out", number(result.search.get("r1_free"), ".3f")),
        ("atoms built", number(result.search.get("atoms"))),
        ("reflections measured", number(result.get("counts", "measured"))),
        ("reflections predicted", number(result.get("counts", "predicted"))),
        ("resolution of the data / Å", number(result.get("resolution", "d_measured"), ".2f")),
        ("filled to / Å", number(result.get("resolution", "d_min"), ".2f")),
    ]
    shown = [
        tag("div", tag("b", value), tag("span", name), class_="tile") for name, value in tiles if value != "–"
    ]
    return tag(
        "header",
        tag("p", kind, class_="kind"),
        tag("h1", result.title),
        tag("span", verdict.badge, class_=f"badge {verdict.tone}"),
        tag("p", verdict.sentence, class_="lead"),
        tag("div", shown, class_="tiles"),
    )


def _formula(contents: object) -> str:
    if not isinstance(contents, dict):
        return "formula unknown"
    return " ".join(f"{element}{number(n)}" for element, n in contents.items()) + " in the cell"


def _warnings(warnings: object) -> Markup | None:
    if not isinstance(warnings, list) or not warnings:
        return None
    items = tag("ul", [tag("li", warning) for warning in warnings])
    return tag("div", tag("strong", "To be looked at first"), items, class_="warnings", role="note")


def _best_attempt(verdict: Verdict) -> Markup | None:
    if verdict.tone != "bad":
        return None
    return tag("p", "NOT SOLVED: this is the best attempt, and most likely wrong.", class_="warnings")


def _measured(result: Result) -> Iterator[Markup]:
    cell = result.get("cell")
    axes = ", ".join(number(x, ".4f") for x in cell[:3]) + " Å"
    angles = ", ".join(number(x, ".3f") for x in cell[3:]) + "°"
    cut = result.get("resolution", "cut")
    r_int = result.get("merging", "r_int")
    completeness = result.get("merging", "completeness")
    left = facts(
        [
            ("Space group", result.get("space_group")),
            ("a, b, c", axes),
            ("α, β, γ", angles),
            ("Volume", f"{number(result.get('volume'), '.1f')} Å³"),
            ("Contents", _formula(result.get("contents"))),
        ]
    )
    right = facts(
        [
            ("Input", tag("code", str(result.get("input")))),
            ("Observations read", number(result.get("counts", "observations"))),
            ("Unique reflections", number(result.get("counts", "measured"))),
            ("Resolution", f"{number(result.get('resolution', 'd_measured'), '.3f')} Å"),
            ("Cut by the user at", None if cut is None else f"{number(cut)} Å"),
            ("Completeness to there", number(completeness, ".1%")),
            (
                "R(int), R(sigma)",
                f"{number(r_int, '.3f')}, {number(result.get('merging', 'r_sigma'), '.3f')}",
            ),
        ]
    )
    yield tag("div", left, right, class_="pair")
    shells = result.get("shells")
    if isinstance(shells, list) and shells:
        predicted = "predicted" if result.command == "infer" else "missing"
        errors = predicted_errors(result.file("hkl"), cell, result.get("resolution", "d_measured"), shells)
        yield tag(
            "div",
            shell_chart(shells, predicted),
            tag("div", shell_table(shells, predicted, errors)),
            class_="pair",
        )
    else:
        yield tag("p", "This result was written by an earlier version, which counted no shells.")


def _predicted(result: Result) -> Iterator[Markup]:
    counts = result.get("counts") or {}
    by = result.search.get("amplitudes") or result.search.get("name")
    yield facts(
        [
            ("By", by or "nothing: no reflection was missing"),
            ("Predicted", number(counts.get("predicted"))),
            ("Systematic absences, set to 0", number(counts.get("absent"))),
            ("Written in all", number(counts.get("written"))),
            ("Scale against the input", number(result.get("intensity_scale"), ".6g")),
        ]
    )
    planes, wilson = _picture(result, "planes"), _picture(result, "wilson")
    if planes:
        yield tag(
            "figure",
            picture(
                planes, "Three central planes of reciprocal space: measured, and measured with predicted"
            ),
            tag("figcaption", "Central planes of reciprocal space; grey: nothing is known."),
        )
    if wilson:
        yield tag(
            "figure",
            picture(
                wilson, "Wilson plot: logarithm of the mean intensity over the square of the form factors"
            ),
            tag("figcaption", "Wilson plot: measured and predicted intensities should follow one line."),
        )


def _compared(result: Result) -> list[Markup]:
    """With what --cut left out, or with a reference structure."""
    found: list[Markup] = []
    reference, comparison = result.get("reference"), result.get("comparison")
    described = result.get("metrics") if isinstance(result.get("metrics"), dict) else {}
    if isinstance(reference, dict):
        share, n = reference.get("atoms_matched"), reference.get("n_atoms")
        found.append(
            facts(
                [
                    ("Reference", tag("code", str(reference.get("file")))),
                    ("Correlation of the maps", number(reference.get("map_cc"), ".3f")),
                    ("Atoms within 0.5 Å", f"{number(share, '.0%')} of {number(n)}"),
                    ("rmsd of these", f"{number(reference.get('rmsd'), '.3f')} Å"),
                ]
            )
        )
    if isinstance(comparison, dict) and comparison.get("r_ext") is not None:
        rows = [
            (name, number(comparison.get(name), ".2e" if name == "mse" else ".3f"), text)
            for name, text in described.items()
            if name in comparison
        ]
        n = number(comparison.get("n_missing"))
        found.append(tag("p", f"{n} measured reflections were held back (--cut)."))
        metrics = table(["Metric", "Value", "Meaning"], rows, "Agreement on what was held back")
        found.append(tag("div", metrics, _comparison_chart(comparison), class_="pair"))
    return found


def _comparison_chart(comparison: dict[str, Any]) -> Markup:
    shells = [s for s in comparison.get("shells") or [] if isinstance(s, dict)]
    points = {
        key: [(s["d_min"] ** -2, s[key]) for s in shells if isinstance(s.get(key), float) and s.get("d_min")]
        for key in ("r", "cc_e")
    }
    ticks = [(s["d_min"] ** -2, number(s["d_min"], ".2f")) for s in shells if s.get("d_min")]
    return line_chart(
        "Reflections held back: R and CC|E| by resolution",
        "d / Å at the outer end of the shell",
        [Series("R", points["r"]), Series("CC|E|", points["cc_e"])],
        low=min([0.0, *(y for _, y in points["cc_e"])]),
        high=1.0,
        ticks=ticks,
    )


def _search(result: Result) -> list[Markup]:
    search = result.search
    history = search.get("history")
    found = []
    if search.get("starts") is not None:
        found.append(
            facts(
                [
                    ("Starts tried", number(search.get("starts"))),
                    ("Time", f"{number(search.get('seconds_solving', search.get('seconds')), '.1f')} s"),
                    ("R, reflections in the iteration", number(search.get("r_known"), ".3f")),
                    ("R, reflections left out", number(search.get("r_free"), ".3f")),
                ]
            )
        )
    if isinstance(history, list) and history:
        points = [(float(i), float(r)) for i, r in enumerate(history, 1) if isinstance(r, int | float)]
        found.append(
            line_chart(
                "Figure of merit of the best start",
                "iteration",
                [Series("R", points)],
                caption="R between measured |F| and those of the drawn density. It falls when a map comes "
                "together; atoms are built, and the search may end, at any dip.",
            )
        )
    return found


def _provenance(result: Result) -> Iterator[Markup]:
    files, versions = result.get("files"), result.get("versions")
    weights, options = result.search.get("weights"), result.search.get("options")
    if isinstance(files, dict):
        yield facts([("Folder", tag("code", str(result.get("directory"))))])
        yield table(["File", "Name"], [(k, tag("code", str(v))) for k, v in files.items()])
    for title, values in (("Settings", options), ("Weights", weights), ("Versions", versions)):
        if isinstance(values, dict):
            yield tag("h3", title)
            yield facts(
                (str(k), "no limit" if v is None and k == "seconds" else str(v)) for k, v in values.items()
            )
    text = json.dumps(result.content, indent=1, ensure_ascii=False)
    yield details("report.json", tag("pre", tag("code", text), tabindex="0"))


def _footer(report: Path) -> Markup:
    written = datetime.fromtimestamp(report.stat().st_mtime, UTC)
    return tag(
        "footer", f"Result of {written:%Y-%m-%d %H:%M} UTC. What every number means: docs/files.md of xrdml."
    )


def _structure(result: Result) -> Structure | None:
    """The atoms of the .res, else of the .cif; None where there are none that can be read."""
    for kind, read in (("res", read_res), ("cif", read_structure)):
        path = result.file(kind)
        if path is None:
            continue
        try:
            return read(path)
        except UserError as error:
            log.warning("%s; the molecule is left out", error)
    return None


def _picture(result: Result, kind: str) -> bytes | None:
    path = result.file(kind)
    return None if path is None else read_picture(path)
