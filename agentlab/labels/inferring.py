"""Infers a label schema from a source, for a recording that has none."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from agentlab.errors import InputError
from agentlab.labels.annotation import Annotation
from agentlab.labels.boxes import PIXELS, place_labels, visible_label
from agentlab.labels.schema import Category, Flag, Label, LabelSchema, Number

CLASS_LABEL = "label"
"""The label of classes that are named without one, as Hugging Face calls it."""


def infer_schema(
    annotations: Iterable[Annotation], size: tuple[int, int], folder_label: str | None, where: str
) -> LabelSchema:
    """The labels that boxes stand for, for images of `size`, and those that are named, of the kind their values have.

    Numbers range as far as their values. Raises `InputError` for a label whose values do not tell its kind.
    """
    categories: dict[str, None] = {}
    values: dict[str, list[Any]] = defaultdict(list)
    for annotation in annotations:
        categories |= dict.fromkeys([*annotation.answered, *(box.category for box in annotation.boxes)])
        for name, value in annotation.values.items():
            values[name].append(value)
        values[folder_label or CLASS_LABEL] += annotation.tags
    labels: dict[str, Label] = {}
    for category in sorted(categories):
        bounds = zip(place_labels(category), size, strict=True)
        labels |= {name: Number(0, pixels, PIXELS) for name, pixels in bounds} | {visible_label(category): Flag()}
    for name, found in values.items():
        if name not in labels and found:
            labels[name] = _label([value for value in found if value is not None], f"{where}: label {name!r}")
    if not labels:
        raise InputError(f"{where}: expected labels, found none; say what there is to label with --schema FILE")
    return LabelSchema(labels)


def _label(values: Sequence[Any], where: str) -> Label:
    if not values:
        raise InputError(f"{where}: found no value that tells its kind; say it with --schema FILE")
    if all(isinstance(value, bool) or str(value).lower() in ("true", "false") for value in values):
        return Flag()
    numbers = [_number(value) for value in values]
    if not any(map(math.isnan, numbers)):
        low, high = min(numbers), max(numbers)
        return Number(low, high if high > low else low + 1)
    classes = sorted({value for value in values if isinstance(value, str)})
    if len(classes) < 2 or not all(isinstance(value, str) for value in values):
        raise InputError(
            f"{where}: expected numbers, flags or at least two classes, found {classes[:2]}; say it with --schema FILE"
        )
    return Category(tuple(classes))


def _number(value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan
