"""Solved or not, in words, with the numbers that say so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from xrdml.html_report.markup import NOTHING, Markup, number, table, tag


@dataclass(frozen=True)
class Verdict:
    """What stands at the top of the page.

    Attributes
    ----------
    badge, sentence
        In two or three words, and in a sentence or two.
    tone
        good, bad or note: its colour.
    """

    badge: str
    sentence: str
    tone: str


def judge(content: dict[str, Any], search: dict[str, Any], command: str) -> Verdict:
    """The verdict of a report.

    Parameters
    ----------
    content, search
        report.json, and the part of it that tells of the search: `model` of infer, all of solve.
    """
    counts = content["counts"]
    predicted, d_min = number(counts.get("predicted")), number(content["resolution"].get("d_min"), ".2f")
    atoms, r1 = number(search.get("atoms")), number(search.get("r1"), ".3f")
    fill = ""
    if command == "infer":
        fill = f" The {predicted} reflections that were missing to {d_min} Å come from "
        fill += str(search.get("amplitudes") or search.get("name")) + "."
    if "solved" in search:
        if search["solved"]:
            by = "SHELXT" if content.get("engine") == "shelxt" else "The search"
            shown = f"{atoms} atoms" if atoms != "–" else "Its atoms"
            return Verdict(
                "Solved",
                f"{by} solved the crystal. {shown} explain the measured data, R1 {r1}.{fill}",
                "good",
            )
        if fill:
            poor = " Such amplitudes say little about the structure: do not look for atoms in them."
        else:
            poor = " The files hold the best attempt, which is most likely wrong."
        return Verdict("Not solved", f"The crystal was not solved.{fill}{poor}", "bad")
    if command == "infer" and search.get("name") is None:
        return Verdict(
            "Nothing was missing", f"Every reflection to {d_min} Å was measured; no model was asked.", "note"
        )
    return Verdict(
        f"Filled by {search.get('name')}", f"No attempt was made to solve the crystal.{fill}", "note"
    )


def reasons(content: dict[str, Any], search: dict[str, Any], verdict: Verdict) -> Iterator[Markup]:
    """The criteria, each with its value and limit."""
    judged = search.get("verdict")
    shelxt = content.get("shelxt")
    if isinstance(judged, dict):
        yield from _criteria(judged)
    elif isinstance(shelxt, dict):
        yield tag(
            "p",
            "SHELXT's atoms count as a solution when they explain the measured |F|, by R1 over these alone.",
        )
        rows = [_shelxt_row(name, found) for name, found in shelxt.items()]
        yield table(["Data", "R1, measured", "R1", "R(weak)", "α", "Space group"], rows)
    elif "solved" not in search:
        yield tag("p", verdict.sentence)
    fallback = search.get("fallback")
    if isinstance(fallback, dict):
        refused = fallback.get("refused")
        yield tag("p", f"What fills instead: {fallback.get('chosen')} ({fallback.get('reason')}).")
        if isinstance(refused, dict) and refused:
            yield tag("ul", [tag("li", f"{name} could not: {why}") for name, why in refused.items()])
    yield from _other_figures(search)


def _shelxt_row(name: str, found: Any) -> tuple[object, ...]:
    if not isinstance(found, dict):
        return (name, "no solution", NOTHING, NOTHING, NOTHING, NOTHING)
    values = (number(found.get(key), ".3f") for key in ("r1_measured", "r1", "r_weak", "alpha"))
    return (name, *values, found.get("space_group"))


def _criteria(judged: dict[str, Any]) -> Iterator[Markup]:
    agreement, above = judged.get("agreement"), judged.get("agreement_above")
    r, below = judged.get("r"), judged.get("r_below")
    rows: list[tuple[object, ...]] = []
    if agreement is not None:
        rows.append(
            (
                "Map agrees with its symmetry mates",
                number(agreement, ".3f"),
                f"> {number(above)}",
                _mark(agreement, ">", above),
            )
        )
    rows.append(
        (
            "R1 + R1 of reflections left out, corrected",
            number(r, ".3f"),
            f"< {number(below)}",
            _mark(r, "<", below),
        )
    )
    yield table(["Criterion", "Value", "Solved if", "Met"], rows)
    n, free, parameters = (judged.get(k) for k in ("n_reflections", "n_free", "n_parameters"))
    yield tag(
        "p",
        "The iteration does not know the space group, so agreement with it is evidence. "
        f"{number(free)} measured reflections took no part in phasing, map, atoms and refinement until the "
        f"verdict. The sum of both R is multiplied by √(n / (n − p)), n = {number(n)} reflections and "
        f"p = {number(parameters)} parameters: with few reflections a parameter, a low R proves nothing.",
    )
    if agreement is None:
        yield tag("p", "The space group has no operation that the map could agree with.")
    if r is None:
        yield tag("p", "There are no more reflections than parameters, or no atoms: nothing can be proved.")


def _mark(value: Any, relation: str, limit: Any) -> str:
    if not isinstance(value, int | float) or not isinstance(limit, int | float):
        return "✗ no"
    return "✓ yes" if (value > limit if relation == ">" else value < limit) else "✗ no"


def _other_figures(search: dict[str, Any]) -> Iterator[Markup]:
    names = {
        "r1": "R1, atoms against all measured |F|",
        "r1_free": "R1, reflections left out",
        "r_known": "R of the map, reflections in the iteration",
        "r_free": "R of the map, reflections left out",
    }
    rows = [(text, number(search[key], ".3f")) for key, text in names.items() if search.get(key) is not None]
    if rows:
        yield table(["Figure of merit", "Value"], rows)
