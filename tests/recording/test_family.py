"""Recordings of the whole Gymnasium family are equal to their replays, in one process and in several."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import Command

from agentlab.recording import Recording

FAMILY = [
    ("ALE/Pong-v5", ["repeat_action_probability=0.25"], (84, 84)),
    ("ALE/Breakout-v5", ["repeat_action_probability=0.25", "frame_skip=2", "grayscale_obs=false"], (84, 84, 3)),
    ("CarRacing-v3", [], (96, 96, 3)),
    ("CarRacing-v3", ["continuous=false"], (96, 96, 3)),
    ("minigrid:MiniGrid-DoorKey-5x5-v0", [], (84, 84, 3)),
    ("minigrid:MiniGrid-Dynamic-Obstacles-5x5-v0", [], (84, 84, 3)),
    ("CartPole-v1", [], (84, 84, 3)),
    ("agentlab/Catch-v0", [], (84, 84)),
    ("agentlab/Starfall-v0", [], (84, 84)),
]


@pytest.mark.parametrize(("env_id", "kwargs", "shape"), FAMILY, ids=[" ".join([e, *k]) for e, k, _ in FAMILY])
def test_a_recording_is_equal_to_its_replay(env_id, kwargs, shape, tmp_path: Path, agentlab: Command):
    out = tmp_path / "rec"
    options = ["--env-kwargs", *kwargs] if kwargs else []
    outcome = agentlab("record", env_id, "--out", out, "--episodes", 2, "--max-steps", 40, "--seed", 11, *options)
    assert outcome.code == 0, outcome.err
    recording = Recording(out)
    assert recording.frame_shape == shape
    assert len({recording[0].frame(t).tobytes() for t in range(recording[0].n_frames)}) > 1
    outcome = agentlab("replay", out, "--verify", "--json")
    assert outcome.code == 0, outcome.out
    found = json.loads(outcome.out)
    assert (found["holds"], found["steps"], found["changed_setup"]) == (True, recording.total_steps, [])


def test_an_environment_that_draws_nothing_is_refused(tmp_path: Path, agentlab: Command):
    outcome = agentlab("record", "FrozenLake-v1", "--out", tmp_path / "rec", "--env-kwargs", "render_mode=ansi")
    assert outcome.code == 2
    assert "expected images" in outcome.err
    assert not (tmp_path / "rec").exists()
