"""What was recorded is in Minari's dataset and in the HDF5 file, equal in everything, and other libraries read it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command import Command
from gymnasium import spaces
from recording_games import CATCH, record_game, record_noise

from agentlab.recording import Recording

minari = pytest.importorskip("minari")
h5py = pytest.importorskip("h5py")


def assert_equal(theirs, ours):
    frames = ours.frames(range(ours.n_frames))
    np.testing.assert_array_equal(np.reshape(theirs["observations"], frames.shape), frames)
    for name in ("actions", "rewards", "terminations", "truncations"):
        np.testing.assert_array_equal(theirs[name], getattr(ours, name))


def test_minari_s_dataset_is_the_recording(catch):
    dataset = catch.to_minari()
    assert (dataset.total_episodes, dataset.total_steps) == (len(catch), catch.total_steps)
    for theirs, ours in zip(dataset, catch, strict=True):
        assert_equal(vars(theirs), ours)


@pytest.mark.parametrize("shape", [(84, 84), (84, 84, 1), (40, 50, 3), (8, 8)])
@pytest.mark.parametrize("actions", [spaces.Discrete(3), spaces.Box(-1, 1, (2, 3), np.float32)])
def test_the_hdf5_file_holds_everything(tmp_path, shape, actions):
    recording = record_noise(tmp_path / "rec", shape=shape, actions=actions)
    recording.to_minari_hdf5(tmp_path / "out")
    with h5py.File(tmp_path / "out/data/main_data.hdf5") as file:
        assert list(file) == ["episode_0", "episode_1"]
        for episode in recording:
            group = file[f"episode_{episode.index}"]
            assert (group.attrs["seed"], group.attrs["total_steps"]) == (episode.seed, episode.n_steps)
            assert group["observations"].shape == (episode.n_frames, *shape)
            assert_equal(group, episode)
            labels = np.stack([group["infos"][name] for name in recording.label_schema], axis=1)
            np.testing.assert_array_equal(labels, episode.labels)
    dataset = minari.MinariDataset(tmp_path / "out/data")
    assert (dataset.total_episodes, dataset.total_steps) == (2, recording.total_steps)
    assert dataset.observation_space == recording.observation_space
    for theirs, ours in zip(dataset, recording, strict=True):
        assert_equal(vars(theirs), ours)


def test_episodes_longer_than_what_is_written_at_once_are_whole(tmp_path):
    recording = record_noise(tmp_path / "rec", episodes=1, length=600)
    recording.to_minari_hdf5(tmp_path / "out")
    with h5py.File(tmp_path / "out/data/main_data.hdf5") as file:
        assert_equal(file["episode_0"], recording[0])


def test_options_of_resets_are_attributes(tmp_path):
    recording = record_game(CATCH, tmp_path / "rec", episodes=1, options={"level": 2, "of": {"kind": "hard"}})
    recording.to_minari_hdf5(tmp_path / "out")
    dataset = minari.MinariDataset(tmp_path / "out/data")
    (told,) = dataset.storage.get_episode_metadata([0])
    assert told["options"] == {"level": 2, "of": {"kind": "hard"}}


def test_the_command_exports_once_and_replaces_only_by_force(catch, tmp_path, agentlab: Command):
    out = tmp_path / "out"
    outcome = agentlab("export", catch.path, "--minari-hdf5", out, "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["steps"] == catch.total_steps
    assert agentlab("export", catch.path, "--minari-hdf5", out).code == 2
    assert agentlab("export", catch.path, "--minari-hdf5", out, "--force").code == 0


@pytest.mark.parametrize("given", [[], ["--onnx", "a.onnx", "--minari-hdf5", "b"]])
def test_the_command_wants_one_form(catch, agentlab: Command, given):
    outcome = agentlab("export", catch.path, *given)
    assert outcome.code == 2
    assert "expected --onnx FILE or --minari-hdf5 DIR" in outcome.err


def test_what_is_no_recording_is_refused(tmp_path, agentlab: Command):
    outcome = agentlab("export", tmp_path / "none", "--minari-hdf5", tmp_path / "out")
    assert outcome.code == 2
    assert "expected a recording" in outcome.err
    assert not (tmp_path / "out").exists()


def test_recordings_reach_other_processes_by_their_folder(catch):
    kind, arguments = catch.__reduce__()
    assert kind is Recording
    assert kind(*arguments).fingerprint() == catch.fingerprint()
