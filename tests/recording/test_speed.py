"""How fast recorded games go."""

from __future__ import annotations

import json
from dataclasses import replace

import gymnasium as gym
import pytest
from gymnasium.wrappers import MaxAndSkipObservation
from recording_games import Noise

import agentlab_envs
from agentlab.recording import Recording, describe


def header_of(env, env_id="test/Noise-v0", **env_kwargs):
    header = describe(env, env_id, env_kwargs, {})
    env.close()
    return header


def steps_per_second(header, tmp_path):
    """The speed of a recording with this header."""
    (tmp_path / "data").mkdir()
    totals = {"total_episodes": 0, "total_steps": 0}
    (tmp_path / "data" / "metadata.json").write_text(json.dumps(header.to_metadata() | totals))
    return Recording(tmp_path).steps_per_second


@pytest.mark.parametrize(
    ("made", "expected"), [({}, 15), ({"frame_skip": 2}, 30), ({"frame_skip": 1, "noop_max": 0}, 60)]
)
def test_atari_goes_at_the_speed_of_the_console(made, expected, tmp_path):
    pytest.importorskip("ale_py")
    header = header_of(agentlab_envs.make("ALE/Pong-v5", **made), "ALE/Pong-v5", **made)
    assert steps_per_second(header, tmp_path) == expected


def test_atari_whose_spec_cannot_be_stored_goes_by_its_arguments(tmp_path):
    pytest.importorskip("ale_py")
    header = header_of(agentlab_envs.make("ALE/Pong-v5", frame_skip=3), "ALE/Pong-v5", frame_skip=3)
    assert steps_per_second(replace(header, env_spec=None), tmp_path) == 20


def test_frames_skipped_by_the_emulator_itself_count(tmp_path):
    pytest.importorskip("ale_py")
    header = header_of(gym.make("ALE/Pong-v5", frameskip=(2, 5)), "ALE/Pong-v5", frameskip=[2, 5])
    assert steps_per_second(header, tmp_path) == 20


def test_other_games_go_as_their_metadata_says(tmp_path):
    assert steps_per_second(header_of(gym.make("agentlab/Catch-v0"), "agentlab/Catch-v0"), tmp_path) == 30


def test_a_wrapper_that_skips_frames_counts(tmp_path):
    env = gym.make("agentlab/Catch-v0")
    assert steps_per_second(header_of(MaxAndSkipObservation(env, skip=3), "agentlab/Catch-v0"), tmp_path) == 10


@pytest.mark.parametrize(("fps", "expected"), [(50, 50), (12.5, 12.5), (None, 30), (0, 30), ("fast", 30)])
def test_render_fps_is_recorded_where_it_is_a_speed(fps, expected, tmp_path):
    env = Noise()
    env.metadata = {"render_fps": fps}
    assert steps_per_second(header_of(env), tmp_path) == expected
