"""Recordings spoilt on purpose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from agentlab.recording import Recording


def damage_frame(recording: Path, episode: int, frame: int) -> None:
    """Makes a stored PNG undecodable."""
    png = Recording(recording)[episode].encoded_frame(frame)
    arrow = recording / "data" / str(episode) / "part-0.arrow"
    content = bytearray(arrow.read_bytes())
    at = content.index(png)
    content[at + 8 : at + 33] = bytes(25)
    arrow.write_bytes(bytes(content))


def change(recording: Path, episode: int, column: str, step: int, value: Any) -> None:
    """Stores another value than was recorded."""
    arrow = recording / "data" / str(episode) / "part-0.arrow"
    rows = pa.ipc.open_file(pa.py_buffer(arrow.read_bytes())).get_batch(0)
    position = rows.schema.get_field_index(column)
    values = rows.column(position).to_pylist()
    values[step] = value
    changed = rows.set_column(position, rows.schema.field(position), pa.array(values, rows.column(position).type))
    with pa.OSFile(str(arrow), "wb") as sink, pa.ipc.new_file(sink, changed.schema) as writer:
        writer.write_batch(changed)
