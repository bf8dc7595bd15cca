"""COCO's JSON: images, boxes in pixels, and their categories."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agentlab.errors import InputError
from agentlab.labels.annotation import Annotation, Box, Project
from agentlab.labels.boxes import visible_label
from agentlab.labels.formats.files import file_in, finite, json_of, member, shown, size_of, text_of

FILE = "annotations.json"
PARTS = ("images", "annotations", "categories")
NOT_EXHAUSTIVE = "not_exhaustive_category_ids"
"""LVIS's field for the categories of which an image may show more than its boxes say."""


def read(path: Path) -> Iterator[Annotation]:
    """One annotation for each image listed: an image without a box of a category shows no such thing."""
    path = file_in(path, FILE)
    content = json_of(text_of(path), str(path))
    if not isinstance(content, dict) or not set(PARTS) <= set(content):
        raise InputError(f"{path}: expected COCO's JSON, an object with {', '.join(PARTS)}, found {shown(content)}")
    images, rows, categories = (member(content, part, list, str(path)) for part in PARTS)
    names = _names(categories, path)
    boxes = _boxes(rows, names, path)
    listed: set[int | str] = set()
    for number, image in enumerate(images):
        where = f"{path}: images[{number}]"
        if (key := _id(image, "id", where)) in listed:
            raise InputError(f"{where}, field 'id': expected an id of its own, found {key!r} again")
        listed.add(key)
        yield _annotation(image, where, boxes.pop(key, []), names)
    for unused in boxes.values():
        raise InputError(f"{unused[0].where}, field 'image_id': expected the id of an image, found one of none")


def write(folder: Path, annotations: Sequence[Annotation], project: Project) -> Mapping[str, int]:
    """Writes `annotations.json`; returns how many values of each label COCO cannot hold: all that no box says."""
    ids = {name: number for number, name in enumerate(project.categories, start=1)}
    width, height = project.size
    images: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    lost = Counter[str]()
    for number, annotation in enumerate(annotations, start=1):
        unsure = [ids[name] for name in project.categories if name not in annotation.answered]
        image = {"id": number, "file_name": f"{annotation.image}.png", "width": width, "height": height}
        images.append({**image, NOT_EXHAUSTIVE: unsure})
        rows += [_row(box, len(rows) + 1 + k, number, ids) for k, box in enumerate(annotation.boxes)]
        said = {visible_label(name) for name in project.categories}
        lost.update(name for name, value in annotation.values.items() if (value and name in said) or name not in said)
    categories = [{"id": number, "name": name, "supercategory": ""} for name, number in ids.items()]
    content = {"info": {"description": "agentlab"}, "images": images, "annotations": rows, "categories": categories}
    (folder / FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")
    return lost


def _names(categories: list[Any], path: Path) -> dict[int | str, str]:
    """The names of the categories by their ids."""
    names: dict[int | str, str] = {}
    for number, row in enumerate(categories):
        where = f"{path}: categories[{number}]"
        if (key := _id(row, "id", where)) in names:
            raise InputError(f"{where}, field 'id': expected an id of its own, found {key!r} again")
        names[key] = member(row, "name", str, where)
    return names


def _boxes(rows: list[Any], names: Mapping[Any, str], path: Path) -> dict[Any, list[Box]]:
    """The boxes by the id of their image."""
    boxes: dict[Any, list[Box]] = defaultdict(list)
    for number, row in enumerate(rows):
        where = f"{path}: annotations[{number}]"
        category = _id(row, "category_id", where)
        if category not in names:
            raise InputError(f"{where}, field 'category_id': expected the id of a category, found {category!r}")
        numbers = member(row, "bbox", list, where)
        if len(numbers) != 4:
            raise InputError(f"{where}, field 'bbox': expected x, y, width, height, found {shown(numbers)}")
        place = [finite(value, f"{where}, field 'bbox'") for value in numbers]
        boxes[_id(row, "image_id", where)].append(Box(where, names[category], *place))
    return boxes


def _annotation(image: Any, where: str, boxes: list[Box], names: Mapping[Any, str]) -> Annotation:
    unsure = member(image, NOT_EXHAUSTIVE, list, where) if NOT_EXHAUSTIVE in image else []
    answered = [category for key, category in names.items() if key not in unsure]
    name = member(image, "file_name", str, where)
    return Annotation(where, name, boxes=boxes, answered=answered, size=size_of(image, where))


def _row(box: Box, number: int, image: int, ids: Mapping[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": ids[box.category],
        "bbox": [box.x, box.y, box.width, box.height],
        "area": box.width * box.height,
        "iscrowd": 0,
        "segmentation": [],
    }


def _id(row: Any, name: str, where: str) -> int | str:
    found: int | str = member(row, name, (int, str), where)
    return found
