"""A recording without labels takes them from its environment, for exactly the frames that were recorded."""

from __future__ import annotations

import json

import numpy as np
import pytest

from agentlab.environment import open_environment
from agentlab.errors import InputError
from agentlab.labels.from_env import label_from_env
from agentlab.recording import RandomPolicy, Recording, header, record, verify

CATCH = "agentlab/Catch-v0"


@pytest.fixture
def unlabelled(tmp_path):
    """Two episodes of Catch whose labels were thrown away."""
    env = open_environment(CATCH, {})
    labelled = record_with_labels(env, tmp_path / "labelled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(header, "wrapper_attribute", lambda env, name: None)  # noqa: ARG005
        return labelled, record_with_labels(env, tmp_path / "unlabelled")


def record_with_labels(env, path):
    record(env, path, RandomPolicy(env.action_space), episodes=2, seed=3, env_id=CATCH, max_steps=40)
    return Recording(path)


def test_labels_from_the_environment_are_those_it_gave_while_recording(unlabelled):
    labelled, recording = unlabelled
    assert recording.label_schema is None
    assert label_from_env(recording).frames == recording.total_frames
    after = Recording(recording.path)
    assert after.label_schema == labelled.label_schema
    for one, other in zip(after, labelled, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
    assert after.fingerprint() != recording.fingerprint()
    assert verify(after).difference is None


def test_every_label_says_where_it_came_from(unlabelled):
    _, recording = unlabelled
    label_from_env(recording)
    lines = (recording.path / "data" / "0" / "_labels.jsonl").read_text().splitlines()
    assert len(lines) == recording[0].n_frames
    line = json.loads(lines[4])
    assert (line["frame"], line["source"], line["annotator"]) == (4, "env", None)
    assert set(line["labels"]) == {"ball_x", "ball_y", "paddle_x", "balls_left"}


def test_labels_are_appended_and_the_last_wins(unlabelled):
    _, recording = unlabelled
    label_from_env(recording)
    file = recording.path / "data" / "0" / "_labels.jsonl"
    first = file.read_bytes()
    label_from_env(Recording(recording.path))
    assert file.read_bytes().startswith(first)
    with file.open("a") as lines:
        lines.write('{"frame": 4, "labels": {"paddle_x": 30}, "source": "env"}\n')
        lines.write('{"frame": 5, "labels": {"paddle_x": null}, "source": "env"}\n')
    after = Recording(recording.path)
    column = list(after.label_schema).index("paddle_x")
    assert after[0].labels[4, column] == 30
    assert np.isnan(after[0].labels[5, column])


def test_a_replay_that_differs_gives_no_labels(unlabelled):
    _, recording = unlabelled
    file = recording.path / "data" / "1" / "metadata.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"seed": 99}))
    with pytest.raises(InputError, match=r"replay differs .* episode 1, step 0, field 'frame'"):
        label_from_env(Recording(recording.path))
    assert not list(recording.path.rglob("_labels.jsonl"))
    assert Recording(recording.path).label_schema is None


def test_an_environment_without_labels_is_refused(unlabelled):
    _, recording = unlabelled

    def make(env_id, env_kwargs):
        env = open_environment(env_id, env_kwargs)
        env.has_wrapper_attr = lambda name: False  # noqa: ARG005
        return env

    with pytest.raises(InputError, match="label_schema"):
        label_from_env(recording, make=make)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"frame": 4, "labels": {"pad', "line 1: expected JSON with 'frame' and 'labels', found a garbled line"),
        ('{"frame": 4000, "labels": {}}', "line 1: field 'frame': expected 0 to 40, found 4000"),
        ('{"frame": 4, "labels": {"paddel_x": 3}}', "line 1: label 'paddel_x' is not in the schema. Did you mean"),
        ('{"frame": 4, "labels": {"paddle_x": 300}}', "line 1: label 'paddle_x': expected a number from 6 to 77"),
        ('{"frame": "4", "labels": {}}', "expected a frame number"),
    ],
)
def test_a_line_that_does_not_fit_is_named(unlabelled, line, message):
    labelled, _ = unlabelled
    (labelled.path / "data" / "1" / "_labels.jsonl").write_text(line)
    with pytest.raises(InputError, match=message):
        labelled[1].labels  # noqa: B018
