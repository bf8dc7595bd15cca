"""`inspect --check` reads everything, and names what is not as it was written."""

from __future__ import annotations

import json
import shutil

import pytest
from command import Command

from agentlab.recording import Recording, damages


@pytest.fixture
def copy(tmp_path, catch):
    return Recording(shutil.copytree(catch.path, tmp_path / "copy"))


def flip(file, position):
    content = bytearray(file.read_bytes())
    content[position] ^= 0x10
    file.write_bytes(content)


def test_a_recording_as_it_was_written_has_no_damages(catch, agentlab: Command):
    assert damages(catch) == []
    outcome = agentlab("inspect", catch.path, "--check")
    assert outcome.code == 0, outcome.err
    assert "every row and frame is as it was written" in outcome.out


def test_a_damaged_frame_is_named_and_the_exit_code_tells(copy, agentlab: Command):
    file = copy.path / "data/1/part-0.arrow"
    png = copy[1].encoded_frame(17)
    flip(file, file.read_bytes().index(png) + len(png) // 2)
    checksum, frame = damages(Recording(copy.path))
    assert "episode 1: expected a file with sha256" in checksum
    assert "episode 1: frame 17: expected the pixels that were hashed" in frame
    outcome = agentlab("inspect", copy.path, "--check", "--json")
    assert outcome.code == 1
    assert json.loads(outcome.out)["damages"] == [checksum, frame]


@pytest.mark.parametrize("name", ["part-0.arrow", "metadata.json"])
def test_a_file_that_is_missing_or_cut_is_named_and_the_others_are_still_read(copy, name, agentlab: Command):
    file = copy.path / "data/0" / name
    frame = copy.path / "data/1/part-0.arrow"
    png = copy[1].encoded_frame(17)
    flip(frame, frame.read_bytes().index(png) + len(png) // 2)
    content = file.read_bytes()
    for damage in (lambda: file.write_bytes(content[: len(content) // 2]), file.unlink):
        damage()
        first, *others = damages(Recording(copy.path))
        assert str(file) in first
        assert "episode 1: frame 17" in others[-1]
        outcome = agentlab("inspect", copy.path, "--check", "--json")
        assert outcome.code == 1
        assert json.loads(outcome.out)["damages"] == [first, *others]


def test_a_garbled_line_of_added_labels_is_named(copy):
    (copy.path / "data/1/_labels.jsonl").write_text('{"frame": 3, "labels": {"paddle_x": 20}}\n{"frame":')
    (found,) = damages(Recording(copy.path))
    assert "_labels.jsonl: line 2" in found


def test_a_total_that_is_wrong_is_named(copy):
    file = copy.path / "data/metadata.json"
    total = copy.total_steps
    file.write_text(json.dumps(json.loads(file.read_text()) | {"total_steps": total + 1}))
    assert damages(Recording(copy.path)) == [f"{copy.path}: expected {total + 1} steps in all, found {total}"]


def test_checking_is_for_recordings(tmp_path, agentlab: Command):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("env: agentlab/Catch-v0\n")
    outcome = agentlab("inspect", recipe, "--check")
    assert outcome.code == 2
    assert "--check is for recordings, found: recipe" in outcome.err
