"""Recordings as PyTorch datasets and as SB3's replay buffer hold what was recorded, and train."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recording_games import Noise, record_noise
from stable_baselines3 import DQN
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecTransposeImage
from torch.utils.data import ConcatDataset, DataLoader, Subset, default_collate

from agentlab.errors import InputError
from agentlab.recording.frame_index import READ_AT_ONCE


@pytest.fixture
def noise(tmp_path):
    return record_noise(tmp_path / "rec", episodes=3, shape=(40, 50, 3))


def everything(recording):
    return [(episode, t) for episode in recording for t in range(episode.n_frames)]


def test_a_loader_gives_every_frame_once_with_its_labels(noise):
    loader = DataLoader(noise.to_torch(), batch_size=4, shuffle=True)
    seen = set()
    for batch in loader:
        for frame, labels, number, step in zip(
            batch["frame"], batch["labels"], batch["episode"].tolist(), batch["step"].tolist(), strict=True
        ):
            np.testing.assert_array_equal(frame, noise[number].frame(step))
            np.testing.assert_array_equal(labels, noise[number].labels[step])
            seen.add((number, step))
    assert len(seen) == len(everything(noise)) == noise.total_frames


@given(st.lists(st.lists(st.integers(0, 17), min_size=1, max_size=6), min_size=1, max_size=3), st.integers(0, 5))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_of_any_batches_are_collated_as_they_stand(noise, batches, left_out):
    frames = noise.to_torch()
    rows = [row for numbers in batches for row in frames.__getitems__(numbers)][left_out:]
    numbers = [number for each in batches for number in each][left_out:]
    if rows:
        batch = default_collate(rows)
        for name, column in batch.items():
            np.testing.assert_array_equal(column, torch.stack([frames[number][name] for number in numbers]))


def test_a_part_of_it_is_a_dataset_too(noise):
    chosen = [7, 2, 2, 16]
    batch = next(iter(DataLoader(Subset(noise.to_torch(), chosen), batch_size=4)))
    assert torch.equal(batch["frame"], torch.stack([noise.to_torch()[number]["frame"] for number in chosen]))
    both = DataLoader(ConcatDataset([noise.to_torch(), noise.to_torch()]), batch_size=5)
    assert sum(len(batch["frame"]) for batch in both) == 2 * noise.total_frames


def test_more_frames_than_files_may_be_open_are_read_at_once(noise):
    numbers = np.random.default_rng(0).integers(0, noise.total_frames, 3 * READ_AT_ONCE + 7)
    batch = default_collate(noise.to_torch().__getitems__(numbers.tolist()))
    places = zip(batch["episode"].tolist(), batch["step"].tolist(), strict=True)
    expected = np.stack([noise[episode].frame(step) for episode, step in places])
    np.testing.assert_array_equal(batch["frame"], expected)


def test_a_loader_s_own_processes_read_it_too(noise):
    script = f"""
from torch.utils.data import DataLoader
from agentlab import Recording
if __name__ == "__main__":
    recording = Recording({str(noise.path)!r})
    for start in ("spawn", "fork"):
        loader = DataLoader(recording.to_torch(), batch_size=4, num_workers=1, multiprocessing_context=start)
        print(sum(len(batch["frame"]) for batch in loader), recording.total_frames)
"""
    file = noise.path.parent / "loads.py"
    file.write_text(script)
    run = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=True)
    assert [len(set(line.split())) for line in run.stdout.splitlines()] == [1, 1]


def test_a_dataset_is_a_sequence(noise):
    frames = noise.to_torch()
    assert len(frames) == noise.total_frames
    assert torch.equal(frames[-1]["frame"], frames[len(frames) - 1]["frame"])
    assert [int(row["step"]) for row in frames.__getitems__([-1, 0])] == [int(frames[-1]["step"]), 0]
    assert_ends(frames)


def test_cloning_pairs_are_a_sequence(noise):
    pairs = noise.to_cloning_pairs(stack=2)
    last, last_action = pairs[len(pairs) - 1]
    for frames, action in (pairs[-1], pairs.__getitems__([0, -1])[1]):
        assert torch.equal(frames, last)
        assert torch.equal(action, last_action)
    assert_ends(pairs)


def assert_ends(dataset):
    """Asserts that there is nothing before the first and after the last, alone and among others."""
    for beyond in (len(dataset), -len(dataset) - 1):
        with pytest.raises(IndexError):
            dataset[beyond]
        with pytest.raises(IndexError):
            dataset.__getitems__([0, beyond])


def test_a_file_that_has_gone_is_named(tmp_path):
    recording = record_noise(tmp_path / "rec")
    frames = recording.to_torch()
    file = recording.path / "data" / "1" / "part-0.arrow"
    file.unlink()
    with pytest.raises(InputError, match=f"{file}: cannot be read"):
        frames[len(frames) - 1]


def test_a_recording_without_labels_gives_frames_alone(tmp_path):
    frames = record_noise(tmp_path / "rec", labels=False).to_torch()
    assert frames[0].keys() == {"frame", "episode", "step"}


@pytest.mark.parametrize("stack", [1, 3])
def test_cloning_pairs_are_the_last_frames_and_the_action_taken_then(noise, stack):
    pairs = noise.to_cloning_pairs(stack)
    expected = [
        (episode.frames([max(0, t - back) for back in reversed(range(stack))]), episode.actions[t])
        for episode in noise
        for t in range(episode.n_steps)
    ]
    assert len(pairs) == len(expected) == noise.total_steps
    for (seen, done), (frames, action) in zip((pairs[i] for i in range(len(pairs))), expected, strict=True):
        np.testing.assert_array_equal(seen, frames)
        assert done == action


def test_a_policy_can_be_cloned_from_the_pairs(tmp_path):
    recording = record_noise(tmp_path / "rec", episodes=1, shape=(8, 8))
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
    optimizer = torch.optim.Adam(network.parameters(), 0.05)
    losses = []
    for _ in range(60):
        for seen, done in DataLoader(recording.to_cloning_pairs(), batch_size=8):
            loss = torch.nn.functional.cross_entropy(network(seen.float() / 255), done)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[-1] < 0.1 < losses[0]


@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 1), (40, 50, 3)])
def test_the_replay_buffer_holds_what_sb3_would_have_put_there(tmp_path, shape):
    recording = record_noise(tmp_path / "rec", episodes=2, shape=shape)
    buffer = recording.to_sb3_replay_buffer(stack=2)
    step = 0
    for episode in recording:
        env = Noise(shape=shape if len(shape) == 3 else (*shape, 1))
        venv = VecTransposeImage(VecFrameStack(DummyVecEnv([lambda env=env: env]), 2))
        venv.seed(episode.seed)
        state = venv.reset()
        for action in episode.actions:
            after, rewards, dones, infos = venv.step(np.array([action]))
            after = infos[0].get("terminal_observation", after[0])
            np.testing.assert_array_equal(buffer.observations[step, 0], state[0])
            np.testing.assert_array_equal(buffer.next_observations[step, 0], after)
            assert (buffer.actions[step, 0, 0], buffer.rewards[step, 0]) == (action, rewards[0])
            assert (bool(buffer.dones[step, 0]), bool(buffer.timeouts[step, 0])) == (bool(dones[0]), False)
            state, step = after[None], step + 1
    assert (buffer.size(), step) == (recording.total_steps, recording.total_steps)


def test_an_episode_that_was_cut_bootstraps(tmp_path):
    buffer = record_noise(tmp_path / "rec", length=9).to_sb3_replay_buffer()
    assert not buffer.timeouts.any()
    from recording_games import record_game

    cut = record_game("agentlab/Catch-v0", tmp_path / "cut", episodes=1, max_steps=5).to_sb3_replay_buffer()
    assert buffer.dones[:, 0].tolist().count(1) == 2
    assert (cut.dones[-1, 0], cut.timeouts[-1, 0]) == (1, 1)


def test_sb3_trains_on_the_replay_buffer(tmp_path):
    recording = record_noise(tmp_path / "rec", episodes=2, shape=(40, 50))
    buffer = recording.to_sb3_replay_buffer(stack=4)
    env = Noise(shape=(4, 40, 50))
    model = DQN("CnnPolicy", env, buffer_size=1, batch_size=8, learning_starts=0, device="cpu")
    model._setup_learn(0)
    model.replay_buffer = buffer
    before = [weights.clone() for weights in model.q_net.parameters()]
    model.train(gradient_steps=1, batch_size=8)
    assert any(not torch.equal(old, new) for old, new in zip(before, model.q_net.parameters(), strict=True))


def test_continuous_actions_keep_their_shape(tmp_path):
    recording = record_noise(tmp_path / "rec", actions=spaces.Box(-1, 1, (2, 3), np.float32))
    assert recording.to_cloning_pairs()[0][1].shape == (2, 3)
    assert recording.to_sb3_replay_buffer().actions.shape == (recording.total_steps, 1, 6)


def test_fewer_frames_than_one_are_refused(noise):
    for give in (noise.to_cloning_pairs, noise.to_sb3_replay_buffer):
        with pytest.raises(InputError, match="stack: expected at least 1, found 0"):
            give(stack=0)
