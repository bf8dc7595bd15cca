"""The formats of label tools: how each is read and written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentlab.labels.annotation import Annotation, Project
from agentlab.labels.formats import coco, csv_rows, cvat, image_folder, json_lines, label_studio


@dataclass(frozen=True)
class Format:
    """One format of annotations."""

    read: Callable[[Path], Iterator[Annotation]]
    """What the file or folder says; `InputError` naming file and row where it is not in the format."""
    write: Callable[[Path, Sequence[Annotation], Project], Mapping[str, int]]
    """Writes the annotations of exported frames and returns how many values of which labels it could not hold."""
    has_boxes: bool = False
    """Whether things are boxes instead of the labels these stand for."""
    needs_schema: bool = False
    """Whether the tool is to be told what there is to label."""
    tells_origin: bool = False
    """Whether each value has its source, annotator and time."""
    advice: str = ""
    """How to go on with what was written."""


FORMATS: dict[str, Format] = {
    "csv": Format(csv_rows.read, csv_rows.write, tells_origin=True),
    "jsonl": Format(json_lines.read, json_lines.write, tells_origin=True),
    "imagefolder": Format(image_folder.read, image_folder.write),
    "coco": Format(coco.read, coco.write, has_boxes=True),
    "label-studio": Format(
        label_studio.read, label_studio.write, has_boxes=True, needs_schema=True, advice=label_studio.ADVICE
    ),
    "cvat": Format(cvat.read, cvat.write, has_boxes=True, needs_schema=True, advice=cvat.ADVICE),
}
"""By the names of the command line."""
