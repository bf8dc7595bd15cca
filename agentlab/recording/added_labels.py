"""Labels added after recording: `_labels.jsonl` beside an episode's rows, a line per frame and source, append-only."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
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

SOURCE_ENV = "env"
"""The source of labels that the environment gave, while recording or later."""


@dataclass(frozen=True, slots=True)
class FrameLabels:
    """What one source says of one frame: values by label, `None` where it says that there is none."""

    episode: int
    frame: int
    values: Mapping[str, Any]
    source: str
    annotator: str | None = None
    created_at: str | None = None
    """ISO 8601; the time at which they are added, where the source does not know."""

    @property
    def by(self) -> str:
        """Who says it: the source, and the annotator if one is known."""
        return f"{self.source} ({self.annotator})" if self.annotator else self.source


def add_labels(recording: Path, schema: LabelSchema, labels: Iterable[FrameLabels]) -> int:
    """Appends labels that fit the schema, and returns of how many frames.

    A recording without a schema takes this one. `InputError` when it has another.
    """
    lock = WriterLock(recording)
    try:
        metadata = _metadata_for(recording, schema)
        of_episodes: dict[int, list[FrameLabels]] = defaultdict(list)
        for said in labels:
            of_episodes[said.episode].append(said)
        for index, of_episode in of_episodes.items():
            _append(episode_folder(recording, index), of_episode)
        if metadata is not None:
            write_json(metadata_file(recording), metadata)
        return sum(len({said.frame for said in of_episode}) for of_episode in of_episodes.values())
    finally:
        lock.release()


def read_added_labels(folder: Path, index: int, n_frames: int, schema: LabelSchema) -> Iterator[FrameLabels]:
    """The added labels of the episode in `folder`, in the order in which they were added; errors as below."""
    for where, frame, content in _lines(folder, n_frames):
        schema.encode(content["labels"], where)
        said_by = str(content.get("source", "unknown")), content.get("annotator"), content.get("created_at")
        yield FrameLabels(index, frame, content["labels"], *said_by)


def apply_added_labels(folder: Path, schema: LabelSchema, labels: npt.NDArray[np.float32]) -> None:
    """Writes an episode's added labels over `labels`, shape (n_frames, len(schema)); later lines win.

    Raises `InputError` naming file and line for one that is garbled or does not fit the episode or the schema.
    """
    columns = {name: position for position, name in enumerate(schema)}
    for where, frame, content in _lines(folder, len(labels)):
        row = schema.encode(content["labels"], where)
        for name in content["labels"]:
            labels[frame, columns[name]] = row[columns[name]]


def _lines(folder: Path, n_frames: int) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Where each line stands, the frame it is about, and its content."""
    file = folder / FILE_NAME
    if not file.exists():
        return
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        where = f"{file}: line {number}"
        content = _parsed(line, where)
        if not 0 <= content["frame"] < n_frames:
            raise InputError(f"{where}: field 'frame': expected 0 to {n_frames - 1}, found {content['frame']}")
        yield where, content["frame"], content


def _parsed(line: bytes, where: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(line)
        frame, values = content["frame"], content["labels"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise InputError(f"{where}: expected JSON with 'frame' and 'labels', found a garbled line") from error
    if not isinstance(frame, int) or not isinstance(values, dict):
        raise InputError(f"{where}: expected a frame number and a mapping of labels, found {frame!r} and {values!r}")
    for name in ("source", "annotator", "created_at"):
        if not isinstance(content.get(name), str | None):
            raise InputError(f"{where}: field {name!r}: expected text, found {content[name]!r}")
    return content


def _metadata_for(recording: Path, schema: LabelSchema) -> dict[str, Any] | None:
    """The recording's metadata with the schema, which it lacks; `None` if it has this one."""
    metadata = read_metadata(recording)
    existing = Header.from_metadata(metadata, metadata_file(recording)).label_schema
    if existing is None:
        metadata[OWN_KEY]["label_schema"] = schema.to_dict()
        return metadata
    if existing != schema:
        raise InputError(f"{recording}: label schema: expected the recording's {existing!r}, found {schema!r}")
    return None


def _append(folder: Path, labels: Iterable[FrameLabels]) -> None:
    """Adds a line for each, but where the lines that count for its labels say the same already."""
    file, time = folder / FILE_NAME, now()
    existing = file.read_bytes().splitlines() if file.exists() else []
    counting: dict[tuple[int, str], dict[str, Any]] = {}
    for number, before in enumerate(existing, start=1):
        _let_count(_parsed(before, f"{file}: line {number}"), counting)
    added = []
    for said in labels:
        line = {"frame": said.frame, "labels": dict(said.values), "source": said.source, "annotator": said.annotator}
        line["created_at"] = said.created_at or time
        if said.values and all(_is_said(said, name, counting.get((said.frame, name))) for name in said.values):
            continue
        _let_count(line, counting)
        added.append(json.dumps(line, separators=(",", ":")).encode())
    if added:
        write_file(file, b"".join(line + b"\n" for line in existing + added))


def _let_count(line: dict[str, Any], counting: dict[tuple[int, str], dict[str, Any]]) -> None:
    """Later lines win, label by label."""
    counting.update({(line["frame"], name): line for name in line["labels"]})


def _is_said(said: FrameLabels, name: str, line: dict[str, Any] | None) -> bool:
    """Whether a line gives the label the same value, from the same source, and at the same time if that is told."""
    if line is None:
        return False
    found = line["labels"][name], line.get("source"), line.get("annotator")
    return found == (said.values[name], said.source, said.annotator) and said.created_at in (
        None,
        line.get("created_at"),
    )
