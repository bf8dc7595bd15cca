from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.report.markup import Html, duration, join, json_script, number, table, tag


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))


@given(st.text())
def test_no_text_or_attribute_breaks_out_of_its_element(text: str) -> None:
    element = tag("p", text, title=text)
    title = text.replace("\r\n", "\n").replace("\r", "\n")
    (name, attributes) = Tags(element).found[0]
    assert len(Tags(element).found) == 1
    assert name == "p"
    assert html.unescape(html.escape(title)) == title
    assert [key for key, _ in attributes] == ["title"]


def test_html_is_kept_and_none_left_out() -> None:
    assert tag("p", tag("b", "<"), None, title=None) == "<p><b>&lt;</b></p>"
    assert join(Html("<br>"), "<br>") == "<br>&lt;br&gt;"


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_in_a_page_reads_back_and_cannot_close_its_script(content: object) -> None:
    script = json_script("data", content)
    inside = re.fullmatch(r'<script type="application/json" id="data">(.*)</script>', script, re.DOTALL)
    assert inside
    assert "<" not in inside[1]
    assert json.loads(inside[1]) == content


def test_the_first_column_of_a_table_heads_its_rows() -> None:
    whole = table(["Label", "Score"], [["ball", "0.9"]], "Scores", frozenset({1}))
    assert '<th scope="row">ball</th><td class="number">0.9</td>' in whole
    assert "<caption>Scores</caption>" in whole


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0.0, "0"),
        (-0.0001, "0"),
        (12345.6, "12,346"),
        (-9.87, "−9.87"),
        (0.5, "0.5"),
        (100.0, "100"),
    ],
)
def test_numbers_for_people(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (9.99, "10.0 s"), (12.2, "12 s"), (200, "3 min 20 s"), (3900, "1 h 05 min")],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
