"""A replay is equal to its recording, and whatever was changed in either is named by episode, step and field."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal

import gymnasium as gym
import numpy as np
import pytest
from damage import change
from recording_games import Noise, record_noise

from agentlab.environment import open_environment
from agentlab.errors import InputError
from agentlab.recording import RandomPolicy, Recording, record, verify


@pytest.fixture
def copy(tmp_path, catch):
    shutil.copytree(catch.path, tmp_path / "copy")
    return Recording(tmp_path / "copy")


def make_noise(env_id, env_kwargs):  # noqa: ARG001
    return Noise()


def changed(recording, *change_of, episode=1):
    change(recording.path, episode, *change_of)
    return Recording(recording.path)


def where(difference):
    return (difference.episode, difference.step, difference.field)


@pytest.mark.parametrize("name", ["catch", "pong"])
def test_a_recording_is_equal_to_its_replay(request, name):
    recording = request.getfixturevalue(name)
    verification = verify(recording)
    assert verification.difference is None
    assert verification.changed_setup == []
    assert (verification.episodes, verification.steps) == (len(recording), recording.total_steps)


@pytest.mark.parametrize("cut", [{"length": 9}, {"length": 5}])
def test_episodes_cut_short_are_equal_to_their_replays(tmp_path, cut):
    recording = record_noise(tmp_path / "rec", **cut)
    verification = verify(recording, make=lambda env_id, env_kwargs: Noise(**cut))  # noqa: ARG005
    assert verification.difference is None


@pytest.mark.parametrize("offset", [0, 5, 18, 30, 60, -1])
def test_one_changed_byte_of_a_stored_frame_is_named(copy, offset):
    png = copy[1].encoded_frame(17)
    file = copy.path / "data" / "1" / "part-0.arrow"
    content = bytearray(file.read_bytes())
    content[content.index(png) + offset % len(png)] ^= 0x10
    file.write_bytes(content)
    difference = verify(Recording(copy.path)).difference
    assert where(difference) == (1, 17, "frame")
    assert str(difference).startswith("episode 1, step 17, field 'frame': recorded ")
    assert difference.found_frame.shape == (84, 84)


@pytest.mark.parametrize(
    ("column", "value", "field", "step"),
    [
        ("rewards", 0.5, "reward", 20),
        ("terminations", True, "terminated", 20),
        ("truncations", True, "truncated", 20),
        ("frame_hash", bytes(16), "frame", 20),
        ("actions", 7, "action", 20),
        ("t_ns", 0, "part-0.arrow", None),
        ("info_json", "{}  ", "part-0.arrow", None),
    ],
)
def test_a_changed_value_is_named(copy, column, value, field, step):
    assert where(verify(changed(copy, column, 20, value)).difference) == (1, step, field)


def test_another_action_shows_in_the_frame_it_leads_to(copy):
    action = copy[1].actions[20]
    difference = verify(changed(copy, "actions", 20, 1 if action == 2 else 2)).difference
    assert (difference.episode, difference.field) == (1, "frame")
    assert difference.step in (21, 22)
    assert not np.array_equal(difference.recorded_frame, difference.found_frame)


def test_a_changed_label_is_named(copy):
    labels = copy.label_schema.decode(copy[1].labels[20])
    difference = verify(changed(copy, "labels", 20, labels | {"paddle_x": 6.5})).difference
    assert where(difference) == (1, 20, "labels.paddle_x")
    assert difference.recorded == 6.5


def test_another_seed_shows_in_the_first_frame(copy):
    file = copy.path / "data" / "1" / "metadata.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"seed": 99}))
    assert where(verify(Recording(copy.path)).difference) == (1, 0, "frame")


def test_an_environment_that_changed_is_found(tmp_path):
    class Changed(Noise):
        def step(self, action):
            frame, reward, *rest = super().step(action)
            return frame, reward + (self.t == 3), *rest

    recording = record_noise(tmp_path / "rec")
    difference = verify(recording, make=lambda env_id, env_kwargs: Changed()).difference  # noqa: ARG005
    assert where(difference) == (0, 2, "reward")
    assert difference.found == difference.recorded + 1


class Lingering(Noise):
    """Carries over from one episode to the next how many there were."""

    def __init__(self):
        super().__init__()
        self.carried = 0

    def reset(self, *, seed=None, options=None):
        self.carried += 1
        return super().reset(seed=seed, options=options)

    def step(self, action):
        frame, reward, *rest = super().step(action)
        return frame, reward + self.carried, *rest


class Strict(Noise):
    """Refuses to begin anew in the midst of an episode."""

    t = 0

    def reset(self, *, seed=None, options=None):
        assert self.t in (0, self.length)
        return super().reset(seed=seed, options=options)


def make_lingering(env_id, env_kwargs):  # noqa: ARG001
    return Lingering()


def make_strict(env_id, env_kwargs):  # noqa: ARG001
    return Strict()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("make", [make_lingering, make_strict])
def test_episodes_follow_one_another_as_when_they_were_recorded(tmp_path, make, workers):
    env = make("test/Noise-v0", {})
    record(env, tmp_path / "rec", RandomPolicy(env.action_space), episodes=3, env_id="test/Noise-v0")
    recording = Recording(tmp_path / "rec")
    verification = verify(recording, make=make, workers=workers)
    assert verification.difference is None
    assert (verification.episodes, verification.steps) == (3, recording.total_steps)


def test_an_episode_that_happens_again_in_a_new_environment_alone_is_equal(tmp_path):
    for seed in range(2):
        env = Lingering()
        policy = RandomPolicy(env.action_space)
        record(env, tmp_path / "rec", policy, episodes=1, seed=seed, env_id="test/Noise-v0", append=True)
    found = verify(Recording(tmp_path / "rec"), make=lambda env_id, env_kwargs: Lingering())  # noqa: ARG005
    assert (found.difference, found.episodes) == (None, 2)


def test_versions_that_differ_are_named(copy):
    file = copy.path / "data" / "1" / "metadata.json"
    metadata = json.loads(file.read_text())
    metadata["agentlab"]["versions"] |= {"gymnasium": "0.21.0", "retro": "1.0"}
    file.write_text(json.dumps(metadata))
    assert verify(Recording(copy.path)).changed_setup == [
        f"gymnasium: recorded with 0.21.0, {gym.__version__}, installed {gym.__version__}",
        "retro: recorded with 1.0, installed none",
    ]


def test_an_environment_made_otherwise_is_named(copy):
    file = copy.path / "data" / "metadata.json"
    metadata = json.loads(file.read_text())
    spec = json.loads(metadata["env_spec"])
    spec["kwargs"]["render_mode"] = "human"
    metadata["env_spec"] = json.dumps(spec)
    file.write_text(json.dumps(metadata))
    (line,) = verify(Recording(copy.path)).changed_setup
    assert "other settings or wrappers" in line


def test_an_environment_that_is_not_installed_is_bad_input(tmp_path):
    recording = record_noise(tmp_path / "rec")
    with pytest.raises(InputError, match=r"its environment cannot be made: .*test/Noise-v0"):
        verify(recording)


def test_an_empty_recording_is_bad_input(copy):
    file = copy.path / "data" / "metadata.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"total_episodes": 0, "total_steps": 0}))
    with pytest.raises(InputError, match="expected at least 1 episode"):
        verify(Recording(copy.path))


@pytest.mark.parametrize("workers", [2, 5])
def test_several_processes_find_what_one_finds(copy, workers):
    verification = verify(copy, workers=workers)
    assert verification.difference is None
    assert (verification.episodes, verification.steps) == (2, copy.total_steps)
    for episode, value in ((1, 0.25), (0, 0.5)):
        differing = changed(copy, "rewards", 20, value, episode=episode)
        found = verify(differing, workers=workers)
        assert where(found.difference) == (episode, 20, "reward")
        assert str(found.difference) == str(verify(differing).difference)
        assert found.difference.recorded_frame.shape == (84, 84)


def terminated_elsewhere(env_id, env_kwargs):
    if multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGTERM)
    return open_environment(env_id, env_kwargs)


def killed_elsewhere(env_id, env_kwargs):
    if multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    return open_environment(env_id, env_kwargs)


@pytest.mark.parametrize("make", [terminated_elsewhere, killed_elsewhere])
def test_a_process_that_somebody_ends_is_told(make, copy, capfd):
    with pytest.raises(InputError, match="a process ended in the midst of its part of the work"):
        verify(copy, make=make, workers=2)
    assert capfd.readouterr().err == ""


def test_no_processes_are_refused(catch):
    with pytest.raises(InputError, match="workers: expected at least 1, found 0"):
        verify(catch, workers=0)


def test_progress_of_processes_counts_every_step(catch):
    told = []
    verify(catch, workers=2, on_step=lambda episodes, steps: told.append((episodes, steps)))
    assert told == [(1, catch[0].n_steps), (2, catch.total_steps)]


def test_progress_counts_every_step(catch):
    told = []
    verify(catch, on_step=lambda episodes, steps: told.append((episodes, steps)))
    assert told[-1] == (1, catch.total_steps)
    assert [steps for _, steps in told] == sorted(steps for _, steps in told)
