"""The running episode on disk: an Arrow IPC stream, a row a batch, whose whole rows survive a cut anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from agentlab.errors import InputError

_ABOUT = b"agentlab"
FORMAT_VERSION = 3
"""Of the rows; a stream that another agentlab left is not read."""


class RowStream:
    """Appends rows to a file; each is with the operating system when `append` returns."""

    def __init__(self, path: Path, schema: pa.Schema, about: dict[str, Any]) -> None:
        self.path = path
        self._file = path.open("wb", buffering=0)
        self._write(schema.with_metadata({_ABOUT: json.dumps({"format_version": FORMAT_VERSION, **about})}).serialize())

    def append(self, row: pa.RecordBatch) -> int:
        """Returns how many bytes it took."""
        message = row.serialize()
        self._write(message)
        return int(message.size)

    def close(self) -> None:
        self._file.close()

    def _write(self, message: pa.Buffer) -> None:
        rest = memoryview(message)
        while rest:
            rest = rest[self._file.write(rest) :]


def read_whole_rows(path: Path) -> tuple[pa.RecordBatch, dict[str, Any]] | None:
    """All whole rows of a stream as one batch, and what it says about itself; `None` when there is no row.

    Raises `InputError` for a stream of another format.
    """
    try:
        rows, about = _read_all(path)
    except (pa.ArrowException, OSError, ValueError):
        rows, about = _read_up_to_the_cut(path)
    if not rows.num_rows:
        return None
    if about.get("format_version") != FORMAT_VERSION:
        raise InputError(
            f"{path}: a running episode that another version of agentlab left, or a garbled one; recover it with that "
            "version, or delete the file to go on without it"
        )
    return rows.to_batches()[0], about


def _read_all(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    reader = pa.ipc.open_stream(pa.py_buffer(path.read_bytes()))
    rows = reader.read_all().combine_chunks()
    _require_whole(rows)
    return rows, _about(reader.schema)


def _read_up_to_the_cut(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """The rows before the first that is not whole, one by one."""
    batches: list[pa.RecordBatch] = []
    about: dict[str, Any] = {}
    try:
        with pa.OSFile(str(path)) as source:
            reader = pa.ipc.open_stream(source)
            about = _about(reader.schema)
            while True:
                batch = reader.read_next_batch()
                _require_whole(batch)
                batches.append(batch)
    except (StopIteration, pa.ArrowException, OSError, ValueError):
        pass
    return pa.Table.from_batches(batches, None if batches else pa.schema([])).combine_chunks(), about


def _about(schema: pa.Schema) -> dict[str, Any]:
    """What a stream says about itself, nothing where that is garbled."""
    try:
        about = json.loads((schema.metadata or {})[_ABOUT])
    except (KeyError, ValueError, RecursionError):
        return {}
    return about if isinstance(about, dict) and about.keys() >= {"uuid", "seed", "options", "provenance"} else {}


def _require_whole(rows: pa.Table | pa.RecordBatch) -> None:
    """Raises `ValueError` for rows without content, as a power failure may leave them, and what Arrow raises."""
    rows.validate(full=True)
    if any(pc.min(pc.binary_length(column)).as_py() == 0 for column in rows.columns):
        raise ValueError("expected rows with content, found an empty one")
