"""The rows of an episode: their Arrow schema, and one row from one step.

Row t of a stored episode holds frame t, its info and labels, the action taken there and the reward and end flags that
followed; the last row's action, reward and flags are zero (Minari's layout). Row t of a running episode's stream holds
the action, reward and flags that *led to* frame t, because they are what is known when the frame is.
"""

from __future__ import annotations

import json
import math
import struct
import time
from array import array
from collections.abc import Mapping
from typing import Any, SupportsFloat

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from agentlab.errors import InputError
from agentlab.labels import LabelSchema
from agentlab.recording.frames import HASH_BYTES, Frame, encode_png, frame_hash
from agentlab.recording.header import Header
from agentlab.recording.spaces import column_type, to_column
from agentlab.spaces import contains

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


STREAM_SCHEMA = pa.schema([("observations", pa.binary()), ("step", pa.binary())])
"""The columns of a running episode's stream, two because each costs time: `step` is a `step_type`, and `info_json`."""


def step_type(header: Header) -> np.dtype[np.void]:
    """What a row of the stream holds beside frame and info, of a fixed size."""
    action, n_labels = header.action_space, len(header.label_schema or ())
    return np.dtype(
        [
            ("actions", action.dtype, action.shape),
            ("rewards", np.float64),
            ("terminations", np.bool_),
            ("truncations", np.bool_),
            ("frame_hash", np.void, HASH_BYTES),
            ("t_ns", np.int64),
            ("labels", np.float32, n_labels),
        ]
    )


_AFTER_ACTION = struct.Struct(f"=d??{HASH_BYTES}sq")
"""The fields of a `step_type` between action and labels, byte for byte, packed quicker than NumPy does."""


class RowMaker:
    """Makes stream rows, and refuses what does not fit the recording with an `InputError`."""

    def __init__(self, header: Header) -> None:
        self._frame_space, self._action_space = header.observation_space, header.action_space
        self._label_schema = header.label_schema
        self._stores_png = header.stores_png

    def first(self, frame: Frame, info: Mapping[str, Any], where: str) -> pa.RecordBatch:
        """The row of what a reset gave; `where` names the episode in errors."""
        no_action = np.zeros(self._action_space.shape or (), self._action_space.dtype)
        return self._row(frame, no_action, 0.0, False, False, info, where)

    def step(
        self,
        action: Any,
        frame: Frame,
        reward: SupportsFloat,
        terminated: bool,
        truncated: bool,
        info: Mapping[str, Any],
        where: str,
    ) -> pa.RecordBatch:
        """The row of a step and of what it led to."""
        if not contains(self._action_space, action):
            raise InputError(f"{where}: action: expected one in {self._action_space}, found {action!r}")
        if not _is_finite(reward):
            raise InputError(f"{where}: reward: expected a finite number, found {reward!r}")
        return self._row(frame, action, reward, terminated, truncated, info, where)

    def _row(
        self,
        frame: Frame,
        action: Any,
        reward: SupportsFloat,
        terminated: bool,
        truncated: bool,
        info: Mapping[str, Any],
        where: str,
    ) -> pa.RecordBatch:
        space = self._frame_space
        if not isinstance(frame, np.ndarray):
            raise InputError(f"{where}: frame: expected uint8 {space.shape}, found {type(frame).__name__}")
        if frame.shape != space.shape or frame.dtype != space.dtype:
            raise InputError(f"{where}: frame: expected uint8 {space.shape}, found {frame.dtype} {frame.shape}")
        after_action = _AFTER_ACTION.pack(reward, terminated, truncated, frame_hash(frame), time.time_ns())
        labels = b"" if self._label_schema is None else _labels(self._label_schema, info, where)
        action_taken = np.asarray(action, self._action_space.dtype).tobytes()
        step = b"".join((action_taken, after_action, labels, _info_json(info, where)))
        stored_frame = encode_png(frame) if self._stores_png else frame.tobytes()
        return pa.RecordBatch.from_arrays([_one_value(stored_frame), _one_value(step)], schema=STREAM_SCHEMA)


def stored_rows(stream_rows: pa.RecordBatch, header: Header) -> tuple[pa.RecordBatch, bool]:
    """A stream's rows in the layout of a stored episode, and whether the environment ended it.

    Where it did not, the last step is marked as truncated.
    """
    frames, packed = stream_rows.columns
    steps, infos = _unpacked(packed, step_type(header))
    ended = bool(steps["terminations"][-1] or steps["truncations"][-1])
    if not ended:
        steps["truncations"][-1] = True
    for name in LED_BY:
        steps[name][:-1] = steps[name][1:]
        steps[name][-1] = 0
    columns = {
        "observations": frames if header.stores_png else _raw(frames, header),
        "actions": to_column(header.action_space, steps["actions"]),
        "frame_hash": pa.Array.from_buffers(
            pa.binary(HASH_BYTES), len(steps), [None, pa.py_buffer(steps["frame_hash"].tobytes())]
        ),
        "info_json": infos,
    }
    columns |= {name: pa.array(steps[name]) for name in ("rewards", "terminations", "truncations", "t_ns")}
    if header.label_schema is not None:
        labels = [pa.array(column, from_pandas=True) for column in steps["labels"].T]
        columns["labels"] = pa.StructArray.from_arrays(labels, names=list(header.label_schema))
    schema = row_schema(header)
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema), ended


def _is_finite(reward: SupportsFloat) -> bool:
    """Asked of a number, which `isinstance(reward, SupportsFloat)` would be ten times as slow to tell."""
    try:
        return math.isfinite(reward)
    except TypeError:
        return False


def _one_value(value: bytes) -> pa.Array:
    """A column of one value; a fifth of the time of `pa.array`."""
    offsets = struct.pack("=ii", 0, len(value))
    return pa.Array.from_buffers(_BYTES, 1, [None, pa.py_buffer(offsets), pa.py_buffer(value)])


_BYTES = pa.binary()


def _unpacked(packed: pa.Array, of_type: np.dtype[np.void]) -> tuple[npt.NDArray[np.void], pa.Array]:
    """Of values that begin with an `of_type` those beginnings, and the texts that follow."""
    begins, content = _joined(packed)
    fixed = begins[:-1, None] + np.arange(of_type.itemsize)
    steps = content[fixed].view(of_type)[:, 0]
    texts = np.delete(content, fixed)
    ends = begins - of_type.itemsize * np.arange(len(begins))
    return steps, pa.StringArray.from_buffers(len(packed), pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(texts))


def _joined(column: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Where the values of a binary column begin, and the last ends, and the bytes of all, one after the other."""
    _, offsets, data = column.buffers()
    begins = np.frombuffer(offsets, np.int32, len(column) + 1, 4 * column.offset).astype(np.int64)
    return begins - begins[0], np.frombuffer(data, np.uint8)[begins[0] : begins[-1]]


def _raw(frames: pa.Array, header: Header) -> pa.Array:
    _, pixels = _joined(frames)
    return to_column(header.observation_space, pixels.reshape(len(frames), *header.observation_space.shape))


def _labels(schema: LabelSchema, info: Mapping[str, Any], where: str) -> bytes:
    if "labels" not in info:
        raise InputError(f"{where}: expected info['labels'], as label_schema promises; found none")
    return array("f", schema.codes(info["labels"], where)).tobytes()


def _info_json(info: Mapping[str, Any], where: str) -> bytes:
    rest = {name: value for name, value in info.items() if name != "labels"}
    try:
        return _COMPACT.encode(rest).encode()
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: info: expected what JSON can hold, found {rest!r} ({error})") from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return repr(value)


_COMPACT = json.JSONEncoder(separators=(",", ":"), default=_plain)
