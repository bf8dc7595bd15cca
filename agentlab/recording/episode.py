"""One episode of a recording: its columns, its labels, and any of its frames alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from agentlab.errors import InputError
from agentlab.labels import ABSENT
from agentlab.recording.added_labels import FrameLabels, apply_added_labels, read_added_labels
from agentlab.recording.frame_file import FrameFile, FrameReader
from agentlab.recording.frames import Frame, decode_png, encode_png, is_intact_png
from agentlab.recording.header import OWN_KEY, episode_file, episode_folder
from agentlab.recording.predictions import Predictions, read_predictions
from agentlab.recording.spaces import from_column

if TYPE_CHECKING:
    from agentlab.recording.reader import Recording


class Episode:
    """One episode: frame 0 from reset, then a frame for each of `n_steps` steps."""

    def __init__(self, recording: Recording, index: int) -> None:
        self.recording = recording
        self.index = index

    @property
    def seed(self) -> int:
        return int(self._metadata["seed"])

    @property
    def options(self) -> dict[str, Any] | None:
        return self._metadata.get("options")

    @property
    def n_steps(self) -> int:
        return int(self._metadata["total_steps"])

    @property
    def n_frames(self) -> int:
        return self.n_steps + 1

    @property
    def provenance(self) -> dict[str, Any]:
        """Policy, versions, and `ended_by`: "environment", or what cut the episode short."""
        return dict(self._metadata[OWN_KEY])

    @property
    def actions(self) -> npt.NDArray[Any]:
        """Shape (n_steps, *action_space.shape)."""
        return from_column(self.recording.action_space, self._column("actions")[: self.n_steps])

    @property
    def rewards(self) -> npt.NDArray[np.float64]:
        """Shape (n_steps,)."""
        return self._steps("rewards")

    @property
    def terminations(self) -> npt.NDArray[np.bool_]:
        """Shape (n_steps,)."""
        return self._steps("terminations")

    @property
    def truncations(self) -> npt.NDArray[np.bool_]:
        """Shape (n_steps,)."""
        return self._steps("truncations")

    @property
    def t_ns(self) -> npt.NDArray[np.int64]:
        """When each frame was recorded, nanoseconds since 1970, shape (n_frames,)."""
        times: npt.NDArray[np.int64] = self._column("t_ns").to_numpy()
        return times

    @property
    def frame_hashes(self) -> npt.NDArray[np.void]:
        """Shape (n_frames,), 16 bytes each, as `frame_hash` gives them."""
        hashes = self._column("frame_hash")
        width = hashes.type.byte_width
        return np.frombuffer(hashes.buffers()[1], dtype=f"V{width}", count=self.n_frames, offset=hashes.offset * width)

    @property
    def labels(self) -> npt.NDArray[np.float32]:
        """Shape (n_frames, labels in the schema), encoded as `LabelSchema` says, NaN where absent.

        Raises `InputError` when the recording has no labels.
        """
        schema = self.recording.require_labels()
        labels = self.recorded_labels
        if labels is None:
            labels = np.full((self.n_frames, len(schema)), ABSENT, dtype=np.float32)
        apply_added_labels(self._folder, schema, labels)
        return labels

    @cached_property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Of which frames anybody said anything, shape (n_frames,): all, where the environment gave labels."""
        if self._has_recorded_labels:
            return np.ones(self.n_frames, dtype=np.bool_)
        labelled = np.zeros(self.n_frames, dtype=np.bool_)
        labelled[[said.frame for said in self.added_labels]] = True
        return labelled

    @property
    def added_labels(self) -> list[FrameLabels]:
        """The labels added after recording, one entry a frame and source, in the order in which they were added."""
        schema = self.recording.label_schema
        return [] if schema is None else list(read_added_labels(self._folder, self.index, self.n_frames, schema))

    @property
    def predictions(self) -> Predictions | None:
        """The labels that an extractor predicted, `None` if none did; they are never among `labels`."""
        return read_predictions(self._folder, self.n_frames)

    @property
    def recorded_labels(self) -> npt.NDArray[np.float32] | None:
        """The labels that the environment gave while recording, in the form of `labels`; `None` if it gave none."""
        if not self._has_recorded_labels:
            return None
        column, schema = self._column("labels"), self.recording.require_labels()
        columns = [column.field(name).to_numpy(zero_copy_only=False) for name in schema]
        return np.stack(columns, axis=1)

    def info(self, t: int) -> dict[str, Any]:
        """The info that came with frame t, as JSON values and without its labels."""
        text = self._column("info_json")[self._checked(t)].as_py()
        try:
            return dict(json.loads(text))
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{self._file}: step {t}, field 'info_json': expected a JSON object, found {text!r}"
            ) from error

    def encoded_frame(self, t: int) -> bytes:
        """Frame t as stored: a PNG (raw pixels where `Recording.stores_png` is false)."""
        with FrameReader() as reader:
            return reader.read(reader.ask_for(self.frame_file, self._checked(t)))

    def png(self, t: int) -> bytes:
        """Frame t as PNG: as stored, where the recording stores PNG; `InputError` where PNG holds no such frames."""
        if self.recording.stores_png:
            return self.encoded_frame(t)
        if self.recording.frame_shape[2:] not in ((), (1,), (3,), (4,)):
            raise InputError(
                f"{self.recording.path}: expected frames that PNG holds (grey, RGB or RGBA), found shape "
                f"{self.recording.frame_shape}"
            )
        return encode_png(self.frame(t))

    def frame(self, t: int) -> Frame:
        """Frame t, uint8 of shape `Recording.frame_shape`; `InputError` when it does not decode."""
        frame: Frame = self.frames([t])[0]
        return frame

    def undamaged_frame(self, t: int) -> Frame | None:
        """Frame t, `None` if any byte of its PNG is damaged; damage of raw pixels only their `frame_hash` shows."""
        stored = self.encoded_frame(t)
        if self.recording.stores_png and not is_intact_png(stored):
            return None
        frame = np.empty(self.recording.frame_shape, dtype=np.uint8)
        try:
            self.decode(t, stored, frame)
        except InputError:
            return None
        return frame

    def frames(self, ts: Sequence[int] | npt.NDArray[np.integer]) -> Frame:
        """The frames at `ts`, shape (len(ts), *frame_shape)."""
        frames = np.empty((len(ts), *self.recording.frame_shape), dtype=np.uint8)
        steps = [self._checked(int(t)) for t in ts]
        with FrameReader() as reader:
            asked_for = [reader.ask_for(self.frame_file, t) for t in steps]
            for t, span, frame in zip(steps, asked_for, frames, strict=True):
                self.decode(t, reader.read(span), frame)
        return frames

    @property
    def frame_file(self) -> FrameFile:
        """Where its frames are stored."""
        return self.recording.frame_file(self.index)

    def decode(self, t: int, stored: bytes, frame: Frame) -> None:
        """Decodes frame t, as stored, into `frame`; `InputError` when it does not decode."""
        try:
            if self.recording.stores_png:
                decode_png(stored, frame)
            else:
                frame[...] = np.frombuffer(stored, dtype=np.uint8).reshape(frame.shape)
        except ValueError as error:
            raise InputError(f"{self._file}: episode {self.index}, step {t}, field 'frame': {error}") from error

    def __repr__(self) -> str:
        return f"<Episode {self.index} of {self.recording.path}: {self.n_steps} steps>"

    @cached_property
    def _metadata(self) -> dict[str, Any]:
        return self.recording.episode_metadata(self.index)

    @property
    def _batch(self) -> pa.RecordBatch:
        return self.recording.episode_rows(self.index)[0]

    @property
    def _has_recorded_labels(self) -> bool:
        return self.recording.label_schema is not None and self._batch.schema.get_field_index("labels") >= 0

    @property
    def _folder(self) -> Path:
        return episode_folder(self.recording.path, self.index)

    @property
    def _file(self) -> Path:
        return episode_file(self.recording.path, self.index)

    def _column(self, name: str) -> pa.Array:
        return self._batch.column(name)

    def _steps(self, name: str) -> npt.NDArray[Any]:
        values: npt.NDArray[Any] = self._column(name).to_numpy(zero_copy_only=False)
        return values[: self.n_steps]

    def _checked(self, t: int) -> int:
        if not 0 <= t < self.n_frames:
            raise IndexError(f"frame {t} of episode {self.index}, which has frames 0 to {self.n_steps}")
        return t
