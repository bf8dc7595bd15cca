"""`agentlab label`: what it takes, in which order, and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from boards import PLAIN, SCHEMA, copy_of, label, said
from command import Command

from agentlab.recording import Recording

HEADER = "recording,episode,frame,label,value,annotator,created_at,source"


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    file = tmp_path / "labels.csv"
    file.write_text(f"{HEADER}\nboard,1,3,paused,true,ann,,\nboard,1,3,score,0.05,,,\nboard,1,30,paused,true,,,\n")
    return file


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    file = tmp_path / "schema.yaml"
    file.write_text(yaml.safe_dump(PLAIN, sort_keys=False))
    return file


@pytest.mark.parametrize(
    "args",
    [
        "REC --from csv PATH --skip-unmatched",
        "REC --skip-unmatched --from csv PATH",
        "REC --from=csv PATH --skip-unmatched",
        "--skip-unmatched REC --from csv PATH",
        "--from csv PATH REC --skip-unmatched",
        "--skip-unmatched --from csv PATH REC --json",
        "REC PATH --from csv --skip-unmatched",
    ],
)
def test_options_may_stand_in_any_order(args: str, agentlab: Command, blank: Recording, csv: Path):
    places = {"REC": blank.path, "PATH": csv}
    outcome = agentlab("label", *(places.get(arg, arg) for arg in args.split()))
    assert outcome.code == 0, outcome.err
    assert said(Recording(blank.path), 1, 3)["paused"] is True


@pytest.mark.parametrize("args", ["REC --from env", "--from env REC"])
def test_the_environment_needs_no_path(args: str, agentlab: Command, catch: Path):
    outcome = agentlab("label", *(catch if arg == "REC" else arg for arg in args.split()))
    assert outcome.code == 0, outcome.err
    assert f"{Recording(catch).total_frames:,} frames labelled" in outcome.out


def test_an_import_says_what_it_did(agentlab: Command, blank: Recording, csv: Path):
    label(blank.path, {(1, 3): {"paused": False}})
    outcome = agentlab("label", blank.path, "--from", "csv", csv, "--skip-unmatched", "--annotator", "bob")
    assert outcome.out.splitlines() == [
        f"{blank.path}: 1 frames labelled",
        "1 names matched no frame: board__ep000001__f000030",
        "1 values differ from another source's, the last one wins:",
        "episode 1, frame 3, label 'paused': False says hand, True says csv (ann)",
    ]
    annotators = [each.annotator for each in Recording(blank.path)[1].added_labels]
    assert annotators == [None, "ann", "bob"]


def test_an_import_says_it_to_machines(agentlab: Command, blank: Recording, csv: Path):
    outcome = agentlab("label", blank.path, "--from", "csv", csv, "--skip-unmatched", "--json")
    assert json.loads(outcome.out) == {
        "recording": str(blank.path),
        "frames": 1,
        "disagreements": 0,
        "examples": [],
        "unmatched": ["board__ep000001__f000030"],
        "left_out": {},
        "schema": None,
    }


def test_an_import_says_which_labels_it_took_from_the_source(agentlab: Command, bare: Recording, csv: Path):
    outcome = agentlab("label", bare.path, "--from", "csv", csv, "--skip-unmatched")
    assert f"paused: a flag, taken from {csv}" in outcome.out
    assert f"score: a number from 0.05 to 1.05, taken from {csv}" in outcome.out


def test_the_schema_of_a_file_is_taken(agentlab: Command, bare: Recording, csv: Path, schema: Path):
    assert agentlab("label", bare.path, "--from", "csv", csv, "--skip-unmatched", "--schema", schema).code == 0
    assert Recording(bare.path).label_schema == SCHEMA


@pytest.mark.parametrize("format", ["csv", "jsonl", "imagefolder", "coco", "label-studio", "cvat"])
def test_what_the_command_exports_it_imports(format: str, agentlab: Command, board: Recording, tmp_path: Path):
    values = {"ball_x": 12.5, "ball_y": 7.0, "ball_visible": True}
    recording = label(copy_of(board, tmp_path).path, {(0, 4): values})
    out = tmp_path / "out"
    exported = agentlab("label", recording.path, "--export", format, "--out", out, "--json")
    assert json.loads(exported.out) == {"out": str(out), "format": format, "frames": 12, "labelled": 1, "not_held": {}}
    assert "export: 12/12 frames" in exported.err
    for file in recording.path.rglob("_labels.jsonl"):
        file.unlink()
    outcome = agentlab("label", recording.path, "--from", format, out)
    assert outcome.code == 0, outcome.err
    assert said(Recording(recording.path), 0, 4) == values


def test_an_export_says_what_the_format_cannot_hold(agentlab: Command, board: Recording, tmp_path: Path):
    recording = label(copy_of(board, tmp_path).path, {(0, 4): {"paused": True}, (0, 5): {"paused": True, "score": 0.0}})
    outcome = agentlab("label", recording.path, "--export", "coco", "--out", tmp_path / "out")
    assert "not in it, for coco cannot hold them: paused of 2 frames, score of 1 frames" in outcome.out


def test_an_export_sets_the_tools_up(agentlab: Command, bare: Recording, schema: Path, tmp_path: Path):
    for format in ("label-studio", "cvat"):
        args = ["label", bare.path, "--export", format, "--out", tmp_path / format, "--sample", 3, "--schema", schema]
        outcome = agentlab(*args)
        assert outcome.code == 0, outcome.err
        assert "images/" in outcome.out.splitlines()[-1]
        assert Recording(bare.path).label_schema is None
    config = ElementTree.parse(tmp_path / "label-studio" / "config.xml").getroot()
    assert [each.get("value") for each in config.iter("Label")] == ["ball", "ghost", "door"]
    named = {each.get("name"): [choice.get("value") for choice in each] for each in config.iter("Choices")}
    assert named == {
        "ball_visible": ["true", "false", "unknown"],
        "ghost_visible": ["true", "false", "unknown"],
        "screen": ["title", "in play", "über"],
        "paused": ["true", "false"],
    }
    (number,) = config.iter("Number")
    assert (number.get("name"), number.get("min"), number.get("max")) == ("score", "0", "0.1")
    labels = {each["name"]: each for each in json.loads((tmp_path / "cvat" / "labels.json").read_text())}
    assert [name for name, each in labels.items() if each["type"] == "rectangle"] == ["ball", "ghost", "door"]
    kinds = {name: each["attributes"][0]["input_type"] for name, each in labels.items() if each["type"] == "tag"}
    assert kinds == {
        "ball_visible": "select",
        "ghost_visible": "select",
        "screen": "select",
        "paused": "checkbox",
        "score": "number",
    }


def test_a_sample_says_when_there_are_fewer_frames(agentlab: Command, blank: Recording, tmp_path: Path):
    outcome = agentlab("label", blank.path, "--export", "csv", "--out", tmp_path / "out", "--sample", 99)
    assert "no more than 12 frames are not labelled by a person yet" in outcome.out


def test_an_export_is_replaced_with_force_and_nothing_else_is(
    agentlab: Command, refuses: Callable[..., None], blank: Recording, tmp_path: Path
):
    args: list[Any] = ["label", blank.path, "--export", "csv", "--out", tmp_path / "out"]
    assert agentlab(*args, "--sample", 2).code == 0
    refuses(args, "exists already", "--force")
    assert agentlab(*args, "--force", "--sample", 3).code == 0
    assert len(list((tmp_path / "out" / "images").iterdir())) == 3
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("precious")
    refuses([*args[:-1], tmp_path / "thesis", "--force"], "expected an artefact of agentlab to replace")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "label: expected --from SOURCE or --export FORMAT --out DIR, found neither"),
        (
            ["--from", "env", "--export", "csv"],
            "label: expected --from SOURCE or --export FORMAT --out DIR, found both",
        ),
        (["--from", "cocoa", "x"], "--from: expected 'env' or"),
        (["--from", "csv"], "label --from csv: expected PATH, found none"),
        (["--from", "extractor"], "label --from extractor: expected PATH, found none"),
        (["--from", "env", "x"], "label --from env: PATH changes nothing here"),
        (["--export", "csv"], "label --export csv: expected --out, found none"),
        (["--export", "csv", "--out", "o", "x"], "label --export csv: PATH changes nothing here"),
        (["--export", "csv", "--out", "o", "--how", "diverse"], "label --export csv: --how changes nothing here"),
        (["--export", "csv", "--out", "o", "--sample", "0"], "--sample: expected a whole number of at least 1"),
        (["--export", "csv", "--out", "o", "--sample", "2", "--seed", "3"], "--seed changes nothing here"),
        (["--export", "csv", "--out", "o", "--label", "screen"], "--label changes nothing here"),
        (["--export", "csv", "--out", "o", "--strict"], "--strict changes nothing here"),
        (["--export", "imagefolder", "--out", "o", "--label", "scren"], "found 'scren'. Did you mean 'screen'?"),
        (["--from", "env", "--skip-unmatched"], "label --from env: --skip-unmatched changes nothing here"),
        (["--from", "coco", "x", "--label", "screen"], "label --from coco: --label changes nothing here"),
        (["--from", "csv", "x", "--out", "o"], "label --from csv: --out changes nothing here"),
        (["--from", "csv", "x", "--force"], "label --from csv: --force changes nothing here"),
        (["--from", "csv", "x", "--device", "cpu"], "label --from csv: --device changes nothing here"),
    ],
)
def test_what_makes_no_sense_is_refused(args: list[str], message: str, refuses: Callable[..., None], blank: Recording):
    refuses(["label", blank.path, *args], message)


def test_tools_that_are_to_be_told_what_to_label_need_a_schema(
    refuses: Callable[..., None], bare: Recording, tmp_path: Path
):
    for format in ("label-studio", "cvat"):
        refuses(["label", bare.path, "--export", format, "--out", tmp_path / "out"], "label schema", "--schema FILE")


def test_classes_that_can_be_no_folders(refuses: Callable[..., None], bare: Recording, tmp_path: Path):
    for name in ("../up", "a/b", ".", "", "unsorted"):
        (tmp_path / "s.yaml").write_text(yaml.safe_dump({"screen": {"kind": "category", "classes": ["a", name]}}))
        args = [
            "--export",
            "imagefolder",
            "--out",
            tmp_path / "out",
            "--label",
            "screen",
            "--schema",
            tmp_path / "s.yaml",
        ]
        refuses(["label", bare.path, *args], f"class {name!r} cannot be the name of a folder")


def test_labels_of_the_environment_differ_from_a_persons_under_strict(
    agentlab: Command, refuses: Callable[..., None], catch: Path, tmp_path: Path
):
    told = Recording(catch)[0].labels[3, 0]
    (tmp_path / "l.csv").write_text(f"{HEADER}\n,0,3,ball_x,{10 if told > 40 else 70},,,\n")
    assert agentlab("label", catch, "--from", "csv", tmp_path / "l.csv").code == 0
    refuses(["label", catch, "--from", "env", "--strict"], "sources disagree: episode 0, frame 3, label 'ball_x'")
    outcome = agentlab("label", catch, "--from", "env")
    assert "1 values differ from another source's" in outcome.out
    assert Recording(catch)[0].labels[3, 0] == told
