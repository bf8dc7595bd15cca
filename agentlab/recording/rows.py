"""The rows of an episode: their Arrow schema, and one row from one step.

Row t of a stored episode holds frame t, its info and labels, the action taken there and the reward and end flags that
followed; the last row's action, reward and flags are zero (Minari's layout). Row t of a running episode's stream holds
the action, reward and flags that *led to* frame t, because they are what is known when the frame is.
"""

from __future__ import annotations

import json
import math
import time
from array import array
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from agentlab.errors import InputError
from agentlab.labels import ABSENT, LabelSchema
from agentlab.recording.frames import HASH_BYTES, Frame, encode_png, frame_hash
from agentlab.recording.header import Header
from agentlab.recording.spaces import column_type, to_value, zero

MAX_ROWS = 32_768
"""Minari 0.5.4 misreads episodes with more."""

LED_BY = ("actions", "rewards", "terminations", "truncations")


def row_schema(header: Header) -> pa.Schema:
    """The columns of a stored episode."""
    frames = pa.binary() if header.stores_png else column_type(header.observation_space)
    fields = [
        ("observations", frames),
        ("actions", column_type(header.action_space)),
        ("rewards", pa.float64()),
        ("terminations", pa.bool_()),
        ("truncations", pa.bool_()),
        ("frame_hash", pa.binary(HASH_BYTES)),
        ("t_ns", pa.int64()),
        ("info_json", pa.string()),
    ]
    if header.label_schema is not None:
        fields.append(("labels", pa.struct([(name, pa.float32()) for name in header.label_schema])))
    return pa.schema(fields)


def stream_schema(header: Header) -> pa.Schema:
    """The columns of a running episode's stream: the same, but a row's encoded labels are one value, quick to write."""
    stored = row_schema(header)
    if header.label_schema is None:
        return stored
    packed = pa.field("labels", pa.binary(4 * len(header.label_schema)))
    return stored.set(stored.get_field_index("labels"), packed)


class RowMaker:
    """Makes stream rows, and refuses what does not fit the recording with an `InputError`."""

    def __init__(self, header: Header) -> None:
        self.schema = stream_schema(header)
        self._row_type = pa.struct(list(self.schema))
        self._header = header
        self._stores_png = header.stores_png

    def first(self, frame: Frame, info: Mapping[str, Any], where: str) -> pa.RecordBatch:
        no_step = (zero(self._header.action_space), 0.0, False, False)
        return self._row(frame, no_step, info, where)

    def step(
        self,
        action: Any,
        frame: Frame,
        reward: float,
        terminated: bool,
        truncated: bool,
        info: Mapping[str, Any],
        where: str,
    ) -> pa.RecordBatch:
        if not self._header.action_space.contains(action):
            raise InputError(f"{where}: action: expected one in {self._header.action_space}, found {action!r}")
        if not math.isfinite(reward):
            raise InputError(f"{where}: reward: expected a finite number, found {reward!r}")
        step = (to_value(self._header.action_space, action), float(reward), bool(terminated), bool(truncated))
        return self._row(frame, step, info, where)

    def _row(
        self, frame: Frame, step: tuple[Any, float, bool, bool], info: Mapping[str, Any], where: str
    ) -> pa.RecordBatch:
        space = self._header.observation_space
        if frame.shape != space.shape or frame.dtype != space.dtype:
            raise InputError(f"{where}: frame: expected uint8 {space.shape}, found {frame.dtype} {frame.shape}")
        row = {
            "observations": encode_png(frame) if self._stores_png else to_value(space, frame),
            **dict(zip(LED_BY, step, strict=True)),
            "frame_hash": frame_hash(frame),
            "t_ns": time.time_ns(),
            "info_json": _info_json(info, where),
        }
        if self._header.label_schema is not None:
            row["labels"] = _labels(self._header.label_schema, info, where)
        return pa.RecordBatch.from_struct_array(pa.array([row], self._row_type))


def stored_rows(stream_rows: pa.RecordBatch, header: Header, *, cut: bool) -> pa.RecordBatch:
    """A stream's rows in the layout of a stored episode; `cut` marks the last step as truncated."""
    flags = stream_rows.column("truncations").to_numpy(zero_copy_only=False)
    if cut:
        flags = np.append(flags[:-1], True)
    padding = {"actions": zero(header.action_space), "rewards": 0.0}
    columns = []
    for name, column in zip(stream_rows.schema.names, stream_rows.columns, strict=True):
        if name in LED_BY:
            values = pa.array(flags) if name == "truncations" else column
            column = pa.concat_arrays([values[1:], pa.array([padding.get(name, False)], values.type)])
        elif name == "labels" and header.label_schema is not None:
            column = _unpacked(column, header.label_schema)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=row_schema(header))


def _labels(schema: LabelSchema, info: Mapping[str, Any], where: str) -> bytes:
    if "labels" not in info:
        raise InputError(f"{where}: expected info['labels'], as label_schema promises; found none")
    codes = schema.codes(info["labels"], where).values()
    return array("f", (ABSENT if code is None else code for code in codes)).tobytes()


def _unpacked(packed: pa.Array, schema: LabelSchema) -> pa.Array:
    """The encoded labels of rows as columns, null where absent."""
    width = packed.type.byte_width
    codes = np.frombuffer(packed.buffers()[1], np.float32, len(packed) * len(schema), packed.offset * width)
    columns = [pa.array(column, pa.float32(), from_pandas=True) for column in codes.reshape(-1, len(schema)).T]
    return pa.StructArray.from_arrays(columns, names=list(schema))


def _info_json(info: Mapping[str, Any], where: str) -> str:
    rest = {name: value for name, value in info.items() if name != "labels"}
    try:
        return _COMPACT.encode(rest)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: info: expected what JSON can hold, found {rest!r} ({error})") from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return repr(value)


_COMPACT = json.JSONEncoder(separators=(",", ":"), default=_plain)
