"""Exports frames for annotation: PNG images that are named after their frames, and the labels these have already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agentlab.artefact import EXPORTED_FRAMES, META, new_folder, require_room, write_json
from agentlab.errors import InputError, nearest
from agentlab.labels.annotation import Annotation, Project
from agentlab.labels.boxes import box_categories, boxes_of, place_labels, visible_label
from agentlab.labels.formats import FORMATS, image_folder
from agentlab.labels.names import FrameKey, frame_name, recording_name
from agentlab.labels.schema import Category, LabelSchema
from agentlab.labels.target import frame_size, schema_for
from agentlab.progress import NoProgress, Progress
from agentlab.recording import SOURCE_ENV, Episode, FrameLabels, Recording

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Request:
    """What is exported, and how."""

    format: str
    frames: Sequence[FrameKey] = ()
    """In the order of the recording."""
    schema: LabelSchema | None = None
    """What there is to label, where the recording does not say."""
    folder_label: str | None = None
    """Asks for class folders of this label."""
    sampled: Mapping[str, Any] | None = None
    """How the frames were chosen: `how`, and the `seed` where one has a say; none for all frames."""


@dataclass(frozen=True)
class Exported:
    """What was written, and which labels the format could not hold."""

    frames: int
    labelled: int
    """How many of the frames had labels."""
    not_held: Mapping[str, int]
    """How many values of each label are missing in what was written."""


def export_frames(
    recording: Recording, request: Request, out: Path, *, force: bool = False, progress: Progress | None = None
) -> Exported:
    """Writes a folder `out` of images and annotations, whole or not at all.

    Raises what `require_exportable` raises, and writes nothing, also for frames that PNG cannot hold.
    """
    schema = require_exportable(recording, request, out, force=force)
    annotations = list(_annotations(recording, request, schema))
    project = _project(recording, request, schema, annotations)
    with (
        new_folder(out, force=force) as folder,
        (progress or NoProgress()).task("export", len(request.frames), "frames") as task,
    ):
        for (episode, frame), of_frame in zip(request.frames, _by_image(annotations), strict=True):
            image = folder / image_folder.place(of_frame[0], project)
            image.parent.mkdir(exist_ok=True)
            image.write_bytes(recording[episode].png(frame))
            task.advance()
        not_held = FORMATS[request.format].write(folder, annotations, project)
        write_json(folder / META, _meta(recording, request))
    labelled = sum(any(each.values or each.boxes for each in of_frame) for of_frame in _by_image(annotations))
    return Exported(len(request.frames), labelled, not_held)


def require_exportable(recording: Recording, request: Request, out: Path, *, force: bool = False) -> LabelSchema:
    """The schema by which frames would be exported.

    Raises `InputError` where the format needs one and there is none, where the classes of `folder_label` can be no
    folders, and where `out` exists and `force` is not set.
    """
    require_room(out, force=force)
    recording.require_episodes()
    schema = schema_for(recording, request.schema)
    if schema is None and FORMATS[request.format].needs_schema:
        raise InputError(
            f"{recording.path}: expected a label schema, for {request.format} is to be told what there is to label, "
            "found a recording without; say it with --schema FILE"
        )
    schema = schema or LabelSchema({})
    if request.folder_label is not None:
        label = schema.get(request.folder_label)
        if not isinstance(label, Category):
            categories = [name for name, other in schema.items() if isinstance(other, Category)]
            raise InputError(
                f"--label: expected a label with classes, found {request.folder_label!r}."
                f"{nearest(request.folder_label, categories)}"
            )
        image_folder.require_folder_names(label.classes, request.folder_label)
    return schema


def _project(recording: Recording, request: Request, schema: LabelSchema, annotations: Sequence[Annotation]) -> Project:
    categories = box_categories(schema) if FORMATS[request.format].has_boxes else []
    drawn = {name for category in categories for name in place_labels(category)}
    said = {name for annotation in annotations for name in annotation.values}
    others = [name for name in schema if name not in drawn or name in said]
    return Project(schema, categories, others, frame_size(recording), request.folder_label)


def _annotations(recording: Recording, request: Request, schema: LabelSchema) -> Iterator[Annotation]:
    """What is said of each frame; in formats that tell by whom, one annotation for each who said something."""
    name = recording_name(recording.path)
    for index, keys in groupby(request.frames, key=lambda key: key[0]):
        episode = recording[index]
        rows = None if recording.label_schema is None else episode.labels
        origins = _origins(episode) if FORMATS[request.format].tells_origin else {}
        for _, frame in keys:
            values = {} if rows is None else _values(schema, rows[frame])
            image = frame_name(name, index, frame)
            if FORMATS[request.format].tells_origin:
                yield from _by_origin(image, frame, values, origins)
            else:
                yield _annotation(image, values, schema, request, frame_size(recording))


def _values(schema: LabelSchema, row: npt.NDArray[np.float32]) -> dict[str, Any]:
    """The values that are there, numbers with no more digits than they need."""
    return {
        label: schema[label].decode(float(str(np.float32(value)))) if isinstance(value, float) else value
        for label, value in schema.decode(row).items()
        if value is not None
    }


def _annotation(
    image: str, values: Mapping[str, Any], schema: LabelSchema, request: Request, size: tuple[int, int]
) -> Annotation:
    if not values or not FORMATS[request.format].has_boxes:
        return Annotation("", image, values)
    categories = box_categories(schema)
    boxes, rest = boxes_of(values, schema, categories, size)
    answered = [category for category in categories if rest.get(visible_label(category), False) is False]
    return Annotation("", image, rest, boxes, answered=answered)


def _by_origin(
    image: str, frame: int, values: Mapping[str, Any], origins: Mapping[tuple[int, str], FrameLabels]
) -> Iterator[Annotation]:
    of_origins: dict[tuple[str | None, ...], dict[str, Any]] = defaultdict(dict)
    for label, value in values.items():
        said = origins.get((frame, label))
        origin = (SOURCE_ENV, None, None) if said is None else (said.source, said.annotator, said.created_at)
        of_origins[origin][label] = value
    if not of_origins:
        yield Annotation("", image)
    for (source, annotator, created_at), said_values in of_origins.items():
        yield Annotation("", image, said_values, annotator=annotator, created_at=created_at, source=source)


def _origins(episode: Episode) -> dict[tuple[int, str], FrameLabels]:
    """Who said a label of a frame last; what is not there was recorded."""
    return {(said.frame, label): said for said in episode.added_labels for label in said.values}


def _by_image(annotations: Sequence[Annotation]) -> Iterator[list[Annotation]]:
    return (list(of_image) for _, of_image in groupby(annotations, key=lambda annotation: annotation.image))


def _meta(recording: Recording, request: Request) -> dict[str, Any]:
    from agentlab import __version__

    return {
        "kind": EXPORTED_FRAMES,
        "format_version": FORMAT_VERSION,
        "agentlab_version": __version__,
        "sampled": request.sampled,
        "format": request.format,
        "frames": len(request.frames),
        "parents": [{"kind": "recording", "path": str(recording.path), "sha256": recording.fingerprint()}],
    }
