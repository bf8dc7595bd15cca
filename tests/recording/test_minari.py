"""Minari opens our recordings as they are, equal in every frame, action, reward and seed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from recording_games import Noise, record_noise

from agentlab.recording import RandomPolicy, Recording, record

minari = pytest.importorskip("minari")

READERS = Path(__file__).parent.parent / "readers"


def assert_minari_reads_the_same(recording):
    dataset = minari.MinariDataset(recording.path / "data")
    assert (dataset.total_episodes, dataset.total_steps) == (len(recording), recording.total_steps)
    assert dataset.action_space == recording.action_space
    metadata = dataset.storage.get_episode_metadata(range(len(recording)))
    for theirs, ours, told in zip(dataset, recording, metadata, strict=True):
        frames = ours.frames(range(ours.n_frames))
        np.testing.assert_array_equal(theirs.observations.reshape(frames.shape), frames)
        np.testing.assert_array_equal(theirs.actions, ours.actions)
        np.testing.assert_array_equal(theirs.rewards, ours.rewards)
        np.testing.assert_array_equal(theirs.terminations, ours.terminations)
        np.testing.assert_array_equal(theirs.truncations, ours.truncations)
        assert (told["seed"], told["total_steps"], told.get("options")) == (ours.seed, ours.n_steps, ours.options)
    return dataset


def test_minari_reads_a_recording_of_catch(catch):
    dataset = assert_minari_reads_the_same(catch)
    assert dataset.observation_space == catch.observation_space
    assert dataset.recover_environment().spec.id == "agentlab/Catch-v0"


def test_minari_reads_a_recording_of_pong(pong):
    dataset = assert_minari_reads_the_same(pong)
    names = [wrapper.name for wrapper in dataset.env_spec.additional_wrappers]
    assert "AtariPreprocessing" in names


def test_the_programs_that_compare_other_releases_see_what_is_equal_and_what_is_not(catch, tmp_path):
    def run(name, *args):
        return subprocess.run([sys.executable, READERS / name, *args], capture_output=True, text=True, check=False)

    assert run("contents.py", catch.path, tmp_path / "held.npz").returncode == 0
    outcome = run("minari_reads.py", catch.path, tmp_path / "held.npz")
    assert (outcome.returncode, outcome.stdout.endswith("all equal\n")) == (0, True), outcome.stderr
    held = dict(np.load(tmp_path / "held.npz"))
    held["1/rewards"][3] += 1
    np.savez(tmp_path / "other.npz", **held)
    outcome = run("minari_reads.py", catch.path, tmp_path / "other.npz")
    assert (outcome.returncode, outcome.stdout.endswith("episode 1: rewards\n")) == (1, True), outcome.stderr


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3), (84, 84, 1), (40, 50, 3), (40, 50, 4), (4, 84, 84), (84, 84, 2)])
def test_minari_reads_frames_of_every_layout(tmp_path, shape):
    dataset = assert_minari_reads_the_same(record_noise(tmp_path / "rec", shape=shape))
    assert dataset[0].observations.shape[1:] == dataset.observation_space.shape


@pytest.mark.parametrize(
    "actions", [spaces.Box(-1, 1, (2, 3), np.float32), spaces.MultiDiscrete([3, 4]), spaces.MultiBinary(3)]
)
def test_minari_reads_actions_of_every_space(tmp_path, actions):
    assert_minari_reads_the_same(record_noise(tmp_path / "rec", actions=actions))


def test_minari_reads_images_whose_bounds_make_it_store_them_raw(tmp_path):
    class Dim(Noise):
        def _frame(self):
            return super()._frame() // 2

    env = Dim(shape=(40, 40))
    env.observation_space = spaces.Box(0, 127, (40, 40), np.uint8)
    record(env, tmp_path / "rec", RandomPolicy(env.action_space), episodes=1, env_id="test/Noise-v0")
    assert not Recording(tmp_path / "rec").stores_png
    assert_minari_reads_the_same(Recording(tmp_path / "rec"))


def test_minari_sees_finished_episodes_only(tmp_path):
    recording = record_noise(tmp_path / "rec")
    (recording.path / "data" / "2").mkdir()
    (recording.path / "data" / ".3.half-written").mkdir()
    assert minari.MinariDataset(recording.path / "data").total_episodes == 2


def test_minari_finds_a_recording_by_its_name(tmp_path, monkeypatch):
    record_noise(tmp_path / "test" / "Noise-v0" / "agentlab-v0")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    assert minari.load_dataset("test/Noise-v0/agentlab-v0").total_episodes == 2


def test_an_env_spec_that_json_cannot_hold_is_left_out(tmp_path):
    gym.register("test/NoiseSpec-v0", Noise)
    env = gym.make("test/NoiseSpec-v0", actions=spaces.Discrete(2))
    record(env, tmp_path / "rec", RandomPolicy(env.action_space), episodes=1)
    assert Recording(tmp_path / "rec").header.env_spec is None
    assert_minari_reads_the_same(Recording(tmp_path / "rec"))
