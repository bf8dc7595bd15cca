"""Files that the libraries of the label tools wrote are read, and they read ours; `fixtures/make.py` made the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from boards import copy_of, label, said

from agentlab.labels.exporting import Request, export_frames
from agentlab.labels.importing import Source, import_labels
from agentlab.labels.sampling import all_frames
from agentlab.recording import Recording

FIXTURES = Path(__file__).parent / "fixtures"
BALL = {"ball_x": 12.5, "ball_y": 22, "ball_visible": True}
BOTH = {"ball_x": 2, "ball_y": 2, "ball_visible": True, "ghost_x": 33.25, "ghost_y": 10, "ghost_visible": True}
NEITHER = {"ball_visible": False, "ghost_visible": False}

EXPECTED: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "datumaro_coco.json": ("coco", [{**BALL, "ghost_visible": False}, BOTH, NEITHER, NEITHER]),
    "datumaro_cvat.xml": (
        "cvat",
        [
            {**BALL, "ghost_visible": False, "screen": "in play"},
            BOTH,
            {**NEITHER, "paused": True, "score": pytest.approx(0.05)},
            {},
        ],
    ),
    "label_studio_sdk.json": (
        "label-studio",
        [
            {"ball_x": 15, "ball_y": 22, "ball_visible": True, "ghost_visible": False, "screen": "in play"},
            {
                "ball_x": pytest.approx(2.4), "ball_y": 2, "ball_visible": True,
                "ghost_x": 30, "ghost_y": 22, "ghost_visible": True,
            },
            {**NEITHER, "score": pytest.approx(0.05)},
            {},
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_what_the_libraries_wrote_is_read(name: str, blank: Recording):
    format, expected = EXPECTED[name]
    found = import_labels(blank, Source(format, FIXTURES / name))
    recording = Recording(blank.path)
    assert [said(recording, 1, frame) for frame in range(4)] == expected
    assert said(recording, 0, 0) == {}
    assert (found.unmatched, dict(found.left_out)) == ((), {})


def test_pycocotools_read_what_we_write(board: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from pycocotools.coco import COCO

    values = {(1, 0): {**BALL, "ghost_visible": False}, (1, 1): BOTH}
    recording = label(copy_of(board, tmp_path).path, values)
    export_frames(recording, Request("coco", all_frames(recording)), tmp_path / "out")
    read = COCO(str(tmp_path / "out" / "annotations.json"))
    capsys.readouterr()
    names = {number: category["name"] for number, category in read.cats.items()}
    images = {image["file_name"]: number for number, image in read.imgs.items()}
    assert len(images) == recording.total_frames
    assert all((tmp_path / "out" / "images" / name).is_file() for name in images)
    boxes = {
        (name, names[row["category_id"]]): row["bbox"]
        for name, number in images.items()
        for row in read.loadAnns(read.getAnnIds(imgIds=[number]))
    }
    assert boxes == {
        ("board__ep000001__f000000.png", "ball"): [8.5, 18, 8, 8],
        ("board__ep000001__f000001.png", "ball"): [0, 0, 4, 4],
        ("board__ep000001__f000001.png", "ghost"): [29.25, 6, 8, 8],
    }
