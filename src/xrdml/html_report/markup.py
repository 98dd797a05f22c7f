"""HTML from Python: text is escaped unless it is markup already, so that no file can smuggle any in."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

from xrdml import __version__

GENERATOR = '<meta name="generator" content="xrdml '
"""By this a file is known to be ours."""

NOTHING = "–"

LONG = 24
"""Characters from which on a cell of a table is text, to be wrapped, and no number."""

_VOID = {"meta", "img", "br"}


class Markup(str):
    """Text that is HTML already."""


def escaped(value: object) -> Markup:
    """A value as HTML text; markup stays as it is."""
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(str(value), quote=True))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """An element.

    Parameters
    ----------
    children
        Text or markup; None and nested sequences are taken apart.
    attributes
        ``class_`` and ``aria_label`` become ``class`` and ``aria-label``; None leaves one out.
    """
    given = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
    head = "".join(
        f" {key}" if value is True else f' {key}="{escaped(value)}"'
        for key, value in given.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Markup(f"<{name}{head}>")
    return Markup(f"<{name}{head}>{join(children)}</{name}>")


def join(children: Iterable[object]) -> Markup:
    """Text and markup, one after the other."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, list | tuple):
            parts.append(join(child))
        elif child is not None:
            parts.append(escaped(child))
    return Markup("".join(parts))


def number(value: object, form: str = "g") -> str:
    """A number as text; a dash for what is none, or is not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return NOTHING
    return format(value, form).replace("-", "−")


def table(head: Sequence[object], rows: Iterable[Sequence[object]], caption: str | None = None) -> Markup:
    """A table that scrolls sideways on a narrow screen; the first column names its row."""
    body = [
        tag(
            "tr",
            tag("th", first, scope="row"),
            [
                tag("td", cell, class_="text" if isinstance(cell, str) and len(cell) > LONG else None)
                for cell in others
            ],
        )
        for first, *others in rows
    ]
    top = tag("thead", tag("tr", [tag("th", cell, scope="col") for cell in head])) if head else None
    # A region that scrolls must be within reach of the keyboard.
    return tag(
        "div",
        tag("table", tag("caption", caption) if caption else None, top, tag("tbody", body)),
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label=caption or "table",
    )


def facts(pairs: Iterable[tuple[object, object]]) -> Markup:
    """A list of names and values; pairs without a value are left out."""
    return tag(
        "dl",
        [tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs if value is not None],
        class_="facts",
    )


def details(summary: str, *content: object) -> Markup:
    """Something to be opened."""
    return tag("details", tag("summary", summary), content)


def section(title: str, *content: object) -> Markup:
    """A part of the page with its heading."""
    name = "".join(c if c.isalnum() else "-" for c in title.lower())
    return tag("section", tag("h2", title, id=name), content, aria_labelledby=name)


def data_block(name: str, value: Any) -> Markup:
    """Data for a script, as JSON that cannot end its element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    return tag("script", Markup(text), type="application/json", id=name)


def picture(png: bytes, text: str) -> Markup:
    """An image inside the page."""
    return tag("img", src=f"data:image/png;base64,{base64.b64encode(png).decode()}", alt=text)


def asset(name: str) -> str:
    """Text of a file in assets/."""
    return files("xrdml.html_report").joinpath("assets", name).read_text(encoding="utf-8")


def page(title: str, *content: object, script: str | None = None) -> str:
    """The whole file.

    A content security policy allows nothing but what is in it: our style and script by their hashes, and
    images as data. Even markup that got past the escaping could neither run nor call anywhere.
    """
    style = asset("report.css")
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}"
    if script:
        policy += f"; script-src {_hash(script)}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        Markup(f'{GENERATOR}{__version__}">'),
        tag("meta", http_equiv="Content-Security-Policy", content=Markup(policy)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Markup(style)),
    )
    body = tag("body", tag("main", content), tag("script", Markup(script)) if script else None)
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
