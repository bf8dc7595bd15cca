"""How values are written where an annotator chooses or types them."""

from __future__ import annotations

from typing import Any

from agentlab.labels.annotation import UNKNOWN
from agentlab.labels.schema import Flag, Label, Number

STEP = "0.01"
"""By how much the controls of numbers count; values may be finer."""


def choices_of(name: str, label: Label) -> list[str]:
    """What an annotator may choose for a category or a flag; of visibility also that it cannot be told."""
    match label:
        case Number():
            return []
        case Flag():
            return ["true", "false", *([UNKNOWN] if name.endswith("_visible") else [])]
        case _:
            return list(label.classes)


def chosen(name: str, choice: str) -> str | None:
    """The value that a choice says of a label, `None` where it cannot be told."""
    return None if choice == UNKNOWN and name.endswith("_visible") else choice


def text_of_value(value: Any) -> str:
    """A value as text that its label's `parse` reads back."""
    match value:
        case None:
            return UNKNOWN
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def text_of_bound(number: float) -> str:
    """A bound of a number, without a fraction where it is whole."""
    return f"{number:.15g}"
