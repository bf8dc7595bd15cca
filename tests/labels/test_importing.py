"""Imports: names become frames, boxes and their absence become labels, and nothing is left out in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boards import HEIGHT, SCHEMA, WIDTH, label, said, write_lines
from hypothesis import given
from hypothesis import strategies as st
from tiny import fitted

from agentlab.errors import InputError
from agentlab.labels import Category, Flag, Number
from agentlab.labels.importing import Imported, Source, import_labels
from agentlab.labels.names import FrameNames, frame_name, parts_of
from agentlab.recording import Recording

FIXTURES = Path(__file__).parent / "fixtures"


def name(frame: int, episode: int = 1) -> str:
    return f"board__ep{episode:06}__f{frame:06}.png"


def coco(path: Path, boxes: list[tuple[int, str, list[float]]], categories: list[str], images: int = 6) -> Path:
    """A COCO file of the frames of episode 1, with boxes of (frame, category, bbox)."""
    ids = {category: number for number, category in enumerate(categories)}
    content = {
        "images": [
            {"id": t, "file_name": f"images/{name(t)}", "width": WIDTH, "height": HEIGHT} for t in range(images)
        ],
        "annotations": [
            {"id": number, "image_id": t, "category_id": ids[category], "bbox": bbox}
            for number, (t, category, bbox) in enumerate(boxes)
        ],
        "categories": [{"id": number, "name": category} for category, number in ids.items()],
    }
    path.write_text(json.dumps(content))
    return path


def task(frame: int, *annotations: dict[str, Any]) -> dict[str, Any]:
    return {"data": {"image": name(frame)}, "annotations": list(annotations)}


def rectangle(category: str, x: float, y: float, width: float, height: float) -> dict[str, Any]:
    value = {"x": x, "y": y, "width": width, "height": height, "rectanglelabels": [category]}
    return {"from_name": "boxes", "to_name": "image", "type": "rectanglelabels", "value": value}


def choice(of: str, *chosen: str) -> dict[str, Any]:
    return {"from_name": of, "to_name": "image", "type": "choices", "value": {"choices": list(chosen)}}


def studio(path: Path, *tasks: dict[str, Any]) -> Path:
    path.write_text(json.dumps(tasks))
    return path


def imported(recording: Recording, format: str, path: Path, **options: Any) -> tuple[Imported, Recording]:
    strict = options.pop("strict", False)
    return import_labels(recording, Source(format, path, **options), strict=strict), Recording(recording.path)


class TestNames:
    @given(
        st.text(min_size=1).filter(lambda text: "__ep" not in text),
        st.integers(0, 10**9 - 1),
        st.integers(0, 10**9 - 1),
    )
    def test_come_apart_as_they_were_put_together(self, recording: str, episode: int, frame: int):
        made = frame_name(recording, episode, frame)
        assert parts_of(made)[1:] == (episode, frame)
        assert frame_name(parts_of(made)[0], episode, frame) == made
        assert not set(made) & set("/\\ ?#%:&")

    @pytest.mark.parametrize(
        "image",
        [
            "board__ep000001__f000003.png",
            "board__ep000001__f000003",
            "some/folder/board__ep000001__f000003.PNG",
            "folder\\board__ep000001__f000003.jpeg",
            "1f2e3d4c-board__ep000001__f000003.png",
        ],
    )
    def test_are_found_whatever_their_folder_ending_and_upload_prefix(self, image: str, board: Recording):
        assert FrameNames(board).find(image, "here") == (1, 3)

    def test_of_a_folder_that_was_renamed(self, blank: Recording, tmp_path: Path):
        renamed = Recording(blank.path.rename(tmp_path / "my new boards"))
        file = studio(tmp_path / "tasks.json", task(3, {"result": [choice("paused", "true")]}))
        with pytest.raises(InputError, match=r"no frame of the recording 'my_new_boards'.* add --exported-as board"):
            imported(renamed, "label-studio", file)
        _, after = imported(renamed, "label-studio", file, exported_as="board")
        assert said(after, 1, 3) == {"paused": True}


class TestUnmatchedNames:
    def rows(self, tmp_path: Path) -> Path:
        named = {"recording": "board", "label": "paused", "value": True}
        places = [(0, 1), (0, 99), (7, 0), (7, 0), (1, 2)]
        return write_lines(tmp_path / "l.jsonl", [{**named, "episode": e, "frame": t} for e, t in places])

    def test_are_refused(self, blank: Recording, tmp_path: Path):
        with pytest.raises(InputError, match="line 2: 'board__ep000000__f000099': expected a frame of episode 0"):
            imported(blank, "jsonl", self.rows(tmp_path))

    def test_are_skipped_and_named_where_that_is_asked_for(self, blank: Recording, tmp_path: Path):
        found, after = imported(blank, "jsonl", self.rows(tmp_path), skip_unmatched=True)
        assert found.unmatched == ("board__ep000000__f000099", "board__ep000007__f000000")
        assert found.added.frames == 2
        assert said(after, 0, 1) == said(after, 1, 2) == {"paused": True}


class TestBoxes:
    def test_give_place_and_visibility_and_their_absence_too(self, blank: Recording, tmp_path: Path):
        label(blank.path, {(1, 4): {"ball_x": 9.0, "ball_y": 9.0, "ball_visible": True}})
        file = coco(tmp_path / "c.json", [(3, "ball", [10, 20, 5, 4]), (4, "ghost", [0, 0, 2, 2])], ["ball", "ghost"])
        found, after = imported(Recording(blank.path), "coco", file)
        assert said(after, 1, 3) == {
            "ball_x": 12.5, "ball_y": 22, "ball_visible": True, "ghost_visible": False,
        }  # fmt: skip
        assert said(after, 1, 4) == {"ghost_x": 1, "ghost_y": 1, "ghost_visible": True, "ball_visible": False}
        assert said(after, 0, 3) == {}
        assert found.added.frames == 6

    def test_of_a_category_that_the_file_does_not_have_say_nothing(self, blank: Recording, tmp_path: Path):
        _, after = imported(blank, "coco", coco(tmp_path / "c.json", [], ["ball"]))
        assert said(after, 1, 0) == {"ball_visible": False}

    def test_up_to_the_border_are_within_the_frame(self, blank: Recording, tmp_path: Path):
        rounded = [0, -0.004, WIDTH + 0.004, HEIGHT + 0.008]
        _, after = imported(blank, "coco", coco(tmp_path / "c.json", [(0, "ball", rounded)], ["ball"]))
        assert said(after, 1, 0)["ball_y"] == HEIGHT / 2

    def test_of_label_studio_are_in_percent(self, blank: Recording, tmp_path: Path):
        file = studio(tmp_path / "t.json", task(0, {"result": [rectangle("ball", 50, 25, 25, 50)]}))
        _, after = imported(blank, "label-studio", file)
        assert said(after, 1, 0) == {"ball_x": 0.625 * WIDTH, "ball_y": 0.5 * HEIGHT, "ball_visible": True}


class TestLabelStudio:
    def test_cancelled_annotations_predictions_and_bare_tasks_say_nothing(self, blank: Recording, tmp_path: Path):
        box = rectangle("ball", 0, 0, 10, 10)
        file = studio(
            tmp_path / "t.json",
            task(0, {"result": [box]}),
            task(1, {"result": [box], "was_cancelled": True}),
            task(2),
            task(3, {"result": []}),
            {"data": {"image": name(4)}, "predictions": [{"result": [box], "score": 0.9}]},
        )
        found, after = imported(blank, "label-studio", file)
        assert said(after, 1, 0)["ball_visible"] is True
        assert said(after, 1, 3) == {"ball_visible": False}
        assert found.added.frames == 2
        assert said(after, 1, 1) == said(after, 1, 2) == said(after, 1, 4) == {}

    def test_the_later_annotation_of_a_person_wins_whatever_their_order(self, blank: Recording, tmp_path: Path):
        file = studio(
            tmp_path / "t.json",
            task(
                0,
                {"result": [choice("screen", "title")], "created_at": "2026-03-02T10:00:00Z", "completed_by": 4},
                {"result": [choice("screen", "in play")], "created_at": "2026-03-01T10:00:00Z", "completed_by": 4},
            ),
        )
        found, after = imported(blank, "label-studio", file)
        assert said(after, 1, 0) == {"screen": "title"}
        assert found.added.disagreements == []

    def test_people_who_disagree_are_two_sources(self, blank: Recording, tmp_path: Path):
        said_by = {"ann@example.org": "title", "bob@example.org": "in play"}
        file = studio(
            tmp_path / "t.json",
            task(0, *({"result": [choice("screen", of)], "completed_by": {"email": by}} for by, of in said_by.items())),
        )
        found, _ = imported(blank, "label-studio", file)
        assert [str(each) for each in found.added.disagreements] == [
            "episode 1, frame 0, label 'screen': title says label-studio (ann@example.org), "
            "in play says label-studio (bob@example.org)"
        ]

    def test_what_cannot_be_told_is_not_taken_for_invisible(self, blank: Recording, tmp_path: Path):
        box = rectangle("ball", 0, 0, 10, 10)
        unsure = {"result": [choice("ball_visible", "unknown"), choice("paused", "true")]}
        _, after = imported(
            blank, "label-studio", studio(tmp_path / "t.json", task(0, {"result": [box]}), task(1, unsure))
        )
        assert said(after, 1, 1) == {"paused": True}

    def test_what_stands_for_no_label_is_counted(self, blank: Recording, tmp_path: Path):
        polygon = {"type": "polygonlabels", "value": {}}
        of_region = {**choice("paused", "true"), "value": {"x": 3, "choices": ["true"]}}
        result = {"result": [polygon, polygon, of_region, choice("paused", "false")]}
        found, after = imported(blank, "label-studio", studio(tmp_path / "t.json", task(0, result)))
        assert found.left_out == {"polygonlabels": 2, "choices": 1}
        assert said(after, 1, 0) == {"paused": False}


class TestCvat:
    def write(self, path: Path, *images: str, declared: str = "") -> Path:
        tags = "".join(
            f'<image id="{t}" name="{name(t)}" width="{WIDTH}" height="{HEIGHT}">{inner}</image>'
            for t, inner in enumerate(images)
        )
        labels = f"<meta><task><labels>{declared}</labels></task></meta>"
        path.write_text(f"<annotations><version>1.1</version>{labels}{tags}</annotations>")
        return path

    def test_tags_are_labels_attributes_classes_or_flags(self, blank: Recording, tmp_path: Path):
        file = self.write(
            tmp_path / "a.xml",
            '<tag label="screen"><attribute name="value">title</attribute></tag>',
            '<tag label="a"><attribute name="score">0.05</attribute><attribute name="paused">false</attribute></tag>',
            '<tag label="paused"/><tag label="über"/>',
        )
        _, after = imported(blank, "cvat", file)
        assert said(after, 1, 0) == {"screen": "title"}
        assert said(after, 1, 1) == {"score": pytest.approx(0.05), "paused": False}
        assert said(after, 1, 2) == {"paused": True, "screen": "über"}

    def test_boxes_outside_are_of_what_is_not_there(self, blank: Recording, tmp_path: Path):
        box = '<box label="ball" outside="1" xtl="0" ytl="0" xbr="4" ybr="4"/>'
        _, after = imported(blank, "cvat", self.write(tmp_path / "a.xml", box))
        assert said(after, 1, 0) == {"ball_visible": False}

    def test_images_that_nobody_annotated_say_nothing_and_others_answer_what_is_declared(
        self, blank: Recording, tmp_path: Path
    ):
        declared = "<label><name>ghost</name><type>rectangle</type></label>"
        file = self.write(tmp_path / "a.xml", '<tag label="paused"/>', "", declared=declared)
        found, after = imported(blank, "cvat", file)
        assert said(after, 1, 0) == {"paused": True, "ghost_visible": False}
        assert said(after, 1, 1) == {}
        assert found.added.frames == 1

    def test_what_stands_for_no_label_is_counted(self, blank: Recording, tmp_path: Path):
        box = '<box label="ball" xtl="0" ytl="0" xbr="4" ybr="4"><attribute name="colour">red</attribute></box>'
        found, _ = imported(blank, "cvat", self.write(tmp_path / "a.xml", f'{box}<polygon label="ball"/>'))
        assert found.left_out == {"attribute of a box": 1, "polygon": 1}


class TestImageFolders:
    def test_folders_are_classes_in_every_split(self, blank: Recording, tmp_path: Path):
        for split, frame, of in (("train", 0, "title"), ("test", 1, "über"), ("train", 2, "unsorted")):
            (tmp_path / "images" / split / of).mkdir(parents=True)
            (tmp_path / "images" / split / of / name(frame)).touch()
        found, after = imported(blank, "imagefolder", tmp_path / "images")
        assert (said(after, 1, 0), said(after, 1, 1)) == ({"screen": "title"}, {"screen": "über"})
        assert found.added.frames == 2

    def test_metadata_of_hugging_face_says_labels_and_is_silent_where_it_is_null(
        self, blank: Recording, tmp_path: Path
    ):
        (tmp_path / "train").mkdir()
        rows = [
            {"file_name": name(0), "screen": "title", "score": 0, "paused": None},
            {"file_name": f"more/{name(1)}", "paused": True},
        ]
        write_lines(tmp_path / "train" / "metadata.jsonl", rows)
        found, after = imported(blank, "imagefolder", tmp_path)
        assert said(after, 1, 0) == {"screen": "title", "score": 0}
        assert said(after, 1, 1) == {"paused": True}
        assert found.added.frames == 2


class TestValues:
    def lines(self, tmp_path: Path, *values: tuple[int, str, Any], **more: Any) -> Path:
        rows = [{"episode": 1, "frame": t, "label": of, "value": value, **more} for t, of, value in values]
        return write_lines(tmp_path / "l.jsonl", rows)

    def test_what_is_not_visible_has_no_place(self, blank: Recording, tmp_path: Path):
        label(blank.path, {(1, 0): {"ball_x": 9.0, "ball_y": 9.0, "ball_visible": True}})
        _, after = imported(Recording(blank.path), "jsonl", self.lines(tmp_path, (0, "ball_visible", False)))
        assert said(after, 1, 0) == {"ball_visible": False}

    def test_null_takes_a_label_away(self, blank: Recording, tmp_path: Path):
        label(blank.path, {(1, 0): {"paused": True, "score": 0.0}})
        _, after = imported(Recording(blank.path), "jsonl", self.lines(tmp_path, (0, "score", None)))
        assert said(after, 1, 0) == {"paused": True}

    def test_the_last_one_of_a_source_wins(self, blank: Recording, tmp_path: Path):
        file = self.lines(tmp_path, (0, "paused", True), (1, "paused", True), (0, "paused", False))
        found, after = imported(blank, "jsonl", file)
        assert said(after, 1, 0) == {"paused": False}
        assert found.added.disagreements == []

    def test_what_is_said_again_adds_nothing(self, blank: Recording, tmp_path: Path):
        title, play = ({"result": [choice("screen", screen)]} for screen in ("title", "in play"))
        file = studio(tmp_path / "a.json", task(1, title), task(2, play))
        _, found = imported(blank, "label-studio", file)
        fingerprint = found.fingerprint()
        _, found = imported(blank, "label-studio", file)
        assert found.fingerprint() == fingerprint
        other = studio(tmp_path / "b.json", task(1, play))
        _, found = imported(blank, "label-studio", other)
        assert found.fingerprint() != fingerprint
        assert [each.values["screen"] for each in found[1].added_labels if each.frame == 1] == ["title", "in play"]

    def test_what_another_has_said_since_is_said_again(self, blank: Recording, tmp_path: Path):
        title, play = ({"result": [choice("screen", screen)]} for screen in ("title", "in play"))
        a, b = (studio(tmp_path / f"{name}.json", task(1, said)) for name, said in (("a", title), ("b", play)))
        for file, annotator, screen in ((a, "ann", "title"), (b, "bob", "in play"), (a, "ann", "title")):
            _, found = imported(blank, "label-studio", file, annotator=annotator)
            assert said(found, 1, 1)["screen"] == screen
        assert len(found[1].added_labels) == 3

    def test_a_frame_is_one_line_of_the_recording(self, blank: Recording, tmp_path: Path):
        _, after = imported(blank, "jsonl", self.lines(tmp_path, (0, "paused", True), (0, "score", 0)), annotator="ann")
        (line,) = (after.path / "data" / "1" / "_labels.jsonl").read_text().splitlines()
        told = json.loads(line)
        assert (told["frame"], told["labels"]) == (0, {"paused": True, "score": 0.0})
        assert (told["source"], told["annotator"]) == ("jsonl", "ann")

    def test_are_added_after_a_line_that_does_not_end(self, blank: Recording, tmp_path: Path):
        file = blank.path / "data" / "1" / "_labels.jsonl"
        file.write_text('{"frame": 2, "labels": {"paused": true}, "source": "hand"}')
        _, after = imported(blank, "jsonl", self.lines(tmp_path, (0, "paused", True)))
        assert said(after, 1, 0) == said(after, 1, 2) == {"paused": True}


class TestDisagreements:
    def test_numbers_agree_within_their_tolerance(self, blank: Recording, tmp_path: Path):
        label(blank.path, {(1, 0): {"ball_x": 20.0}, (1, 1): {"ball_x": 20.0}, (1, 2): {"ball_x": None}})
        rows = [{"episode": 1, "frame": t, "label": "ball_x", "value": x} for t, x in enumerate((20.4, 20.6, 20))]
        found, after = imported(Recording(blank.path), "jsonl", write_lines(tmp_path / "l.jsonl", rows))
        assert [(each.frame, each.first, each.second) for each in found.added.disagreements] == [
            (1, 20.0, 20.6),
            (2, None, 20.0),
        ]
        assert said(after, 1, 1)["ball_x"] == pytest.approx(20.6)

    def test_are_with_what_the_environment_said_while_recording_too(self, agentlab: Any, catch: Path, tmp_path: Path):
        told = Recording(catch)[0].labels[3]
        rows = [{"episode": 0, "frame": 3, "label": "ball_x", "value": 10 if told[0] > 40 else 70}]
        file = write_lines(tmp_path / "l.jsonl", rows)
        outcome = agentlab("label", catch, "--from", "jsonl", file, "--json")
        found = json.loads(outcome.out)
        assert found["disagreements"] == 1
        assert "says env" in found["examples"][0]


class TestSchemas:
    def test_of_boxes_are_places_in_pixels(self, bare: Recording, tmp_path: Path):
        found, after = imported(bare, "coco", coco(tmp_path / "c.json", [(0, "car", [0, 0, 4, 4])], ["car", "tree"]))
        assert after.label_schema == found.inferred
        assert dict(found.inferred or {}) == {
            "car_x": Number(0, WIDTH, "px"), "car_y": Number(0, HEIGHT, "px"), "car_visible": Flag(),
            "tree_x": Number(0, WIDTH, "px"), "tree_y": Number(0, HEIGHT, "px"), "tree_visible": Flag(),
        }  # fmt: skip
        assert said(after, 1, 0) == {"car_x": 2, "car_y": 2, "car_visible": True, "tree_visible": False}

    def test_of_values_are_of_their_kind_and_range(self, bare: Recording, tmp_path: Path):
        file = tmp_path / "l.csv"
        values = {"speed": ("3", "-1.5"), "lives": ("3", "3"), "paused": ("true", "false"), "screen": ("b", "a")}
        rows = [f"1,{t},{of},{value}" for of, pair in values.items() for t, value in enumerate(pair)]
        file.write_text("\n".join(["episode,frame,label,value", *rows]))
        found, after = imported(bare, "csv", file)
        assert dict(found.inferred or {}) == {
            "speed": Number(-1.5, 3), "lives": Number(3, 4), "paused": Flag(), "screen": Category(("a", "b")),
        }  # fmt: skip
        assert said(after, 1, 1) == {"speed": -1.5, "lives": 3, "paused": False, "screen": "a"}

    def test_of_class_folders_are_one_label(self, bare: Recording, tmp_path: Path):
        for frame, of in enumerate(("day", "night")):
            (tmp_path / "images" / of).mkdir(parents=True)
            (tmp_path / "images" / of / name(frame)).touch()
        found, after = imported(bare, "imagefolder", tmp_path / "images", folder_label="light")
        assert dict(found.inferred or {}) == {"light": Category(("day", "night"))}
        assert said(after, 1, 1) == {"light": "night"}

    def test_that_are_given_are_taken(self, bare: Recording, tmp_path: Path):
        found, after = imported(bare, "coco", coco(tmp_path / "c.json", [], ["ball"]), schema=SCHEMA)
        assert found.inferred is None
        assert after.label_schema == SCHEMA

    def test_are_not_given_for_a_recording_that_has_one(self, blank: Recording, tmp_path: Path):
        with pytest.raises(InputError, match="--schema: changes nothing here"):
            imported(blank, "coco", coco(tmp_path / "c.json", [], ["ball"]), schema=SCHEMA)


def test_an_extractor_is_fitted_on_the_labelled_frames_alone(bare: Recording, tmp_path: Path):
    rows = [
        {"episode": episode, "frame": t, "label": f"ball_{axis}", "value": 10 + t}
        for episode in (0, 1)
        for t in (0, 2, 3)
        for axis in "xy"
    ]
    _, recording = imported(bare, "jsonl", write_lines(tmp_path / "l.jsonl", rows))
    assert [np.flatnonzero(episode.labelled).tolist() for episode in recording] == [[0, 2, 3], [0, 2, 3]]
    meta = fitted(recording, tmp_path / "extractor").meta
    assert meta["frames"] == 3
    assert meta["labels"]["ball_x"]["frames"] == 3


def test_frames_of_one_episode_are_too_few_to_fit_and_judge_on(
    refuses: Callable[..., None], bare: Recording, tmp_path: Path
):
    rows = [{"episode": 1, "frame": t, "label": "score", "value": t} for t in range(4)]
    _, recording = imported(bare, "jsonl", write_lines(tmp_path / "l.jsonl", rows))
    message = "expected labelled frames in at least 2 episodes, found them in 1"
    refuses(["fit", recording.path, "--out", tmp_path / "extractor"], message)
    refuses(["run", "catch", "--recordings", recording.path, "--out", tmp_path / "run"], message)
