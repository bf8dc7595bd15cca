"""Labels that an extractor predicts: `_predictions.arrow` beside an episode's rows, never mixed with its labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from agentlab.artefact import write_file
from agentlab.errors import InputError
from agentlab.labels import LabelSchema
from agentlab.lock import WriterLock
from agentlab.recording.header import episode_folder
from agentlab.recording.provenance import now

FILE_NAME = "_predictions.arrow"
"""Minari ignores names that begin with an underscore."""

COLUMNS = ("labels", "confidences")
_ABOUT = b"agentlab"

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Predictions:
    """What an extractor says of each frame of an episode, and how sure it is."""

    schema: LabelSchema
    labels: Floats
    """Shape (n_frames, len(schema)), encoded as `LabelSchema` says, NaN where a label seems absent."""
    confidences: Floats
    """Shape (n_frames, len(schema)): the probability given to what `labels` says."""
    source: Mapping[str, Any]
    """The extractor's `path` and `sha256`, and `created_at`."""


def store_predictions(
    recording: Path, schema: LabelSchema, predicted: Mapping[int, tuple[Floats, Floats]], *, path: Path, sha256: str
) -> None:
    """Writes the label rows and confidences of episodes, by number, in place of earlier ones.

    `path` and `sha256` are those of the extractor.
    """
    lock = WriterLock(recording)
    try:
        source = {"path": str(path), "sha256": sha256, "created_at": now()}
        about = {_ABOUT: json.dumps({"source": source, "label_schema": schema.to_dict()})}
        for index, columns in predicted.items():
            write_file(episode_folder(recording, index) / FILE_NAME, _arrow_file(schema, columns, about))
    finally:
        lock.release()


def read_predictions(folder: Path, n_frames: int) -> Predictions | None:
    """The predictions of the episode in `folder`, if there are any; `InputError` when the file is garbled."""
    file = folder / FILE_NAME
    if not file.exists():
        return None
    try:
        with pa.memory_map(str(file)) as mapped:
            rows = pa.ipc.open_file(mapped).get_batch(0)
            rows.validate(full=True)
            about = json.loads(rows.schema.metadata[_ABOUT])
            schema = LabelSchema.from_dict(about["label_schema"], str(file))
            labels, confidences = (_matrix(rows.column(name), schema) for name in COLUMNS)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: expected predicted labels, found a garbled file ({error})") from error
    if len(labels) != n_frames:
        raise InputError(f"{file}: expected {n_frames} rows, found {len(labels)}")
    return Predictions(schema, labels, confidences, about["source"])


def _arrow_file(schema: LabelSchema, columns: tuple[Floats, Floats], about: dict[bytes, str]) -> bytes:
    structs = [pa.StructArray.from_arrays(list(map(pa.array, column.T)), names=list(schema)) for column in columns]
    rows = pa.RecordBatch.from_arrays(structs, names=list(COLUMNS)).replace_schema_metadata(about)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_batch(rows)
    return bytes(sink.getvalue())


def _matrix(column: pa.StructArray, schema: LabelSchema) -> Floats:
    fields = [column.field(name).to_numpy(zero_copy_only=False) for name in schema]
    return np.stack(fields, axis=1).astype(np.float32)
