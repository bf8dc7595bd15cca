"""Our JSON lines: an object a label of a frame."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from agentlab.errors import InputError
from agentlab.labels.annotation import Annotation, Project
from agentlab.labels.formats.files import file_in, json_of, shown, text_of
from agentlab.labels.formats.rows import annotation_of, require_fields, rows_of

FILE = "labels.jsonl"


def read(path: Path) -> Iterator[Annotation]:
    """One annotation a line; the value null says that there is none."""
    path = file_in(path, FILE)
    for number, line in enumerate(text_of(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        row = json_of(line, where)
        if not isinstance(row, dict):
            raise InputError(f"{where}: expected an object, found {shown(row)}")
        require_fields(list(row), where)
        yield annotation_of(row, where)


def write(folder: Path, annotations: Sequence[Annotation], project: Project) -> Mapping[str, int]:  # noqa: ARG001
    """Writes `labels.jsonl`, which holds everything."""
    with (folder / FILE).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows_of(annotations))
    return Counter()
