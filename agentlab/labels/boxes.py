"""Boxes and the labels they stand for: `<category>_x` and `<category>_y`, their centre, and `<category>_visible`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agentlab.errors import InputError, nearest
from agentlab.labels.annotation import Annotation, Box
from agentlab.labels.schema import LabelSchema, Number

VISIBLE = "_visible"
PIXELS = "px"
"""The unit of labels that boxes give."""
SIDE = 8.0
"""Pixels a side of the boxes that stand for a place, away from the borders of the frame."""
BORDER = 0.01
"""Pixels by which a box may lie over the border, for tools round their numbers."""


def visible_label(category: str) -> str:
    return f"{category}{VISIBLE}"


def place_labels(category: str) -> tuple[str, str]:
    return f"{category}_x", f"{category}_y"


def box_categories(schema: LabelSchema) -> list[str]:
    """The things whose place in the frame the schema gives in pixels."""
    named = [name.removesuffix("_x") for name in schema if name.endswith("_x")]
    return [category for category in named if all(_is_pixels(schema, name) for name in place_labels(category))]


def labels_of_boxes(annotation: Annotation, schema: LabelSchema, size: tuple[int, int]) -> dict[str, Any]:
    """The labels that the boxes of an image of `size`, and the absence of others, give.

    Raises `InputError` for a box outside the frame, two of one category, and a category without labels in pixels.
    """
    values: dict[str, Any] = {}
    for category in annotation.answered:
        values |= _known(schema, dict.fromkeys(place_labels(category)) | {visible_label(category): False})
    boxed: set[str] = set()
    for box in annotation.boxes:
        if box.category in boxed:
            raise InputError(f"{box.where}: expected one box of {box.category!r} in an image, found another")
        boxed.add(box.category)
        values |= schema.plain(_labels_of(box, schema, size), box.where)
    return values


def without_place(values: dict[str, Any], schema: LabelSchema) -> dict[str, Any]:
    """`values`, and no place for things that they say are not visible, unless they say where."""
    hidden = [name.removesuffix(VISIBLE) for name, value in values.items() if name.endswith(VISIBLE) and value is False]
    places = {name: None for category in hidden for name in place_labels(category) if name in schema}
    return {**places, **values}


def boxes_of(
    values: Mapping[str, Any], schema: LabelSchema, categories: Iterable[str], size: tuple[int, int]
) -> tuple[list[Box], dict[str, Any]]:
    """The boxes that stand for labels, and the values that none stands for.

    Among these is the visibility of all that has no box, `None` where it is not known.
    """
    rest, boxes = dict(values), []
    for category in categories:
        visible = visible_label(category)
        box = _box_around(category, [values.get(name) for name in place_labels(category)], size)
        if box is not None and values.get(visible, visible not in schema):
            boxes.append(box)
            rest = {name: rest[name] for name in rest if name not in (*place_labels(category), visible)}
        elif visible in schema:
            rest.setdefault(visible, None)
    return boxes, rest


def _is_pixels(schema: LabelSchema, name: str) -> bool:
    label = schema.get(name)
    return isinstance(label, Number) and label.unit == PIXELS


def _known(schema: LabelSchema, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in schema}


def _labels_of(box: Box, schema: LabelSchema, size: tuple[int, int]) -> dict[str, Any]:
    box = _in_pixels(box, size)
    x = _middle(box, "x", box.x, box.width, size[0])
    y = _middle(box, "y", box.y, box.height, size[1])
    given = dict(zip(place_labels(box.category), (x, y), strict=True)) | {visible_label(box.category): True}
    values = _known(schema, given)
    if not values:
        known = {name.rpartition("_")[0] for name in schema if name.endswith(("_x", "_y", "_visible"))}
        raise InputError(
            f"{box.where}: category {box.category!r} has no label {', '.join(given)} in the schema."
            f"{nearest(box.category, known)}"
        )
    for name in place_labels(box.category):
        if name in values and not _is_pixels(schema, name):
            raise InputError(f"{box.where}: a box gives pixels, but label {name!r} is {schema[name].to_dict()}")
    return values


def _in_pixels(box: Box, size: tuple[int, int]) -> Box:
    if not box.in_percent:
        return box
    width, height = (pixels / 100 for pixels in size)
    return Box(box.where, box.category, box.x * width, box.y * height, box.width * width, box.height * height)


def _middle(box: Box, what: str, start: float, extent: float, pixels: int) -> float:
    if extent < 0 or start < -BORDER or start + extent > pixels + BORDER:
        raise InputError(
            f"{box.where}: box of {box.category!r}: expected {what} within the frame, 0 to {pixels}, "
            f"found {start:.6g} to {start + extent:.6g}"
        )
    return start + extent / 2


def _box_around(category: str, place: Sequence[float | None], size: tuple[int, int]) -> Box | None:
    """The largest box of at most `SIDE` inside the frame around a place; `None` for none, and for one outside."""
    x, y = place
    if x is None or y is None or not (0 <= x <= size[0] and 0 <= y <= size[1]):
        return None
    width, height = (min(SIDE, 2 * at, 2 * (pixels - at)) for at, pixels in ((x, size[0]), (y, size[1])))
    return Box("", category, x - width / 2, y - height / 2, width, height)
