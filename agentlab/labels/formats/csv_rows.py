"""Our CSV: a row a label of a frame."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agentlab.errors import InputError
from agentlab.labels.annotation import Annotation, Project
from agentlab.labels.formats.choices import text_of_value
from agentlab.labels.formats.files import file_in, text_of
from agentlab.labels.formats.rows import FIELDS, annotation_of, require_fields, rows_of

FILE = "labels.csv"


def read(path: Path) -> Iterator[Annotation]:
    """One annotation a row; an empty value says that there is none."""
    path = file_in(path, FILE)
    rows = csv.DictReader(io.StringIO(text_of(path), newline=""), strict=True)
    try:
        require_fields(rows.fieldnames or (), f"{path}: line 1")
        for row in rows:
            where = f"{path}: line {rows.line_num}"
            if None in row or None in row.values():
                raise InputError(f"{where}: expected {len(rows.fieldnames or ())} fields, found more or fewer")
            yield annotation_of({**row, "value": row["value"] or None}, where)
    except csv.Error as error:
        raise InputError(f"{path}: line {rows.line_num}: expected CSV, found a garbled row ({error})") from error


def write(folder: Path, annotations: Sequence[Annotation], project: Project) -> Mapping[str, int]:  # noqa: ARG001
    """Writes `labels.csv`, which holds everything."""
    with (folder / FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(_texts(row) for row in rows_of(annotations))
    return Counter()


def _texts(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "value": text_of_value(row["value"])}
