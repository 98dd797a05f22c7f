"""Markup of the HTML report: nothing from a file becomes markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xrdml.html_report.markup import Markup, data_block, number, page, table, tag


class Reader(HTMLParser):
    """Elements, attributes and text of a page, as a browser's tokenizer sees them."""

    def __init__(self):
        super().__init__()
        self.elements, self.text = [], []

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))

    def handle_data(self, data):
        self.text.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


@given(st.text(alphabet=st.characters(blacklist_characters="\r\0", blacklist_categories=["Cs"])))
def test_text_stays_text(text):
    reader = read(tag("p", text, title=text))
    assert reader.elements == [("p", {"title": text})]
    assert "".join(reader.text) == text


def test_markup_is_not_escaped_twice():
    assert tag("p", tag("b", "a & b"), None, ["<", Markup("<br>")]) == "<p><b>a &amp; b</b>&lt;<br></p>"


def test_attributes_that_are_not_wanted():
    assert tag("a", class_="x", hidden=True, title=None, open=False) == '<a class="x" hidden></a>'


@given(st.dictionaries(st.text(), st.text()))
def test_data_never_end_their_element(data):
    block = data_block("d", data)
    inside = re.fullmatch(r'<script type="application/json" id="d">(.*)</script>', block, re.DOTALL)[1]
    assert "<" not in inside
    assert json.loads(inside) == data


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (0.12345, ".3f", "0.123"),
        (-2, "g", "−2"),
        (None, "g", "–"),
        (float("nan"), ".2f", "–"),
        (True, "g", "–"),
        ("7", "g", "–"),
    ],
)
def test_numbers(value, form, text):
    assert number(value, form) == text


def test_rows_of_a_table():
    reader = read(table(["a", "b"], [("x", 1), ("<y>", 2)]))
    names = [name for name, _ in reader.elements]
    assert names.count("tr") == 3
    assert "<y>" in reader.text


def test_policy_allows_exactly_what_is_there():
    text = page("t", tag("p", "x"), script="let a = 1 < 2;")
    (policy,) = [a["content"] for _, a in read(text).elements if a.get("http-equiv")]
    script = re.search(r"<script>(.*)</script>", text, re.DOTALL)[1]
    style = re.search(r"<style>(.*)</style>", text, re.DOTALL)[1]
    for kind, content in (("script", script), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
