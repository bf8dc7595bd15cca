"""The running episode on disk: an Arrow IPC stream, a row a batch, whose whole rows survive a cut anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

_ABOUT = b"agentlab"


class RowStream:
    """Appends rows to a file; each is with the operating system when `append` returns."""

    def __init__(self, path: Path, schema: pa.Schema, about: dict[str, Any]) -> None:
        self.path = path
        self._file = path.open("wb", buffering=0)
        self._write(schema.with_metadata({_ABOUT: json.dumps(about)}).serialize())

    def append(self, row: pa.RecordBatch) -> None:
        self._write(row.serialize())

    def close(self) -> None:
        self._file.close()

    def _write(self, message: pa.Buffer) -> None:
        rest = memoryview(message)
        while rest:
            rest = rest[self._file.write(rest) :]


def read_whole_rows(path: Path) -> tuple[pa.RecordBatch, dict[str, Any]] | None:
    """All whole rows of a stream as one batch, and what it says about itself; `None` when there is no row."""
    batches: list[pa.RecordBatch] = []
    try:
        with pa.OSFile(str(path)) as source:
            reader = pa.ipc.open_stream(source)
            about = json.loads(reader.schema.metadata[_ABOUT])
            while True:
                batch = reader.read_next_batch()
                batch.validate(full=True)
                batches.append(batch)
    except (StopIteration, pa.ArrowException, OSError, ValueError):
        pass
    if not batches:
        return None
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0], about
