"""Adds labels to a recording, after comparing them with what other sources said of the same frames."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from agentlab.errors import InputError
from agentlab.labels.schema import Label, LabelSchema, Number
from agentlab.recording import SOURCE_ENV, FrameLabels, Recording, add_labels


@dataclass(frozen=True)
class Disagreement:
    """Two sources that say different values of a label of a frame."""

    episode: int
    frame: int
    label: str
    first: Any
    first_by: str
    second: Any
    second_by: str

    def __str__(self) -> str:
        return (
            f"episode {self.episode}, frame {self.frame}, label {self.label!r}: {self.first} says {self.first_by}, "
            f"{self.second} says {self.second_by}"
        )


@dataclass(frozen=True)
class Added:
    """How many frames got labels, and where these differ from those of other sources."""

    frames: int
    disagreements: Sequence[Disagreement]


def add(recording: Recording, schema: LabelSchema, labels: Sequence[FrameLabels], *, strict: bool = False) -> Added:
    """Adds labels that fit the schema; those of a frame that other sources labelled replace theirs.

    Raises `InputError`, and adds nothing, where sources disagree and `strict` is set.
    """
    found = disagreements(recording, schema, labels)
    if strict and found:
        more = f" and {len(found) - 1:,} more" if len(found) > 1 else ""
        raise InputError(
            f"{recording.path}: sources disagree: {found[0]}{more}; nothing was added; without --strict the last wins"
        )
    return Added(add_labels(recording.path, schema, labels), found)


def disagreements(recording: Recording, schema: LabelSchema, labels: Sequence[FrameLabels]) -> list[Disagreement]:
    """Where `labels` differ from one another or from the recording's, by source: numbers by more than their tolerance.

    Of each source counts what it said last. Labels that the environment left out while recording say nothing.
    """
    of_episodes: dict[int, list[FrameLabels]] = defaultdict(list)
    for said in labels:
        of_episodes[said.episode].append(said)
    return [found for index, new in sorted(of_episodes.items()) for found in _in_episode(recording, index, schema, new)]


def _in_episode(
    recording: Recording, index: int, schema: LabelSchema, new: Sequence[FrameLabels]
) -> Iterator[Disagreement]:
    frames = {said.frame for said in new}
    statements = [*_recorded(recording, index, frames), *recording[index].added_labels, *new]
    if len({said.by for said in statements}) < 2:
        return
    last: dict[tuple[int, str], dict[str, Any]] = defaultdict(dict)
    for said in statements:
        for label, value in said.values.items():
            if said.frame in frames:
                last[said.frame, label][said.by] = value
    fresh = {(said.frame, label, said.by) for said in new for label in said.values}
    for (frame, label), by_source in sorted(last.items()):
        for (by, value), (other_by, other) in combinations(by_source.items(), 2):
            is_new = (frame, label, by) in fresh or (frame, label, other_by) in fresh
            if is_new and _differ(schema[label], value, other):
                yield Disagreement(index, frame, label, value, by, other, other_by)


def _recorded(recording: Recording, index: int, frames: set[int]) -> Iterator[FrameLabels]:
    """What the environment said of some frames while recording."""
    rows, schema = recording[index].recorded_labels, recording.label_schema
    if rows is None or schema is None:
        return
    for frame in sorted(frames):
        known = {name: value for name, value in schema.decode(rows[frame]).items() if value is not None}
        yield FrameLabels(index, frame, known, SOURCE_ENV)


def _differ(label: Label, value: Any, other: Any) -> bool:
    if value is None or other is None:
        return value is not other
    return abs(label.encode(value) - label.encode(other)) > (label.tolerance if isinstance(label, Number) else 0)
