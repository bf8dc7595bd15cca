"""Reads recordings: any frame of any episode alone; what stays in memory is 8 bytes a frame."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import pyarrow as pa

from agentlab.artefact import read_json
from agentlab.errors import InputError
from agentlab.labels import LabelSchema
from agentlab.recording.added_labels import FILE_NAME as ADDED_LABELS
from agentlab.recording.episode import Episode
from agentlab.recording.frame_file import FrameFile, positions_of_binary, positions_of_lists
from agentlab.recording.header import (
    OWN_KEY,
    Header,
    are_versions,
    episode_file,
    episode_folder,
    metadata_file,
    read_metadata,
    require_count,
)
from agentlab.recording.replaced import Replaced
from agentlab.recording.rows import MAX_ROWS, row_schema
from agentlab.recording.speed import steps_per_second

if TYPE_CHECKING:
    from minari import MinariDataset
    from stable_baselines3.common.buffers import ReplayBuffer

    from agentlab.recording.torch_data import CloningPairs, RecordedFrames

SEEDS = 2**63
"""More than any seed; HDF5 holds no larger."""
_MAPPED_EPISODES = 32
"""The episodes read last stay mapped into memory, but for their frames."""


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
        # for episodes: their rows, metadata and frames, as they are asked for
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
        digest = hashlib.sha256(json.dumps(self._metadata[OWN_KEY].get("label_schema")).encode())
        for episode in self:
            digest.update(str(episode.provenance.get("sha256")).encode())
            added = episode_folder(self.path, episode.index) / ADDED_LABELS
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
                + (Replaced(self.path).hint or f"record more with  agentlab record {self.env_id} --out REC")
            )

    def require_labels(self) -> LabelSchema:
        """The label schema; `InputError` when the recording has none."""
        if self.label_schema is None:
            raise InputError(
                f"{self.path}: expected labelled frames, found a recording without labels; add them with  agentlab "
                f"label {self.path} --from env, or from a label tool: see  agentlab label --help"
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
        if not isinstance(own := metadata.get(OWN_KEY), dict):
            raise InputError(f"{file}: field {OWN_KEY!r}: expected an object, found {own!r}")
        require_count(metadata, "seed", SEEDS, file)
        require_count(metadata, "total_steps", MAX_ROWS, file)
        if not are_versions(versions := metadata[OWN_KEY].get("versions", {})):
            raise InputError(f"{file}: field 'versions': expected texts by package, found {versions!r}")
        if not isinstance(ended_by := metadata[OWN_KEY].get("ended_by", ""), str):
            raise InputError(f"{file}: field 'ended_by': expected text, found {ended_by!r}")
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
