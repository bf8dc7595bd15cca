"""What is exported comes back as it was, in every format, for all that the format holds."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boards import CATEGORIES, EPISODES, HEIGHT, PLAIN, SCHEMA, STEPS, WIDTH, copy_of, label, with_schema
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlab.labels import LabelSchema, Number
from agentlab.labels.exporting import Request, export_frames
from agentlab.labels.formats import FORMATS
from agentlab.labels.importing import Source, import_labels
from agentlab.labels.sampling import all_frames
from agentlab.recording import FrameLabels, Recording, add_labels

PLACES = st.floats(0, HEIGHT, width=32) | st.sampled_from([0, HEIGHT])
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "category": st.sampled_from(PLAIN["screen"]["classes"]),
    "flag": st.booleans(),
    "number": PLACES,
}
VALUES = {name: KINDS[spec["kind"]] for name, spec in PLAIN.items()}
VALUES["ghost_x"] = PLACES | st.floats(-8, WIDTH, width=32)
VALUES["score"] = st.floats(0, 0.0625, width=32) | st.just(0.1)
ROWS = st.fixed_dictionaries({}, optional=VALUES)
FRAMES = st.dictionaries(
    st.tuples(st.integers(0, EPISODES - 1), st.integers(0, STEPS)), ROWS.filter(bool), min_size=1, max_size=6
)


def there_and_back(recording: Recording, format: str, folder: Path, **options: Any) -> tuple[Any, Recording]:
    """What an export said, and a copy without labels after its import."""
    bare = copy_of(recording, folder)
    for file in bare.path.rglob("_labels.jsonl"):
        file.unlink()
    request = Request(format, all_frames(recording), folder_label=options.get("folder_label"))
    exported = export_frames(recording, request, folder / "out")
    import_labels(bare, Source(format, folder / "out", **options))
    return exported, Recording(bare.path)


def rows(recording: Recording) -> np.ndarray:
    return np.concatenate([episode.labels for episode in recording])


@pytest.mark.parametrize("format", ["csv", "jsonl", "imagefolder", "label-studio", "cvat"])
@given(frames=FRAMES)
@settings(deadline=None, max_examples=20)
def test_every_label_comes_back(format: str, frames: dict[tuple[int, int], dict[str, Any]], board: Recording):
    with tempfile.TemporaryDirectory() as folder:
        recording = label(copy_of(board, Path(folder)).path, frames)
        exported, back = there_and_back(recording, format, Path(folder) / "back")
        np.testing.assert_array_equal(rows(back), rows(recording))
        assert exported.not_held == {}
        assert exported.labelled == len(frames)


def held_by_boxes(values: dict[str, Any]) -> dict[str, Any]:
    """What of the labels of a frame boxes and their absence can say."""
    kept = {}
    for category in CATEGORIES:
        x, y, visible = (f"{category}_{what}" for what in ("x", "y", "visible"))
        is_inside = 0 <= values.get(x, -1) <= WIDTH and 0 <= values.get(y, -1) <= HEIGHT
        if is_inside and values.get(visible, visible not in SCHEMA):
            kept |= {name: values[name] for name in (x, y, visible) if name in values}
        elif values.get(visible) is False:
            kept[visible] = False
    return kept


@given(frames=FRAMES)
@settings(deadline=None, max_examples=30)
def test_of_coco_come_back_the_places_and_what_does_not_is_named(
    frames: dict[tuple[int, int], dict[str, Any]], board: Recording
):
    with tempfile.TemporaryDirectory() as folder:
        frames = {**frames, (0, 0): {"ball_visible": False}}
        recording = label(copy_of(board, Path(folder)).path, frames)
        exported, back = there_and_back(recording, "coco", Path(folder) / "back")
        kept = {key: held_by_boxes(values) for key, values in frames.items()}
        expected = [SCHEMA.encode(kept.get(key, {}), "expected") for key in all_frames(recording)]
        np.testing.assert_array_equal(rows(back), expected)
        assert exported.not_held == Counter(name for key in frames for name in frames[key].keys() - kept[key].keys())


@given(classes=st.dictionaries(st.integers(0, STEPS), st.sampled_from(PLAIN["screen"]["classes"]), min_size=1))
@settings(deadline=None, max_examples=15)
def test_class_folders_come_back(classes: dict[int, str], board: Recording):
    with tempfile.TemporaryDirectory() as folder:
        recording = label(copy_of(board, Path(folder)).path, {(1, t): {"screen": name} for t, name in classes.items()})
        exported, back = there_and_back(recording, "imagefolder", Path(folder) / "back", folder_label="screen")
        np.testing.assert_array_equal(rows(back), rows(recording))
        images = {image.parent.name for image in (Path(folder) / "back" / "out").rglob("*.png")}
        assert images == {*classes.values(), "unsorted"}
        assert exported.not_held == {}


@pytest.mark.parametrize("format", FORMATS)
def test_images_are_the_stored_frames_named_after_them(format: str, board: Recording, tmp_path: Path):
    recording = with_schema(copy_of(board, tmp_path))
    frames = [(0, 2), (1, 5)]
    export_frames(recording, Request(format, frames), tmp_path / "out")
    images = sorted((tmp_path / "out" / "images").iterdir())
    assert [image.name for image in images] == ["board__ep000000__f000002.png", "board__ep000001__f000005.png"]
    for (episode, frame), image in zip(frames, images, strict=True):
        assert image.read_bytes() == recording[episode].encoded_frame(frame)


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_who_said_a_label_and_when_comes_back(format: str, board: Recording, tmp_path: Path):
    recording = label(copy_of(board, tmp_path).path, {(0, 1): {"paused": True, "score": 0.05}}, annotator="ann")
    recording = label(recording.path, {(0, 1): {"score": 0.1}}, source="coco", created_at="2026-01-02T03:04:05Z")
    _, back = there_and_back(recording, format, tmp_path / "back")
    found = {name: each for each in back[0].added_labels for name in each.values}
    assert (found["paused"].source, found["paused"].annotator) == ("hand", "ann")
    assert found["paused"].created_at == recording[0].added_labels[0].created_at
    assert (found["score"].source, found["score"].annotator) == ("coco", None)
    assert found["score"].created_at == "2026-01-02T03:04:05Z"


def test_boxes_lie_within_the_frame_around_their_place(board: Recording, tmp_path: Path):
    from agentlab.labels.formats.coco import read

    recording = label(copy_of(board, tmp_path).path, {(0, 0): {"door_x": WIDTH - 1.5, "door_y": 20.0}})
    export_frames(recording, Request("coco", [(0, 0)]), tmp_path / "out")
    (annotation,) = read(tmp_path / "out")
    (box,) = annotation.boxes
    assert (box.category, box.x, box.y, box.width, box.height) == ("door", WIDTH - 3, 16, 3, 8)
    assert annotation.size == (WIDTH, HEIGHT)


@pytest.mark.parametrize("bound", [1 / 3, 0.1, -1 / 3, 16777217, 1e-30])
def test_a_number_at_a_bound_that_float32_cannot_hold_comes_back(bound: float, board: Recording, tmp_path: Path):
    recording = copy_of(board, tmp_path)
    schema = LabelSchema({"low": Number(bound, bound + abs(bound)), "high": Number(bound - abs(bound), bound)})
    add_labels(recording.path, schema, [FrameLabels(0, 1, {"low": bound, "high": bound}, "hand")])
    _, back = there_and_back(Recording(recording.path), "csv", tmp_path / "back")
    np.testing.assert_array_equal(rows(back), rows(Recording(recording.path)))
