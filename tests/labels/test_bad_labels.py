"""Bad label files of every kind: one line that names file, row and what is wrong, exit code 2, nothing changed."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from boards import HEIGHT, PLAIN, WIDTH, label
from command import Command, Refuses, assert_refused

from agentlab.recording import Recording

NAME = "board__ep000001__f000003.png"

COCO: dict[str, Any] = {
    "images": [{"id": 7, "file_name": NAME, "width": WIDTH, "height": HEIGHT}],
    "annotations": [{"id": 1, "image_id": 7, "category_id": 2, "bbox": [10, 10, 4, 4], "area": 16, "iscrowd": 0}],
    "categories": [{"id": 2, "name": "ball"}],
}
TASK: dict[str, Any] = {
    "data": {"image": f"/data/upload/1/0a1b2c3d-{NAME}"},
    "annotations": [
        {
            "result": [
                {
                    "from_name": "boxes",
                    "to_name": "image",
                    "type": "rectanglelabels",
                    "original_width": WIDTH,
                    "original_height": HEIGHT,
                    "value": {"x": 10, "y": 10, "width": 10, "height": 10, "rotation": 0, "rectanglelabels": ["ball"]},
                }
            ],
            "was_cancelled": False,
        }
    ],
}
IMAGE = f'<image id="0" name="{NAME}" width="{WIDTH}" height="{HEIGHT}">'


def box(**attributes: object) -> str:
    told = {"label": "ball", "xtl": 1, "ytl": 1, "xbr": 5, "ybr": 5, **attributes}
    return "<box " + " ".join(f'{name}="{value}"' for name, value in told.items()) + "/>"


BOX = box()


def changed(content: Any, at: str, value: Any) -> Any:
    """A copy in which the member at the dotted path `at` is `value`."""
    copy = json.loads(json.dumps(content))
    *path, last = [int(part) if part.isdigit() else part for part in at.split(".")]
    inner = copy
    for part in path:
        inner = inner[part]
    inner[last] = value
    return copy


def cvat(images: str, version: str = "1.1", head: str = "") -> str:
    return f"<?xml version='1.0'?>{head}<annotations><version>{version}</version>{images}</annotations>"


def csv(*rows: str) -> str:
    return "\n".join(["recording,episode,frame,label,value,annotator,created_at,source", *rows, ""])


def test_the_files_that_are_spoilt_below_are_good(agentlab: Any, blank: Recording, tmp_path: Path):
    files = {"coco": json.dumps(COCO), "label-studio": json.dumps([TASK]), "cvat": cvat(f"{IMAGE}{BOX}</image>")}
    for format, content in files.items():
        (tmp_path / "file").write_text(content)
        assert agentlab("label", blank.path, "--from", format, tmp_path / "file").code == 0, format


@pytest.mark.parametrize(
    ("at", "value", "parts"),
    [
        ("images.0.file_name", "ponk__ep000001__f000003.png", ["images[0]", "'ponk__ep000001__f000003.png'", "board"]),
        ("images.0.file_name", "frame3.png", ["images[0]", "expected the name <recording>__ep000012__f000345.png"]),
        ("images.0.file_name", "board__ep000002__f000003.png", ["images[0]", "an episode from 0 to 1, found 2"]),
        ("images.0.file_name", "board__ep000001__f000006.png", ["images[0]", "a frame of episode 1 from 0 to 5"]),
        ("images.0.file_name", f"../{NAME}", ["images[0]", "within the folder of images", "'../board"]),
        ("images.0.file_name", f"..\\{NAME}", ["images[0]", "within the folder of images"]),
        ("images.0.file_name", f"/{NAME}", ["images[0]", "within the folder of images"]),
        ("images.0.file_name", f"C:\\\\{NAME}", ["images[0]", "within the folder of images"]),
        ("images.0.file_name", 5, ["images[0], field 'file_name': expected text, found 5"]),
        ("images.0.width", 10**9, ["images[0]", f"an image of {WIDTH} x {HEIGHT} pixels", "found one of 1000000000"]),
        ("images.0.height", HEIGHT + 1, ["images[0]", f"found one of {WIDTH} x {HEIGHT + 1}"]),
        ("images.0.height", "high", ["images[0], field 'height': expected a finite number, found 'high'"]),
        ("images", [COCO["images"][0]] * 2, ["images[1], field 'id'", "found 7 again"]),
        ("annotations.0.bbox", [10, 10, 39, 4], ["annotations[0]", "box of 'ball': expected x within the frame, 0"]),
        ("annotations.0.bbox", [10, -1, 4, 4], ["annotations[0]", "y within the frame, 0 to 40, found -1 to 3"]),
        ("annotations.0.bbox", [10, 10, -4, 4], ["annotations[0]", "found 10 to 6"]),
        ("annotations.0.bbox", [10, 10, 4], ["annotations[0], field 'bbox': expected x, y, width, height"]),
        ("annotations.0.bbox", [10, float("nan"), 4, 4], ["annotations[0], field 'bbox': expected a finite number"]),
        ("annotations.0.bbox", [10, 10**400, 4, 4], ["annotations[0], field 'bbox': expected a finite number"]),
        ("annotations.0.bbox", "everywhere", ["annotations[0], field 'bbox': expected a list, found 'everywhere'"]),
        ("annotations.0.category_id", 3, ["annotations[0], field 'category_id'", "found 3"]),
        ("annotations.0.image_id", 3, ["annotations[0], field 'image_id'"]),
        ("annotations", COCO["annotations"] * 2, ["annotations[1]", "one box of 'ball'", "found another"]),
        ("annotations.0", 3, ["annotations[0]: expected an object, found 3"]),
        ("categories.0.name", "bal", ["annotations[0]", "category 'bal' has no label", "Did you mean 'ball'?"]),
        ("categories", COCO["categories"] * 2, ["categories[1], field 'id': expected an id of its own, found 2 again"]),
        ("categories", {}, ["field 'categories': expected a list, found {}"]),
        ("images", [], ["annotations[0], field 'image_id'"]),
    ],
)  # fmt: skip
def test_coco(at: str, value: Any, parts: list[str], refuses: Refuses, blank: Recording, tmp_path: Path):
    file = tmp_path / "coco.json"
    file.write_text(json.dumps(changed(COCO, at, value)))
    refuses(["label", blank.path, "--from", "coco", file], str(file), *parts)


RESULT = "0.annotations.0.result.0"


@pytest.mark.parametrize(
    ("at", "value", "parts"),
    [
        ("0.data.image", "ponk__ep000001__f000003.png", ["tasks[0]", "is no frame of the recording 'board'"]),
        ("0.data.image", f"/data/local-files/?d=../{NAME}", ["tasks[0]", "within the folder of images"]),
        ("0.data.image", "http://[::1", ["tasks[0]", "expected the URL or path of an image"]),
        ("0.data", {"text": "a"}, ["tasks[0], field 'data', field 'image': expected text, found None"]),
        ("0", {"image": NAME, "id": 3}, ["tasks[0], field 'data': expected an object, found None"]),
        ("0.annotations", 4, ["tasks[0], field 'annotations': expected a list, found 4"]),
        ("0.annotations.0", 4, ["tasks[0], annotations[0]: expected an object, found 4"]),
        ("0.annotations.0.result", None, ["annotations[0], field 'result': expected a list, found None"]),
        ("0.annotations.0.created_at", 4, ["annotations[0], field 'created_at': expected a time, found 4"]),
        ("0.annotations.0.created_at", "noon", ["annotations[0], field 'created_at'", "ISO 8601, found 'noon'"]),
        (f"{RESULT}.value.x", 95, ["result[0]", "box of 'ball': expected x within the frame, 0 to 48, found 45.6 to"]),
        (f"{RESULT}.value.x", None, ["result[0], field 'x': expected a finite number, found None"]),
        (f"{RESULT}.value.rotation", 45, ["result[0], field 'rotation': expected an upright box, found 45"]),
        (f"{RESULT}.value.rectanglelabels", ["ball", "ghost"], ["field 'rectanglelabels': expected one name"]),
        (f"{RESULT}.value.rectanglelabels", ["hall"], ["result[0]: category 'hall'", "Did you mean 'ball'?"]),
        (f"{RESULT}.original_width", 10**12, ["annotations[0]", "found one of 1000000000000 x 40"]),
        (RESULT, {"from_name": "screen", "type": "choices", "value": {"choices": ["tittle"]}},
         ["label 'screen'", "found 'tittle'. Did you mean 'title'?"]),
        (RESULT, {"from_name": "screen", "type": "choices", "value": {"choices": []}}, ["expected one name"]),
        (RESULT, {"from_name": "scor", "type": "number", "value": {"number": 0}},
         ["annotations[0]: label 'scor' is not in the schema. Did you mean 'score'?"]),
        (RESULT, {"from_name": "score", "type": "number", "value": {"number": 3}},
         ["annotations[0]: label 'score': expected a number from 0 to 0.1, found 3.0"]),
        (RESULT, {"from_name": "score", "type": "number", "value": {"number": float("nan")}}, ["'number': expected"]),
    ],
)  # fmt: skip
def test_label_studio(at: str, value: Any, parts: list[str], refuses: Refuses, blank: Recording, tmp_path: Path):
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps(changed([TASK], at, value)))
    refuses(["label", blank.path, "--from", "label-studio", file], str(file), *parts)


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (cvat(f"{IMAGE}{BOX}</image>", head=f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]>'), ["without entities and DTD"]),
        (cvat("<image/>", head='<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]>'), ["without entities and DTD"]),
        (cvat("<image/>", head='<!DOCTYPE a SYSTEM "http://localhost/a.dtd">'), ["without entities and DTD"]),
        (cvat(f"{IMAGE}{BOX}</image>")[:-40], ["expected XML, found a truncated or garbled file"]),
        (cvat(f"{IMAGE}{BOX}</image>", version="1.0"), ["version 1.1, found annotations 1.0"]),
        (cvat('<track id="0" label="ball"/>'), ["found tracks"]),
        ("<labels><version>1.1</version></labels>", ["version 1.1, found labels 1.1"]),
        ("<html><body/></html>", ["expected CVAT's annotations, version 1.1, found html None"]),
        (cvat(f"{IMAGE}{BOX}{BOX}</image>"), ["image[0], box[1]", "one box of 'ball'"]),
        (cvat(f"{IMAGE.replace('48', '99999999')}{BOX}</image>"), ["image[0]", "found one of 99999999 x 40"]),
        (cvat(f"{IMAGE.replace('board', '../board')}{BOX}</image>"), ["image[0]", "within the folder of images"]),
        (cvat(f"{IMAGE.replace('board', 'ponk')}{BOX}</image>"), ["image[0]", "is no frame of the recording 'board'"]),
        (cvat(f"<image>{BOX}</image>"), ["image[0]: expected the attribute 'name'"]),
        (cvat(f"{IMAGE}{box(xbr='')}</image>"), ["box[0], attribute 'xbr': expected a finite number"]),
        (cvat(f"{IMAGE}{box(xbr='nan')}</image>"), ["box[0], attribute 'xbr': expected a finite number"]),
        (cvat(f"{IMAGE}{box(xbr=49)}</image>"), ["box[0]", "0 to 48, found 1 to 49"]),
        (cvat(f"{IMAGE}{box(rotation=45)}</image>"), ["box[0]", "upright box, found 45"]),
        (cvat(f'{IMAGE}<tag label="pausd"/></image>'), ["image[0]: expected a class of the schema, found 'pausd'"]),
        (cvat(f'{IMAGE}<tag label="score"><attribute name="value">many</attribute></tag></image>'),
         ["image[0]: label 'score': expected a number, found 'many'"]),
        (cvat(f'{IMAGE}<tag label="paused"><attribute name="value">maybe</attribute></tag></image>'),
         ["image[0]: label 'paused': expected true or false, found 'maybe'"]),
        (cvat(f'{IMAGE}{BOX}<tag label="ball_visible"><attribute name="value">false</attribute></tag></image>'),
         ["label 'ball_visible': expected one answer, found False and a box that says True"]),
    ],
)  # fmt: skip
def test_cvat(content: str, parts: list[str], refuses: Refuses, blank: Recording, tmp_path: Path):
    file = tmp_path / "cvat.xml"
    file.write_text(content)
    refuses(["label", blank.path, "--from", "cvat", file], str(file), *parts)


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        ("board,1,3,paused,maybe,,,", ["line 2: label 'paused': expected true or false, found 'maybe'"]),
        ("board,1,3,pausd,true,,,", ["line 2: label 'pausd' is not in the schema. Did you mean 'paused'?"]),
        ("board,1,3,score,0.2,,,", ["line 2: label 'score': expected a number from 0 to 0.1, found 0.2"]),
        ("board,1,3,score,nan,,,", ["line 2: label 'score': expected a number from 0 to 0.1, found nan"]),
        ("board,1,3,screen,tittle,,,", ["line 2: label 'screen'", "Did you mean 'title'?"]),
        ("board,1,33,score,0,,,", ["line 2", "a frame of episode 1 from 0 to 5, found 33"]),
        ("board,9,3,score,0,,,", ["line 2", "an episode from 0 to 1, found 9"]),
        ("ponk,1,3,score,0,,,", ["line 2", "'board'"]),
        ("board,one,3,score,0,,,", ["line 2, field 'episode'", "found 'one'"]),
        ("board,1,-3,score,0,,,", ["line 2, field 'frame'", "found '-3'"]),
        ("board,1,3,,0,,,", ["line 2, field 'label'", "found nothing"]),
        ("board,1,3,score,0,,noon,", ["line 2, field 'created_at'", "found 'noon'"]),
        ("board,1,3,score,0,,,extractor", ["line 2, field 'source': expected labels, found predictions"]),
        ("board,1,3,score", ["line 2: expected 8 fields"]),
        ("board,1,3,score,0,,,,,", ["line 2: expected 8 fields"]),
        ('board,1,3,"score,0', ["expected CSV, found a garbled row"]),
    ],
)
def test_csv(row: str, parts: list[str], refuses: Refuses, blank: Recording, tmp_path: Path):
    file = tmp_path / "labels.csv"
    file.write_text(csv(row))
    refuses(["label", blank.path, "--from", "csv", file], str(file), *parts)


def test_csv_with_other_fields(refuses: Refuses, blank: Recording, tmp_path: Path):
    file = tmp_path / "labels.csv"
    file.write_text("episode,frame,label,valeu\n1,3,score,0\n")
    refuses(["label", blank.path, "--from", "csv", file], "line 1: unknown field 'valeu'. Did you mean 'value'?")
    file.write_text("episode,frame,label\n1,3,score\n")
    refuses(["label", blank.path, "--from", "csv", file], "line 1", "found no 'value'")
    file.write_text("")
    refuses(["label", blank.path, "--from", "csv", file], "line 1", "found no 'episode'")
    file.write_text(csv())
    refuses(["label", blank.path, "--from", "csv", file], "expected labels of frames", "found none")


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ('{"episode": 1, "frame": 3, "label": "score", "value": 3}', ["line 2: label 'score'", "found 3"]),
        ('{"episode": 1, "frame": 3, "label": "score", "value": -1}', ["line 2: label 'score'", "found -1"]),
        ('{"episode": 1, "frame": 3, "label": "paused", "value": 3}', ["line 2: label 'paused'", "found 3"]),
        ('{"episode": 1, "frame": 3, "label": "paused", "value": "off"}', ["line 2: label 'paused'", "found 'off'"]),
        ('{"episode": 1, "frame": 3, "label": "score", "value": NaN}', ["line 2: label 'score'", "found nan"]),
        ('{"episode": 1, "frame": 3, "label": "score", "value": [1]}', ["line 2: label 'score'", "found [1]"]),
        ('{"episode": 1, "frame": 3.5, "label": "score", "value": 0}', ["line 2, field 'frame'", "found 3.5"]),
        ('{"episode": 1, "frame": true, "label": "score", "value": 0}', ["line 2, field 'frame'", "found True"]),
        ('{"episode": 1, "frame": 3, "label": 7, "value": 0}', ["line 2, field 'label': expected text, found 7"]),
        ('{"episode": 1, "frame": 3, "label": "score"}', ["line 2", "found no 'value'"]),
        ('{"episode": 1, "frame": 3, "lable": "score", "value": 0}', ["line 2: unknown field 'lable'. Did you mean"]),
        ('{"episode": 1, "frame": 3, "label": "sco', ["line 2: expected JSON, found a truncated"]),
        ("[" * 100_000, ["line 2: expected JSON"]),
        ("3", ["line 2: expected an object, found 3"]),
    ],
)
def test_json_lines(line: str, parts: list[str], refuses: Refuses, blank: Recording, tmp_path: Path):
    file = tmp_path / "labels.jsonl"
    file.write_text('{"episode": 0, "frame": 0, "label": "paused", "value": true}\n' + line)
    refuses(["label", blank.path, "--from", "jsonl", file], str(file), *parts)


@pytest.mark.parametrize("format", ["csv", "jsonl", "coco", "label-studio", "cvat"])
@pytest.mark.parametrize(
    ("content", "part"),
    [(b"\x80\xff\x00\xfe", "expected"), (b"PK\x03\x04rest", "unpack it"), (b"", "expected"), (b'{"a": 3}', "file")],
)
def test_files_of_another_kind(
    format: str, content: bytes, part: str, refuses: Refuses, blank: Recording, tmp_path: Path
):
    file = tmp_path / "file"
    file.write_bytes(content)
    refuses(["label", blank.path, "--from", format, file], str(file), part)


@pytest.mark.parametrize("format", ["coco", "label-studio"])
def test_truncated_files(format: str, refuses: Refuses, blank: Recording, tmp_path: Path):
    file = tmp_path / "file.json"
    content = json.dumps(COCO if format == "coco" else [TASK])
    file.write_text(content[: len(content) * 2 // 3])
    refuses(["label", blank.path, "--from", format, file], str(file), "expected JSON, found a truncated or garbled")


@pytest.mark.parametrize("format", ["csv", "jsonl", "coco", "cvat", "label-studio"])
def test_files_without_end(format: str, refuses: Refuses, blank: Recording, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("agentlab.labels.formats.files.MOST_BYTES", 10**6)
    refuses(["label", blank.path, "--from", format, "/dev/zero"], "/dev/zero: expected at most 1,000,000 bytes")


def test_one_format_taken_for_another(refuses: Refuses, blank: Recording, tmp_path: Path):
    file = tmp_path / "file.json"
    file.write_text(json.dumps([TASK]))
    refuses(["label", blank.path, "--from", "coco", file], "expected COCO's JSON, an object with images, annotations")
    file.write_text(json.dumps({"images": [], "annotations": []}))
    refuses(["label", blank.path, "--from", "coco", file], "expected COCO's JSON, an object with images, annotations")
    file.write_text(json.dumps(COCO))
    refuses(["label", blank.path, "--from", "label-studio", file], "expected Label Studio's JSON, a list of tasks")


def test_of_a_large_value_the_beginning_is_shown(agentlab: Command, blank: Recording, tmp_path: Path):
    file = tmp_path / "file.json"
    file.write_text(json.dumps([TASK] * 10))
    outcome = agentlab("label", blank.path, "--from", "coco", file)
    assert_refused(outcome, "found [{'")
    assert len(outcome.err) < len(str(file)) + 300


@pytest.mark.parametrize("format", ["csv", "jsonl", "imagefolder", "coco", "label-studio", "cvat"])
def test_paths_that_are_not_there(format: str, refuses: Refuses, blank: Recording, tmp_path: Path):
    refuses(["label", blank.path, "--from", format, tmp_path / "none"], str(tmp_path / "none"))
    refuses(["label", blank.path, "--from", format, blank.path], str(blank.path))
    refuses(["label", blank.path, "--from", format], f"label --from {format}: expected PATH, found none")


def png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", width, height, 8, 0, 0, 0, 0)


def image_folder(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


@pytest.mark.parametrize(
    ("files", "parts"),
    [
        ({f"train/tittle/{NAME}": b""}, ["tittle", "expected a class of the schema", "Did you mean 'title'?"]),
        ({"train/title/a.png": b""}, ["a.png", "expected the name <recording>__ep000012__f000345.png"]),
        ({NAME: b""}, [NAME, "expected the image in a folder named as its class"]),
        ({f"title/{NAME}": png_header(2**31 - 1, 2**31 - 1)}, [NAME, "found one of 2147483647 x 2147483647"]),
        ({"notes.txt": b""}, ["expected metadata.jsonl, or PNG images in folders"]),
        ({"metadata.jsonl": f'{{"file_name": "../{NAME}", "paused": true}}'}, ["line 1", "within the folder"]),
        ({"metadata.jsonl": f'{{"file_name": "/{NAME}", "paused": true}}'}, ["line 1", "within the folder of images"]),
        ({"metadata.jsonl": '{"file_name": "a\\u0000.png", "paused": true}'}, ["line 1", "expected the name"]),
        ({"metadata.jsonl": f'{{"file_name": "{NAME}", "pausd": true}}'}, ["line 1: label 'pausd'", "Did you mean"]),
        ({"metadata.jsonl": f'{{"file": "{NAME}"}}'}, ["line 1, field 'file_name': expected text, found None"]),
        ({"metadata.jsonl": "{"}, ["line 1: expected JSON"]),
        ({"metadata.jsonl": b"\xff"}, ["expected text in UTF-8"]),
        ({"metadata.jsonl": f'{{"file_name": "{NAME}", "paused": true}}', NAME: png_header(10**9, 4)},
         ["line 1", "found one of 1000000000 x 4"]),
    ],
)  # fmt: skip
def test_image_folders(
    files: dict[str, bytes | str], parts: list[str], refuses: Refuses, blank: Recording, tmp_path: Path
):
    folder = image_folder(tmp_path / "images", files)
    refuses(["label", blank.path, "--from", "imagefolder", folder, "--label", "screen"], str(folder), *parts)


def test_sources_that_disagree_under_strict(refuses: Refuses, blank: Recording, tmp_path: Path):
    label(blank.path, {(1, 3): {"paused": False, "ball_x": 20.0}}, annotator="ann")
    file = tmp_path / "labels.csv"
    file.write_text(csv("board,1,3,paused,true,,,", "board,1,3,ball_x,21,,,"))
    parts = ["sources disagree: episode 1, frame 3, label 'ball_x': 20.0 says hand (ann), 21.0 says csv and 1 more"]
    refuses(["label", blank.path, "--from", "csv", file, "--strict"], *parts)


def test_boxes_of_labels_that_are_not_in_pixels(refuses: Refuses, bare: Recording, tmp_path: Path):
    (tmp_path / "schema.yaml").write_text(
        json.dumps({name: {**PLAIN[name], "unit": "ram"} for name in ("ball_x", "ball_y")})
    )
    (tmp_path / "coco.json").write_text(json.dumps(COCO))
    args = ["label", bare.path, "--from", "coco", tmp_path / "coco.json", "--schema", tmp_path / "schema.yaml"]
    refuses(args, "annotations[0]: a box gives pixels, but label 'ball_x' is", "ram")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("ball_x: {kind: numbr}", ["label 'ball_x': unknown kind 'numbr'. Did you mean 'number'?"]),
        ("ball_x: [", ["expected YAML"]),
        ("3: {kind: flag}", ["label 3: expected a name that is text"]),
        ("screen: {kind: category, classes: [[1], [1]]}", ["at least two distinct names"]),
        ("- a", ["expected a mapping"]),
    ],
)
def test_schemas(content: str, parts: list[str], refuses: Refuses, bare: Recording, tmp_path: Path):
    file = tmp_path / "schema.yaml"
    file.write_text(content)
    (tmp_path / "labels.csv").write_text(csv("board,1,3,score,0,,,"))
    args = ["label", bare.path, "--from", "csv", tmp_path / "labels.csv", "--schema"]
    refuses([*args, file], str(file), *parts)
    refuses([*args, tmp_path / "none.yaml"], str(tmp_path / "none.yaml"))


def test_values_that_tell_no_schema(refuses: Refuses, bare: Recording, tmp_path: Path):
    file = tmp_path / "labels.csv"
    file.write_text(csv("board,1,3,screen,title,,,"))
    refuses(["label", bare.path, "--from", "csv", file], "label 'screen'", "--schema FILE")
    file.write_text(csv("board,1,3,screen,,,,"))
    refuses(["label", bare.path, "--from", "csv", file], "label 'screen'", "--schema FILE")
    file.write_text(csv())
    refuses(["label", bare.path, "--from", "csv", file], "found none", "--schema FILE")


def test_a_class_of_several_labels(refuses: Refuses, bare: Recording, tmp_path: Path):
    spec = {"kind": "category", "classes": ["day", "night"]}
    (tmp_path / "schema.yaml").write_text(json.dumps({"left": spec, "right": spec}))
    folder = image_folder(tmp_path / "images", {f"day/{NAME}": b""})
    args = ["label", bare.path, "--from", "imagefolder", folder, "--schema", tmp_path / "schema.yaml"]
    refuses(args, "'day' is a class of left and right; say of which with --label NAME")
    refuses([*args, "--label", "middle"], "expected a class of the schema, found 'day'")
