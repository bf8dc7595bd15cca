"""Label Studio's JSON: tasks, each with an image and the annotations of one or more people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.etree import ElementTree

from agentlab.errors import InputError
from agentlab.labels.annotation import Annotation, Box, Project
from agentlab.labels.formats.choices import STEP, choices_of, chosen, text_of_bound, text_of_value
from agentlab.labels.formats.files import file_in, finite, json_of, member, shown, text_of
from agentlab.labels.schema import Label, Number

FILE = "tasks.json"
CONFIG = "config.xml"
IMAGE, BOXES = "the-image", "the-boxes"
"""Names of controls that no label has."""
ADVICE = (
    "start Label Studio with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and this folder as "
    "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT, paste config.xml as the labelling interface, add images/ as local "
    "storage, and import tasks.json"
)
LOCAL_FILES = "/data/local-files/?d=images/"
"""Where Label Studio serves the folder `images` of its document root."""


def read(path: Path) -> Iterator[Annotation]:
    """One annotation for each that a person submitted; tasks without one, cancelled ones and predictions say nothing.

    The categories of all boxes in the file are answered by each of them.
    """
    path = file_in(path, FILE)
    tasks = json_of(text_of(path), str(path))
    if not isinstance(tasks, list):
        raise InputError(f"{path}: expected Label Studio's JSON, a list of tasks, found {shown(tasks)}")
    said = [each for number, task in enumerate(tasks) for each in _annotations(task, f"{path}: tasks[{number}]")]
    categories = {box.category for annotation in said for box in annotation.boxes}
    return (replace(annotation, answered=categories) for annotation in said)


def write(folder: Path, annotations: Sequence[Annotation], project: Project) -> Mapping[str, int]:
    """Writes `tasks.json` and the labelling configuration `config.xml`, which hold everything."""
    tasks = [_task(annotation, project) for annotation in annotations]
    (folder / FILE).write_text(json.dumps(tasks, indent=1), encoding="utf-8")
    (folder / CONFIG).write_text(_config(project), encoding="utf-8")
    return Counter()


def _annotations(task: Any, where: str) -> Iterator[Annotation]:
    data = member(task, "data", dict, where)
    image = _image_name(member(data, "image", str, f"{where}, field 'data'"), f"{where}, field 'image'")
    rows = member(task, "annotations", list, where) if "annotations" in task else []
    submitted = [(f"{where}, annotations[{number}]", row) for number, row in enumerate(rows)]
    for at, row in sorted(submitted, key=lambda each: _created_at(*each) or ""):
        results = member(row, "result", list, at)
        if not row.get("was_cancelled"):
            yield _annotation(image, row, [(f"{at}, result[{k}]", result) for k, result in enumerate(results)], at)


def _annotation(image: str, row: Mapping[str, Any], results: Sequence[tuple[str, Any]], where: str) -> Annotation:
    values: dict[str, Any] = {}
    boxes: list[Box] = []
    left_out: list[str] = []
    sizes: set[tuple[int, int]] = set()
    for at, result in results:
        kind, value = member(result, "type", str, at), result.get("value")
        if kind == "rectanglelabels":
            boxes.append(_box(member(result, "value", dict, at), at))
            sizes |= {size} if (size := _size(result, at)) else set()
        elif kind in ("choices", "number") and isinstance(value, dict) and "x" not in value:
            name = member(result, "from_name", str, at)
            values[name] = _value(name, kind, value, at)
        else:
            left_out.append(kind)
    if len(sizes) > 1:
        raise InputError(f"{where}: expected one size of the image, found {sorted(sizes)}")
    by = _annotator(row.get("completed_by"))
    size = sizes.pop() if sizes else None
    return Annotation(
        where, image, values, boxes, size=size, annotator=by, created_at=_created_at(where, row), left_out=left_out
    )


def _box(value: Mapping[str, Any], where: str) -> Box:
    category = _only(member(value, "rectanglelabels", list, where), f"{where}, field 'rectanglelabels'")
    if value.get("rotation"):
        raise InputError(f"{where}, field 'rotation': expected an upright box, found {shown(value['rotation'])}")
    place = [finite(value.get(name), f"{where}, field {name!r}") for name in ("x", "y", "width", "height")]
    return Box(where, category, *place, in_percent=True)


def _value(name: str, kind: str, value: Mapping[str, Any], where: str) -> Any:
    if kind == "number":
        return finite(value.get("number"), f"{where}, field 'number'")
    choice = _only(member(value, "choices", list, where), f"{where}, field 'choices'")
    return chosen(name, choice)


def _only(names: list[Any], where: str) -> str:
    if len(names) != 1 or not isinstance(names[0], str):
        raise InputError(f"{where}: expected one name, found {shown(names)}")
    return names[0]


def _size(result: Mapping[str, Any], where: str) -> tuple[int, int] | None:
    if result.get("original_width") is None:
        return None
    width, height = (
        finite(result.get(name), f"{where}, field {name!r}") for name in ("original_width", "original_height")
    )
    return int(width), int(height)


def _created_at(where: str, row: Any) -> str | None:
    found = row.get("created_at") if isinstance(row, dict) else None
    if found is not None and not isinstance(found, str):
        raise InputError(f"{where}, field 'created_at': expected a time, found {shown(found)}")
    return found


def _annotator(completed_by: Any) -> str | None:
    """The e-mail address or number of who annotated."""
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email") or completed_by.get("id")
    return None if completed_by is None else str(completed_by)


def _image_name(url: str, where: str) -> str:
    """The path of an image within the storage that a URL is of."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InputError(f"{where}: expected the URL or path of an image, found {shown(url)}") from error
    path = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
    return path.lstrip("/")


def _task(annotation: Annotation, project: Project) -> dict[str, Any]:
    task: dict[str, Any] = {"data": {"image": f"{LOCAL_FILES}{quote(annotation.image)}.png"}}
    results = [_rectangle(box, project) for box in annotation.boxes]
    results += [_other(name, value, project.schema[name]) for name, value in annotation.values.items()]
    if results:
        task["annotations"] = [{"result": results, "was_cancelled": False, "ground_truth": False}]
    return task


def _rectangle(box: Box, project: Project) -> dict[str, Any]:
    width, height = project.size
    value = {
        "x": 100 * box.x / width,
        "y": 100 * box.y / height,
        "width": 100 * box.width / width,
        "height": 100 * box.height / height,
        "rotation": 0,
        "rectanglelabels": [box.category],
    }
    size = {"original_width": width, "original_height": height, "image_rotation": 0}
    return {**_result(f"box-{box.category}", BOXES, "rectanglelabels", value), **size}


def _other(name: str, value: Any, label: Label) -> dict[str, Any]:
    if isinstance(label, Number):
        return _result(name, name, "number", {"number": value})
    return _result(name, name, "choices", {"choices": [text_of_value(value)]})


def _result(key: str, control: str, kind: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": key, "from_name": control, "to_name": IMAGE, "type": kind, "value": value}


def _config(project: Project) -> str:
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name=IMAGE, value="$image", zoom="true", smoothing="false")
    if project.categories:
        boxes = ElementTree.SubElement(view, "RectangleLabels", name=BOXES, toName=IMAGE, canRotate="false")
        for category in project.categories:
            ElementTree.SubElement(boxes, "Label", value=category)
    for name in project.others:
        ElementTree.SubElement(view, "Header", value=name)
        _control(view, name, project.schema[name])
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def _control(view: ElementTree.Element, name: str, label: Label) -> None:
    if isinstance(label, Number):
        bounds = {"min": text_of_bound(label.low), "max": text_of_bound(label.high), "step": STEP}
        ElementTree.SubElement(view, "Number", {"name": name, "toName": IMAGE, **bounds})
        return
    choices = ElementTree.SubElement(view, "Choices", name=name, toName=IMAGE, choice="single", showInline="true")
    for choice in choices_of(name, label):
        ElementTree.SubElement(choices, "Choice", value=choice)
