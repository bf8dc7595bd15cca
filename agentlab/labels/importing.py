"""Imports labels from the files of a label tool: names to frames, boxes to labels, values by the schema."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from agentlab.errors import InputError, nearest
from agentlab.labels.adding import Added, add
from agentlab.labels.annotation import Annotation
from agentlab.labels.boxes import labels_of_boxes, without_place
from agentlab.labels.formats import FORMATS
from agentlab.labels.inferring import infer_schema
from agentlab.labels.names import FrameNames, UnmatchedNameError
from agentlab.labels.schema import Category, Flag, LabelSchema
from agentlab.labels.target import frame_size, schema_for
from agentlab.progress import NoProgress, Progress, Task
from agentlab.recording import FrameLabels, Recording

PREDICTED = "extractor"
"""What no imported label may come from: predictions are no labels."""


@dataclass(frozen=True)
class Source:
    """A file or folder of annotations, and how it is taken."""

    format: str
    path: Path
    schema: LabelSchema | None = None
    """The labels of a recording that has none; inferred unless given."""
    folder_label: str | None = None
    """The label of classes that are named without one, as folders or tags."""
    annotator: str | None = None
    """Who annotated, where the source does not say."""
    exported_as: str | None = None
    """The name of the recording when its frames were exported, if it has changed."""
    skip_unmatched: bool = False
    """Leave out names that stand for no frame, instead of refusing them."""


@dataclass(frozen=True)
class Imported:
    """What was added, and what was not."""

    added: Added
    unmatched: tuple[str, ...]
    """The names that stand for no frame."""
    left_out: Mapping[str, int]
    """How many annotations of kinds that stand for no label."""
    inferred: LabelSchema | None
    """The schema that was taken from the source."""


def import_labels(
    recording: Recording, source: Source, *, strict: bool = False, progress: Progress | None = None
) -> Imported:
    """Adds what a source says; a recording without a schema takes the source's.

    Raises `InputError`, and adds nothing, for a source that is not in its format, names that stand for no frame, values
    that do not fit the schema, boxes and images of another size than the frames, and with `strict` for disagreements.
    """
    recording.require_episodes()
    schema = _schema(recording, source)
    reading = _Reading(recording, source, schema)
    with (progress or NoProgress()).task("import", sum(1 for _ in reading.annotations()), "rows") as task:
        labels = list(_merged(reading.labels(task), schema))
        if not labels:
            raise InputError(f"{source.path}: expected labels of frames of {recording.path}, found none")
        added = add(recording, schema, labels, strict=strict)
    inferred = schema if schema_for(recording, source.schema) is None else None
    return Imported(added, tuple(dict.fromkeys(reading.unmatched)), reading.left_out, inferred)


@dataclass
class _Reading:
    """One pass over a source."""

    recording: Recording
    source: Source
    schema: LabelSchema
    unmatched: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def annotations(self) -> Iterator[Annotation]:
        return FORMATS[self.source.format].read(self.source.path)

    def labels(self, task: Task) -> Iterator[FrameLabels]:
        names = FrameNames(self.recording, self.source.exported_as)
        for annotation in self.annotations():
            task.advance()
            try:
                episode, frame = names.find(annotation.image, annotation.where)
            except UnmatchedNameError:
                if not self.source.skip_unmatched:
                    raise
                self.unmatched.append(annotation.image)
                continue
            self.left_out.update(annotation.left_out)
            source = _origin(annotation, self.source.format)
            by, time = annotation.annotator or self.source.annotator, _time(annotation)
            if values := self._values(annotation):
                yield FrameLabels(episode, frame, values, source, by, time)

    def _values(self, annotation: Annotation) -> dict[str, Any]:
        size = frame_size(self.recording)
        if annotation.size is not None and annotation.size != size:
            raise InputError(
                f"{annotation.where}: expected an image of {size[0]} x {size[1]} pixels, as the frames of "
                f"{self.recording.path}, found one of {annotation.size[0]} x {annotation.size[1]}"
            )
        boxed = labels_of_boxes(annotation, self.schema, size)
        tags = _values_of_tags(annotation, self.schema, self.source.folder_label)
        named = self.schema.plain({**annotation.values, **tags}, annotation.where)
        for name, value in named.items():
            if boxed.get(name) is not None and boxed[name] is not False and boxed[name] != value:
                raise InputError(
                    f"{annotation.where}: label {name!r}: expected one answer, found {value!r} and a box that says "
                    f"{boxed[name]!r}"
                )
        return {**boxed, **named}


def _merged(labels: Iterable[FrameLabels], schema: LabelSchema) -> Iterator[FrameLabels]:
    """Neighbouring labels of one frame and origin as one."""
    for _, group in groupby(labels, key=lambda said: (said.episode, said.frame, said.by, said.created_at)):
        parts = list(group)
        values = {name: value for part in parts for name, value in part.values.items()}
        yield replace(parts[0], values=without_place(values, schema))


def _schema(recording: Recording, source: Source) -> LabelSchema:
    known = schema_for(recording, source.schema)
    if known is not None:
        return known
    annotations = FORMATS[source.format].read(source.path)
    return infer_schema(annotations, frame_size(recording), source.folder_label, str(source.path))


def _values_of_tags(annotation: Annotation, schema: LabelSchema, folder_label: str | None) -> dict[str, Any]:
    return dict(_value_of_tag(tag, schema, folder_label, annotation.where) for tag in annotation.tags)


def _value_of_tag(tag: str, schema: LabelSchema, folder_label: str | None, where: str) -> tuple[str, Any]:
    """The label and value that a class or flag named alone stands for."""
    if folder_label is None and isinstance(schema.get(tag), Flag):
        return tag, True
    asked: Iterable[str] = schema if folder_label is None else [folder_label]
    categories = {name: label for name in asked if isinstance(label := schema.get(name), Category)}
    having = [name for name, label in categories.items() if tag in label.classes]
    if len(having) > 1:
        raise InputError(f"{where}: {tag!r} is a class of {' and '.join(having)}; say of which with --label NAME")
    if not having:
        classes = [name for label in categories.values() for name in label.classes]
        raise InputError(f"{where}: expected a class of the schema, found {tag!r}.{nearest(tag, classes)}")
    return having[0], tag


def _origin(annotation: Annotation, format: str) -> str:
    source = annotation.source or format
    if source.startswith(PREDICTED):
        raise InputError(f"{annotation.where}, field 'source': expected labels, found predictions of {source!r}")
    return source


def _time(annotation: Annotation) -> str | None:
    if annotation.created_at is not None:
        try:
            datetime.fromisoformat(annotation.created_at)
        except ValueError as error:
            raise InputError(
                f"{annotation.where}, field 'created_at': expected a time in ISO 8601, found {annotation.created_at!r}"
            ) from error
    return annotation.created_at
