"""Labels added after recording: `_labels.jsonl` beside an episode's rows, a line per frame and source, append-only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agentlab.artefact import write_file, write_json
from agentlab.errors import InputError
from agentlab.labels import LabelSchema
from agentlab.lock import WriterLock
from agentlab.recording.header import OWN_KEY, Header, episode_folder, metadata_file, read_metadata
from agentlab.recording.provenance import now

FILE_NAME = "_labels.jsonl"
"""Minari ignores names that begin with an underscore."""


def add_labels(
    recording: Path,
    schema: LabelSchema,
    labels: Mapping[int, npt.NDArray[np.float32]],
    *,
    source: str,
    annotator: str | None = None,
) -> int:
    """Appends encoded labels, by episode of shape (n_frames, len(schema)), and returns how many frames got one.

    A recording without a schema takes this one. `InputError` when it has another.
    """
    lock = WriterLock(recording)
    try:
        _take_schema(recording, schema)
        stamp = {"source": source, "annotator": annotator, "created_at": now()}
        return sum(_append(episode_folder(recording, index), schema, rows, stamp) for index, rows in labels.items())
    finally:
        lock.release()


def apply_added_labels(folder: Path, schema: LabelSchema, labels: npt.NDArray[np.float32]) -> None:
    """Writes an episode's added labels over `labels`, shape (n_frames, len(schema)); later lines win.

    Raises `InputError` naming file and line for one that is garbled or does not fit the episode or the schema.
    """
    file = folder / FILE_NAME
    if not file.exists():
        return
    columns = {name: position for position, name in enumerate(schema)}
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        where = f"{file}: line {number}"
        frame, values = _parsed(line, where)
        if not 0 <= frame < len(labels):
            raise InputError(f"{where}: field 'frame': expected 0 to {len(labels) - 1}, found {frame}")
        row = schema.encode(values, where)
        for name in values:
            labels[frame, columns[name]] = row[columns[name]]


def _parsed(line: bytes, where: str) -> tuple[int, dict[str, Any]]:
    try:
        content = json.loads(line)
        frame, values = content["frame"], content["labels"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{where}: expected JSON with 'frame' and 'labels', found a garbled line") from error
    if not isinstance(frame, int) or not isinstance(values, dict):
        raise InputError(f"{where}: expected a frame number and a mapping of labels, found {frame!r} and {values!r}")
    return frame, values


def _take_schema(recording: Path, schema: LabelSchema) -> None:
    metadata = read_metadata(recording)
    existing = Header.from_metadata(metadata, metadata_file(recording)).label_schema
    if existing is None:
        metadata[OWN_KEY]["label_schema"] = schema.to_dict()
        write_json(metadata_file(recording), metadata)
    elif existing != schema:
        raise InputError(f"{recording}: label schema: expected the recording's {existing!r}, found {schema!r}")


def _append(folder: Path, schema: LabelSchema, rows: npt.NDArray[np.float32], stamp: dict[str, Any]) -> int:
    lines = [
        json.dumps({"frame": frame, "labels": schema.decode(row), **stamp}, separators=(",", ":"))
        for frame, row in enumerate(rows)
        if not np.isnan(row).all()
    ]
    file = folder / FILE_NAME
    existing = file.read_bytes() if file.exists() else b""
    write_file(file, existing + "".join(line + "\n" for line in lines).encode())
    return len(lines)
