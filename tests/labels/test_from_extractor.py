"""Predictions of an extractor are stored beside the labels, with their confidence, and never taken for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command import Command
from tiny import SQUARE, recorded

from agentlab.errors import InputError
from agentlab.extractor import FrozenExtractor
from agentlab.labels.from_extractor import predict_labels
from agentlab.recording import Recording


@pytest.fixture
def unlabelled(tmp_path: Path) -> Recording:
    return recorded("games:Test/Unlabelled-v0", tmp_path / "unlabelled", episodes=2)


def test_are_what_the_extractor_says_of_the_frames(unlabelled: Recording, square_extractor: FrozenExtractor):
    assert predict_labels(unlabelled, square_extractor) == unlabelled.total_frames
    for episode in unlabelled:
        found = episode.predictions
        assert found is not None
        frames = episode.frames(range(episode.n_frames))
        np.testing.assert_array_equal(found.labels, square_extractor.predict_labels(frames))
        assert found.confidences.shape == found.labels.shape
        assert (found.confidences >= 0).all()
        assert (found.confidences <= 1).all()
        assert found.schema == square_extractor.label_schema
        assert found.source["sha256"] == square_extractor.fingerprint
        assert found.source["path"] == str(square_extractor.folder)


def test_are_no_labels(agentlab: Command, unlabelled: Recording, square_extractor: FrozenExtractor, tmp_path: Path):
    fingerprint = unlabelled.fingerprint()
    predict_labels(unlabelled, square_extractor)
    after = Recording(unlabelled.path)
    assert after.label_schema is None
    assert after[0].added_labels == []
    assert after.fingerprint() == fingerprint
    outcome = agentlab("fit", unlabelled.path, "--out", tmp_path / "out")
    assert (outcome.code, "expected labelled frames" in outcome.err) == (2, True)


def test_do_not_change_labels_that_are_there(tmp_path: Path, square_extractor: FrozenExtractor):
    recording = recorded(SQUARE, tmp_path / "labelled", episodes=1)
    before = recording[0].labels
    predict_labels(recording, square_extractor)
    np.testing.assert_array_equal(Recording(recording.path)[0].labels, before)


def test_the_command_takes_an_extractor_or_a_run(
    agentlab: Command, unlabelled: Recording, square_extractor: FrozenExtractor, tmp_path: Path
):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "extractor").symlink_to(square_extractor.folder)
    for path in (square_extractor.folder, tmp_path / "run"):
        outcome = agentlab("label", unlabelled.path, "--from", "extractor", path, "--json")
        assert json.loads(outcome.out) == {
            "recording": str(unlabelled.path),
            "predicted": unlabelled.total_frames,
            "extractor": square_extractor.fingerprint,
        }
        assert "predict: 22/22 frames" in outcome.err


def test_the_command_exports_what_is_unsure(agentlab: Command, tmp_path: Path, square_extractor: FrozenExtractor):
    recording = recorded(SQUARE, tmp_path / "labelled", episodes=2)
    predict_labels(recording, square_extractor)
    args = ["label", recording.path, "--export", "cvat", "--out", tmp_path / "out", "--sample", 3, "--how", "uncertain"]
    assert agentlab(*args).code == 0
    assert len(list((tmp_path / "out" / "images").iterdir())) == 3


def test_frames_of_another_shape_are_refused(tmp_path: Path, square_extractor: FrozenExtractor):
    wide = recorded("games:Test/Wide-v0", tmp_path / "wide", episodes=1)
    with pytest.raises(InputError, match=r"expected frames of shape \(32, 32\), those of the extractor"):
        predict_labels(wide, square_extractor)
    assert not list(wide.path.rglob("_predictions*"))


def test_what_is_no_extractor_is_refused(
    refuses: Callable[..., None], blank: Recording, square_extractor: FrozenExtractor, tmp_path: Path
):
    refuses(["label", blank.path, "--from", "extractor", tmp_path / "none"], str(tmp_path / "none"), "no such file")
    refuses(
        ["label", blank.path, "--from", "extractor", blank.path],
        f"{blank.path}/meta.json: no such file; expected the folder of a trained extractor",
    )
    refuses(["label", blank.path, "--from", "extractor", square_extractor.folder], "expected frames of shape (32, 32)")


def test_what_is_unsure_is_not_exported_before_it_is_known(
    refuses: Callable[..., None], blank: Recording, tmp_path: Path
):
    args = ["--export", "csv", "--out", tmp_path / "out", "--sample", 3, "--how", "uncertain"]
    refuses(["label", blank.path, *args], "expected predicted labels of every episode", "--from extractor RUN")


def test_a_damaged_frame_leaves_nothing_half_predicted(
    refuses: Callable[..., None], unlabelled: Recording, square_extractor: FrozenExtractor
):
    file = unlabelled.path / "data" / "1" / "part-0.arrow"
    file.write_bytes(file.read_bytes().replace(b"IDAT", b"IDAX"))
    refuses(["label", unlabelled.path, "--from", "extractor", square_extractor.folder], str(file), "garbled")
