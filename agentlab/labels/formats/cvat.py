"""CVAT's XML for images, version 1.1: boxes in pixels, and tags with attributes for all other labels."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, SubElement, indent, tostring

from agentlab.errors import InputError
from agentlab.labels.annotation import UNKNOWN, Annotation, Box, Project
from agentlab.labels.formats.choices import STEP, choices_of, chosen, text_of_bound, text_of_value
from agentlab.labels.formats.files import bytes_of, file_in, finite, shown, size_of
from agentlab.labels.schema import Flag, Label, Number

FILE = "annotations.xml"
LABELS = "labels.json"
VERSION = "1.1"
ADVICE = (
    "make a task of images/ with labels.json pasted as raw labels, upload annotations.xml as CVAT 1.1, and export as "
    "CVAT for images 1.1"
)
VALUE = "value"
"""The attribute that holds the value of a tag named after a label."""


def read(path: Path) -> Iterator[Annotation]:
    """One annotation for each image with a box or a tag; CVAT lists images that nobody looked at too.

    These answer the categories that the file declares as rectangles and those of all boxes in it. A tag says the value
    of the label it is named after, or those of the labels its attributes are named after; without attributes it is
    itself a class or a flag.
    """
    path = file_in(path, FILE)
    root = _root(path)
    images = root.findall("image")
    answered = {label.findtext("name", "") for label in root.iter("label") if label.findtext("type") == "rectangle"}
    answered |= {box.get("label", "") for image in images for box in image.iter("box")}
    for number, image in enumerate(images):
        if len(image):
            yield _annotation(image, answered, f"{path}: image[{number}]")


def write(folder: Path, annotations: Sequence[Annotation], project: Project) -> Mapping[str, int]:
    """Writes `annotations.xml` and `labels.json`, the raw labels of CVAT's constructor; they hold everything."""
    specs = _label_specs(project)
    root = Element("annotations")
    SubElement(root, "version").text = VERSION
    _write_meta(SubElement(root, "meta"), specs, len(annotations))
    width, height = map(str, project.size)
    for number, annotation in enumerate(annotations):
        name = f"{annotation.image}.png"
        _write_image(SubElement(root, "image", id=str(number), name=name, width=width, height=height), annotation)
    indent(root)
    (folder / FILE).write_bytes(tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")
    (folder / LABELS).write_text(json.dumps(specs, indent=1), encoding="utf-8")
    return Counter()


def _root(path: Path) -> Element:
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    content = bytes_of(path)
    try:
        root: Element = fromstring(content, forbid_dtd=True)
    except DefusedXmlException as error:
        raise InputError(f"{path}: expected XML without entities and DTD, found {type(error).__name__}") from error
    except (ParseError, ValueError, LookupError) as error:
        raise InputError(f"{path}: expected XML, found a truncated or garbled file ({error})") from error
    version = root.findtext("version")
    if root.tag != "annotations" or version != VERSION:
        raise InputError(f"{path}: expected CVAT's annotations, version {VERSION}, found {root.tag} {version}")
    if root.find("track") is not None:
        raise InputError(f"{path}: expected 'CVAT for images 1.1', found tracks, as in 'CVAT for video 1.1'")
    return root


def _annotation(image: Element, answered: set[str], where: str) -> Annotation:
    values: dict[str, Any] = {}
    tags: list[str] = []
    for number, tag in enumerate(image.findall("tag")):
        said = _values_of(tag, f"{where}, tag[{number}]")
        if again := sorted(values.keys() & said.keys()):
            raise InputError(f"{where}, tag[{number}]: expected one value of {again[0]!r} in an image, found another")
        values |= said
        tags += [] if said else [_attribute(tag, "label", f"{where}, tag[{number}]")]
    boxes = [(f"{where}, box[{number}]", box) for number, box in enumerate(image.findall("box"))]
    return Annotation(
        where,
        _attribute(image, "name", where),
        values,
        [_box(box, at) for at, box in boxes if box.get("outside") != "1"],
        tags,
        answered,
        size_of(image.attrib, where),
        left_out=_left_out(image),
    )


def _values_of(tag: Element, where: str) -> dict[str, Any]:
    label = _attribute(tag, "label", where)
    named = {_attribute(child, "name", where): child.text or "" for child in tag.findall("attribute")}
    values = {label: named[VALUE]} if set(named) == {VALUE} else named
    return {name: chosen(name, text) for name, text in values.items()}


def _box(box: Element, where: str) -> Box:
    if finite(box.get("rotation", 0), f"{where}, attribute 'rotation'"):
        raise InputError(f"{where}, attribute 'rotation': expected an upright box, found {box.get('rotation')}")
    left, top, right, bottom = (
        finite(box.get(name), f"{where}, attribute {name!r}") for name in ("xtl", "ytl", "xbr", "ybr")
    )
    return Box(where, _attribute(box, "label", where), left, top, right - left, bottom - top)


def _left_out(image: Element) -> list[str]:
    shapes = [str(shape.tag) for shape in image if shape.tag not in ("tag", "box")]
    return shapes + ["attribute of a box" for box in image.findall("box") if box.find("attribute") is not None]


def _attribute(element: Element, name: str, where: str) -> str:
    value = element.get(name)
    if value is None:
        raise InputError(f"{where}: expected the attribute {name!r}, found {shown(dict(element.attrib))}")
    return value


def _write_meta(meta: Element, specs: Sequence[Mapping[str, Any]], n_images: int) -> None:
    task = SubElement(meta, "task")
    SubElement(task, "name").text = "agentlab"
    SubElement(task, "size").text = str(n_images)
    SubElement(task, "mode").text = "annotation"
    labels = SubElement(task, "labels")
    for spec in specs:
        label = SubElement(labels, "label")
        SubElement(label, "name").text = spec["name"]
        SubElement(label, "type").text = spec["type"]
        attributes = SubElement(label, "attributes")
        for attribute in spec["attributes"]:
            described = SubElement(attributes, "attribute")
            for name in ("name", "mutable", "input_type", "default_value"):
                SubElement(described, name).text = str(attribute[name])
            SubElement(described, "values").text = "\n".join(attribute["values"])


def _write_image(image: Element, annotation: Annotation) -> None:
    for box in annotation.boxes:
        right, bottom = box.x + box.width, box.y + box.height
        corners = {"xtl": repr(box.x), "ytl": repr(box.y), "xbr": repr(right), "ybr": repr(bottom)}
        SubElement(image, "box", {"label": box.category, "occluded": "0", **corners, "z_order": "0"})
    for name, value in annotation.values.items():
        tag = SubElement(image, "tag", label=name)
        SubElement(tag, "attribute", name=VALUE).text = text_of_value(value)


def _label_specs(project: Project) -> list[dict[str, Any]]:
    """The labels of the project as CVAT's constructor takes them."""
    boxes = [{"name": name, "type": "rectangle", "attributes": []} for name in project.categories]
    tags = [
        {"name": name, "type": "tag", "attributes": [_attribute_spec(name, project.schema[name])]}
        for name in project.others
    ]
    return boxes + tags


def _attribute_spec(name: str, label: Label) -> dict[str, Any]:
    if isinstance(label, Number):
        kind, values = "number", [text_of_bound(label.low), text_of_bound(label.high), STEP]
    else:
        kind, values = "select", choices_of(name, label)
    if isinstance(label, Flag) and UNKNOWN not in values:
        kind, values = "checkbox", ["false"]
    return {"name": VALUE, "input_type": kind, "mutable": False, "values": values, "default_value": values[0]}
