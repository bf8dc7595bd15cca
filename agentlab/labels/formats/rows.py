"""What CSV and JSON lines have in common: a row says one label of one frame, who said it and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentlab.errors import InputError, nearest
from agentlab.labels.annotation import Annotation
from agentlab.labels.formats.files import shown
from agentlab.labels.names import frame_name, parts_of

REQUIRED = ("episode", "frame", "label", "value")
FIELDS = ("recording", *REQUIRED, "annotator", "created_at", "source")


def require_fields(found: Sequence[str], where: str) -> None:
    """Raises `InputError` for a field that is missing or unknown."""
    for name in found:
        if name not in FIELDS:
            raise InputError(f"{where}: unknown field {name!r}.{nearest(name, FIELDS)}")
    for name in REQUIRED:
        if name not in found:
            raise InputError(f"{where}: expected the fields {', '.join(REQUIRED)}, found no {name!r}")


def annotation_of(row: Mapping[str, Any], where: str) -> Annotation:
    """What a row says; without `recording` it is about the one that is labelled."""
    texts = {name: _text(row, name, where) for name in ("recording", "label", "annotator", "created_at", "source")}
    if texts["label"] is None:
        raise InputError(f"{where}, field 'label': expected the name of a label, found nothing")
    episode, frame = (_count(row, name, where) for name in ("episode", "frame"))
    return Annotation(
        where,
        frame_name(texts["recording"] or "", episode, frame),
        {texts["label"]: row["value"]},
        annotator=texts["annotator"],
        created_at=texts["created_at"],
        source=texts["source"],
    )


def rows_of(annotations: Sequence[Annotation]) -> Iterator[dict[str, Any]]:
    """The rows that say what the annotations say."""
    for annotation in annotations:
        recording, episode, frame = parts_of(annotation.image)
        for label, value in annotation.values.items():
            yield {
                "recording": recording,
                "episode": episode,
                "frame": frame,
                "label": label,
                "value": value,
                "annotator": annotation.annotator,
                "created_at": annotation.created_at,
                "source": annotation.source,
            }


def _text(row: Mapping[str, Any], name: str, where: str) -> str | None:
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{where}, field {name!r}: expected text, found {shown(value)}")
    return value or None


def _count(row: Mapping[str, Any], name: str, where: str) -> int:
    value = row[name]
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9:
        return value
    raise InputError(f"{where}, field {name!r}: expected a number counted from 0, found {shown(value)}")
