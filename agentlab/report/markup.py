"""HTML as values: text is escaped when it becomes part of an element, so that no name or message can break a page."""

from __future__ import annotations

import html
import json
import math
from functools import cache
from importlib.resources import files
from typing import Any


class Html(str):
    """Text that is HTML already."""


def tag(name: str, *children: Any, **attributes: Any) -> Html:
    """The element `name`; children are escaped unless they are `Html`; `None` children and attributes are left out.

    Attribute names lose a trailing `_`, and other `_` become `-`: `tag("td", 3, class_="number", aria_label="three")`.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{written}>{join(*children)}</{name}>")


def join(*parts: Any) -> Html:
    """The parts one after the other, each escaped unless it is `Html`."""
    return Html(
        "".join(part if isinstance(part, Html) else html.escape(str(part)) for part in parts if part is not None)
    )


def table(head: list[str], rows: list[list[Any]], caption: str, numeric: frozenset[int] = frozenset()) -> Html:
    """A table whose first column heads its rows, `numeric` ones aligned right; it scrolls in itself when too wide."""
    align = dict.fromkeys(numeric, "number")
    header = tag("tr", *(tag("th", name, scope="col", class_=align.get(i)) for i, name in enumerate(head)))
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(tag("td", cell, class_=align.get(i)) for i, cell in enumerate(row[1:], 1)),
        )
        for row in rows
    ]
    whole = tag("table", tag("caption", caption), tag("thead", header), tag("tbody", *body))
    return tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def definitions(pairs: list[tuple[str, Any]]) -> Html:
    """A list of names and what each stands for."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs))


def json_script(element_id: str, content: Any) -> Html:
    """`content` as JSON inside a page, where a script reads it."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return tag("script", Html(text), type="application/json", id=element_id)


@cache
def asset(name: str) -> Html:
    """A file that ships with the pages."""
    return Html((files("agentlab.report") / "assets" / name).read_text(encoding="utf-8"))


def number(value: float | None, decimals: int = 2) -> str:
    """A number for people: 12,345, -9.87, 0.5; a dash when there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    if abs(value) >= 1000:
        decimals = 0
    rounded = f"{value:,.{decimals}f}"
    text = rounded.rstrip("0").rstrip(".") if "." in rounded else rounded
    return text.replace("-", "−") if text.strip("-0.") else "0"


def counted(count: int, noun: str) -> str:
    """A number of things: 1 episode, 1,200 frames."""
    return f"{count:,} {noun}" + "s" * (count != 1)


def duration(seconds: float) -> str:
    """A time for people: 0.4 s, 12 s, 3 min 20 s, 1 h 05 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
