"""Reads recordings: any frame of any episode alone, in memory that does not grow with the recording."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from agentlab.artefact import read_json
from agentlab.errors import InputError
from agentlab.labels import ABSENT, LabelSchema
from agentlab.recording.added_labels import FrameLabels, apply_added_labels, read_added_labels
from agentlab.recording.frame_file import FrameFile, positions_of_binary, positions_of_lists
from agentlab.recording.frames import Frame, decode_png, encode_png, is_intact_png
from agentlab.recording.header import OWN_KEY, Header, episode_file, episode_folder, metadata_file, read_metadata
from agentlab.recording.predictions import Predictions, read_predictions
from agentlab.recording.rows import row_schema
from agentlab.recording.spaces import from_column
from agentlab.recording.speed import steps_per_second

if TYPE_CHECKING:
    from minari import MinariDataset
    from stable_baselines3.common.buffers import ReplayBuffer

    from agentlab.recording.torch_data import CloningPairs, RecordedFrames

_MAPPED_EPISODES = 32
"""The episodes read last stay mapped into memory, but for their frames."""


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
        return next(self._stored_frames([t]))

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
        """Frame t, uint8 of shape `Recording.frame_shape`; `InputError` when its bytes are damaged."""
        return self._decoded(t, self.encoded_frame(t))

    def undamaged_frame(self, t: int) -> Frame | None:
        """Frame t, `None` if any of its bytes is damaged."""
        stored = self.encoded_frame(t)
        if self.recording.stores_png and not is_intact_png(stored):
            return None
        try:
            return self._decoded(t, stored)
        except InputError:
            return None

    def frames(self, ts: Sequence[int] | npt.NDArray[np.integer]) -> Frame:
        """The frames at `ts`, shape (len(ts), *frame_shape)."""
        frames = np.empty((len(ts), *self.recording.frame_shape), dtype=np.uint8)
        for position, (t, stored) in enumerate(zip(ts, self._stored_frames(ts), strict=True)):
            frames[position] = self._decoded(int(t), stored)
        return frames

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

    def _stored_frames(self, ts: Sequence[int] | npt.NDArray[np.integer]) -> Iterator[bytes]:
        return self.recording.frame_file(self.index).read(self._checked(int(t)) for t in ts)

    def _decoded(self, t: int, stored: bytes) -> Frame:
        try:
            if self.recording.stores_png:
                return decode_png(stored, self.recording.frame_shape)
            return np.frombuffer(stored, dtype=np.uint8).reshape(self.recording.frame_shape).copy()
        except ValueError as error:
            raise InputError(f"{self._file}: episode {self.index}, step {t}, field 'frame': {error}") from error

    def _checked(self, t: int) -> int:
        if not 0 <= t < self.n_frames:
            raise IndexError(f"frame {t} of episode {self.index}, which has frames 0 to {self.n_steps}")
        return t


class Recording(Sequence[Episode]):
    """The finished episodes of a recording on disk.

    Raises `InputError` naming the file when there is no recording at `path`, when it is truncated or garbled, and when
    a newer agentlab wrote it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._metadata = read_metadata(self.path)
        self.header = Header.from_metadata(self._metadata, metadata_file(self.path))
        self.total_steps = int(self._metadata["total_steps"])
        self.episode_rows = lru_cache(maxsize=_MAPPED_EPISODES)(self._read_rows)
        self.episode_metadata = lru_cache(maxsize=None)(self._read_episode_metadata)
        self.frame_file = lru_cache(maxsize=None)(self._find_frames)

    def __reduce__(self) -> tuple[type[Recording], tuple[Path]]:
        """Other processes, such as those of a `DataLoader`, open it anew."""
        return Recording, (self.path,)

    @property
    def env_id(self) -> str:
        return self.header.env_id

    @property
    def env_kwargs(self) -> dict[str, Any]:
        return self.header.env_kwargs

    @property
    def label_schema(self) -> LabelSchema | None:
        return self.header.label_schema

    @property
    def action_names(self) -> list[str] | None:
        return self.header.action_names

    @property
    def steps_per_second(self) -> float:
        """How fast the game goes when a person plays it, as far as is known, else 30."""
        return steps_per_second(self.header)

    @property
    def observation_space(self) -> Any:
        return self.header.observation_space

    @property
    def action_space(self) -> Any:
        return self.header.action_space

    @property
    def frame_shape(self) -> tuple[int, ...]:
        return tuple(self.header.observation_space.shape)

    @cached_property
    def stores_png(self) -> bool:
        """Whether frames are PNG; else raw, because Minari reads small or unusual images only so."""
        return self.header.stores_png

    @property
    def provenance(self) -> dict[str, Any]:
        """When, by which command and with which package versions the recording was begun."""
        return self.header.provenance

    @property
    def total_frames(self) -> int:
        return self.total_steps + len(self)

    def fingerprint(self) -> str:
        """A SHA-256 that changes when episodes or labels are added or differ."""
        digest = hashlib.sha256(json.dumps(self._metadata[OWN_KEY]["label_schema"]).encode())
        for episode in self:
            digest.update(str(episode.provenance.get("sha256")).encode())
            added = episode_folder(self.path, episode.index) / "_labels.jsonl"
            digest.update(added.read_bytes() if added.exists() else b"")
        return digest.hexdigest()

    def to_minari(self) -> MinariDataset:
        """The recording as Minari's dataset, read in place; `MissingExtraError` without Minari."""
        from agentlab.recording.exports import to_minari

        return to_minari(self)

    def to_minari_hdf5(self, path: str | Path, *, force: bool = False) -> None:
        """Writes it as a Minari dataset of the format hdf5, for what opens the HDF5 file itself: see `exports`."""
        from agentlab.recording.exports import to_minari_hdf5

        to_minari_hdf5(self, Path(path), force=force)

    def to_torch(self) -> RecordedFrames:
        """Its frames, with their labels if it has any, as a `torch.utils.data.Dataset`."""
        from agentlab.recording.torch_data import RecordedFrames

        return RecordedFrames(self)

    def to_cloning_pairs(self, stack: int = 1) -> CloningPairs:
        """What was seen and what was done then, as a `torch.utils.data.Dataset`, for behaviour cloning."""
        from agentlab.recording.torch_data import CloningPairs

        return CloningPairs(self, stack)

    def to_sb3_replay_buffer(self, stack: int = 1, device: str = "cpu") -> ReplayBuffer:
        """All its steps as Stable-Baselines3's replay buffer, in memory: see `exports`."""
        from agentlab.recording.exports import to_sb3_replay_buffer

        return to_sb3_replay_buffer(self, stack, device)

    def require_episodes(self, at_least: int = 1) -> None:
        """Raises `InputError` unless the recording has so many episodes."""
        if len(self) < at_least:
            raise InputError(
                f"{self.path}: expected at least {at_least} episode{'s' * (at_least > 1)}, found {len(self)}; "
                f"record more with  agentlab record {self.env_id} --out REC"
            )

    def require_labels(self) -> LabelSchema:
        """The label schema; `InputError` when the recording has none."""
        if self.label_schema is None:
            raise InputError(
                f"{self.path}: expected labelled frames, found a recording without labels; "
                f"add them with  agentlab label {self.path} --from env"
            )
        return self.label_schema

    @overload
    def __getitem__(self, index: int) -> Episode: ...
    @overload
    def __getitem__(self, index: slice) -> list[Episode]: ...
    def __getitem__(self, index: int | slice) -> Episode | list[Episode]:
        if isinstance(index, slice):
            return [Episode(self, i) for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"episode {index} of {self.path}, which has {len(self)}")
        return Episode(self, index % len(self))

    def __len__(self) -> int:
        return int(self._metadata["total_episodes"])

    def __iter__(self) -> Iterator[Episode]:
        return (Episode(self, index) for index in range(len(self)))

    def __repr__(self) -> str:
        return f"<Recording {self.path}: {self.env_id}, {len(self)} episodes, {self.total_steps} steps>"

    def _read_episode_metadata(self, index: int) -> dict[str, Any]:
        file = episode_folder(self.path, index) / "metadata.json"
        metadata = read_json(file)
        for name, kind in (("seed", int), ("total_steps", int), (OWN_KEY, dict)):
            if not isinstance(metadata.get(name), kind):
                raise InputError(f"{file}: field {name!r}: expected {kind.__name__}, found {metadata.get(name)!r}")
        return metadata

    def _read_rows(self, index: int) -> tuple[pa.RecordBatch, pa.Buffer]:
        """The episode's rows, memory-mapped, and the mapped file, which is closed again: it costs no descriptor."""
        file = episode_file(self.path, index)
        n_frames = self.episode_metadata(index)["total_steps"] + 1
        try:
            with pa.memory_map(str(file)) as mapped:
                buffer = mapped.read_buffer()
            rows = pa.ipc.open_file(pa.BufferReader(buffer)).get_batch(0)
            rows.validate(full=True)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise InputError(f"{file}: expected an Arrow file, found a missing or garbled one ({error})") from error
        self._require_columns(rows, n_frames, file)
        return rows, buffer

    def _find_frames(self, index: int) -> FrameFile:
        rows, mapped = self.episode_rows(index)
        positions = positions_of_binary if self.stores_png else positions_of_lists
        return FrameFile(episode_file(self.path, index), positions(rows.column("observations"), mapped))

    def _require_columns(self, rows: pa.RecordBatch, n_frames: int, file: Path) -> None:
        """Raises `InputError` unless every column is there and full; labels may be missing as a whole."""
        if rows.num_rows != n_frames:
            raise InputError(f"{file}: expected {n_frames} rows, found {rows.num_rows}")
        for field in row_schema(self.header):
            position = rows.schema.get_field_index(field.name)
            if position < 0 and field.name == "labels":
                continue
            if position < 0 or rows.column(position).type != field.type or rows.column(position).null_count:
                raise InputError(f"{file}: column {field.name!r}: expected {field.type} in every row, found otherwise")
