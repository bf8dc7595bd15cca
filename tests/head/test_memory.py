"""The replay memory: whatever is sampled is what the whole trajectories say, for a fraction of the bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.buffers import ReplayBuffer

from agentlab import weights
from agentlab.head.frame_archive import FrameArchive
from agentlab.head.memory import FeatureReplayBuffer
from agentlab.head.spaces import StackedFeatures

GAMMA = 0.9
ACTIONS = spaces.Discrete(5)


@dataclass
class Trajectory:
    """All that one environment ever did, kept in full: a frame's percept is its number and the environment's."""

    env: int
    frames: list[int] = field(default_factory=list)
    begins: list[int] = field(default_factory=list)
    """For each step: the place in `frames` of its episode's first frame."""
    at: list[int] = field(default_factory=list)
    """For each step: the place in `frames` of the frame it was taken at."""
    actions: list[int] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    """For each step: "", "terminated", "truncated" or, where the episode goes on, "life lost"."""

    def state(self, place: int, begin: int, stack: int) -> Any:
        """The last `stack` frames at a place, the episode's first one standing in for those before it."""
        places = [max(place - back, begin) for back in range(stack - 1, -1, -1)]
        return np.array([[self.frames[p], self.env] for p in places], np.float16).reshape(-1)


class Game:
    """Steps several environments with random ends and fills a memory with them, as SB3 does."""

    def __init__(self, n_envs: int, stack: int, n_steps: int, size: int, seed: int) -> None:
        self.generator = np.random.default_rng(seed)
        self.stack, self.n_steps = stack, n_steps
        self.memory = memory(n_envs, stack, n_steps, size)
        self.trajectories = [Trajectory(env) for env in range(n_envs)]
        self._next_frame = 0
        self.archive = self.memory.archive = FrameArchive((3,))
        self.begin()

    def begin(self) -> None:
        """New episodes everywhere."""
        self._begins = [self._frame(trajectory) for trajectory in self.trajectories]
        self.archive.show(self.frames())

    def frames(self) -> Any:
        """The newest frame of each environment, which has what it shows in its pixels."""
        return np.stack([pixels(trajectory, -1) for trajectory in self.trajectories])

    def states(self) -> Any:
        return np.stack(
            [t.state(len(t.frames) - 1, b, self.stack) for t, b in zip(self.trajectories, self._begins, strict=True)]
        )

    def step(self) -> None:
        before, after, dones, infos, ended = self.states(), [], [], [], {}
        for env, trajectory in enumerate(self.trajectories):
            end = self.generator.choice(["", "terminated", "truncated", "life lost"], p=[0.6, 0.15, 0.15, 0.1])
            trajectory.at.append(len(trajectory.frames) - 1)
            trajectory.begins.append(self._begins[env])
            trajectory.actions.append(int(self.generator.integers(5)))
            trajectory.rewards.append(float(self.generator.integers(-3, 4)))
            trajectory.ends.append(str(end))
            self._frame(trajectory)
            after.append(trajectory.state(len(trajectory.frames) - 1, self._begins[env], self.stack))
            dones.append(end in ("terminated", "truncated"))
            infos.append({"TimeLimit.truncated": end == "truncated", "life_lost": end == "life lost"})
            if dones[-1]:
                ended[env] = pixels(trajectory, -1)
                self._begins[env] = self._frame(trajectory)
        self.archive.show(self.frames(), ended)
        actions = np.array([trajectory.actions[-1] for trajectory in self.trajectories])
        rewards = np.array([trajectory.rewards[-1] for trajectory in self.trajectories], np.float32)
        self.memory.add(before, np.stack(after), actions, rewards, np.array(dones), infos)

    def cut(self, announced: bool = True) -> None:
        """The environments are reset in the middle of their episodes; the memory is told, or has to notice.

        Before that they take a step that is not stored, as SB3's do when a callback stops it.
        """
        self.archive.show(np.full((len(self.trajectories), 3), 255, np.uint8), {0: np.full(3, 254, np.uint8)})
        if announced:
            self.memory.cut()
        for trajectory in self.trajectories:
            if trajectory.ends and not trajectory.ends[-1]:
                trajectory.ends[-1] = "truncated"
        self.begin()

    def expected(self, env: int, step: int) -> dict[str, Any]:
        """What a sample of this step must be, from the whole trajectory."""
        trajectory = self.trajectories[env]
        total, length = 0.0, 0
        for later in range(step, min(step + self.n_steps, len(trajectory.rewards))):
            total += GAMMA**length * trajectory.rewards[later]
            length += 1
            if trajectory.ends[later]:
                break
        last = step + length - 1
        begin = trajectory.begins[step]
        return {
            "state": trajectory.state(trajectory.at[step], begin, self.stack),
            "action": trajectory.actions[step],
            "return": total,
            "discount": GAMMA**length,
            "done": float(trajectory.ends[last] in ("terminated", "life lost")),
            "next": trajectory.state(trajectory.at[last] + 1, begin, self.stack),
        }

    def _frame(self, trajectory: Trajectory) -> int:
        self._next_frame += 1
        trajectory.frames.append(self._next_frame)
        return len(trajectory.frames) - 1


def pixels(trajectory: Trajectory, place: int) -> Any:
    return np.array([*divmod(trajectory.frames[place], 256), trajectory.env], np.uint8)


def percepts(frames: Any) -> Any:
    """What an eye makes of such frames: their number and environment, as the memory was given them."""
    values = frames.astype(np.float16)
    return np.stack([values[:, 0] * 256 + values[:, 1], values[:, 2]], axis=1)


def memory(n_envs: int, stack: int, n_steps: int, size: int, percepts: int = 2) -> FeatureReplayBuffer:
    space = StackedFeatures(stack, percepts)
    return FeatureReplayBuffer(size * n_envs, space, ACTIONS, "cpu", n_envs, n_steps=n_steps, gamma=GAMMA)


def assert_samples_are_true(game: Game, n: int = 64) -> None:
    batch = game.memory.sample(n)
    batch_states = batch.observations.numpy()
    for index, state in enumerate(batch_states):
        env, frame = int(state[-1]), int(state[-2])
        trajectory = game.trajectories[env]
        step = next(s for s, place in enumerate(trajectory.at) if trajectory.frames[place] == frame)
        expected = game.expected(env, step)
        np.testing.assert_array_equal(state, expected["state"])
        assert int(batch.actions[index]) == expected["action"]
        assert float(batch.rewards[index]) == pytest.approx(expected["return"], abs=1e-4)
        assert float(batch.dones[index]) == expected["done"]
        assert batch.discounts is not None
        assert float(batch.discounts[index]) == pytest.approx(expected["discount"], rel=1e-5)
        if not expected["done"]:
            np.testing.assert_array_equal(batch.next_observations[index].numpy(), expected["next"])


SETTINGS = settings(max_examples=60, deadline=None)


@SETTINGS
@given(
    n_envs=st.integers(1, 3),
    stack=st.integers(1, 4),
    n_steps=st.integers(1, 5),
    size=st.integers(1, 30),
    steps=st.integers(1, 70),
    cuts=st.sets(st.integers(0, 69), max_size=3),
    seed=st.integers(0, 1000),
)
def test_samples_are_what_the_whole_trajectories_say(
    n_envs: int, stack: int, n_steps: int, size: int, steps: int, cuts: set[int], seed: int
):
    np.random.seed(seed)
    game = Game(n_envs, stack, n_steps, size, seed)
    for step in range(steps):
        if step in cuts:
            game.cut(announced=step % 2 == 0)
        game.step()
    assert_samples_are_true(game)


@SETTINGS
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(1, 60), st.integers(0, 1000))
def test_what_was_saved_goes_on_in_another_memory(n_envs: int, stack: int, n_steps: int, steps: int, seed: int):
    np.random.seed(seed)
    game = Game(n_envs, stack, n_steps, 20, seed)
    for _ in range(steps):
        game.step()
    game.cut()
    kept = {name: tensor.clone() for name, tensor in game.memory.state().items()}
    game.memory = memory(n_envs, stack, n_steps, 20)
    game.memory.archive = game.archive
    game.memory.restore(kept)
    assert_samples_are_true(game)
    for _ in range(40):
        game.step()
    assert_samples_are_true(game)


@SETTINGS
@given(
    n_envs=st.integers(1, 3),
    stack=st.integers(1, 4),
    size=st.integers(1, 30),
    steps=st.integers(1, 70),
    cuts=st.sets(st.integers(0, 69), max_size=3),
    saved=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_another_eye_sees_all_states_again(
    n_envs: int, stack: int, size: int, steps: int, cuts: set[int], saved: bool, seed: int
):
    np.random.seed(seed)
    game = Game(n_envs, stack, 3, size, seed)
    for step in range(steps):
        if step in cuts:
            game.cut(announced=step % 2 == 0)
        game.step()
    if saved:
        game.cut()
        kept = game.memory.state()
        game.memory = memory(n_envs, stack, 3, size)
        game.archive = game.memory.archive = FrameArchive((3,))
        game.memory.restore(kept)
    game.memory.observations[:] = -1
    for state in game.memory._last_states.values():
        state[:] = -1
    game.memory.see_anew(percepts)
    for trajectory in game.trajectories:
        trajectory.ends[-1] = trajectory.ends[-1] or "truncated"
    assert_samples_are_true(game)


def test_what_was_saved_survives_a_file(tmp_path: Path):
    game = Game(2, 3, 2, 20, 0)
    for _ in range(35):
        game.step()
    game.cut()
    weights.save(tmp_path / "memory", game.memory.state())
    other = memory(2, 3, 2, 20)
    other.archive = FrameArchive((3,))
    other.restore(weights.load(tmp_path / "memory"))
    for name, tensor in game.memory.state().items():
        assert torch.equal(other.state()[name], tensor), name


def test_every_step_with_a_known_future_is_sampled_and_no_other():
    np.random.seed(0)
    game = Game(2, 3, 4, 12, 0)
    for steps in range(1, 40):
        game.step()
        if steps <= 4:
            continue
        seen = {int(state[-2]) for state in game.memory.sample(2000).observations}
        first = 0 if steps < 12 else steps - 12 + 2
        known = range(first, steps - 4)
        assert seen == {t.frames[t.at[step]] for t in game.trajectories for step in known}


def test_the_first_steps_are_sampled_with_shorter_returns():
    np.random.seed(0)
    game = Game(2, 3, 5, 20, 0)
    with pytest.raises(ValueError, match="expected at least one step, found none"):
        game.memory.sample(4)
    for _ in range(8):
        game.step()
        assert_samples_are_true(game, 8)


def test_a_cut_of_an_empty_memory_is_nothing():
    game = Game(2, 2, 1, 20, 0)
    game.memory.cut()
    assert game.memory.size() == 0


def test_states_of_other_spaces_are_kept_whole():
    np.random.seed(0)
    made = FeatureReplayBuffer(50, spaces.Box(-1, 1, (2, 3), np.float32), spaces.Box(-1, 1, (2,), np.float32), "cpu", 1)
    states = np.random.default_rng(0).uniform(-1, 1, (31, 1, 2, 3)).astype(np.float32)
    actions = np.random.default_rng(1).uniform(-1, 1, (30, 1, 2)).astype(np.float32)
    for step in range(30):
        truncated = [{"TimeLimit.truncated": True}] if step == 12 else [{}]
        done = np.array([step == 12])
        made.add(states[step], states[step + 1], actions[step], np.ones(1), done, truncated)
    batch = made.sample(100)
    for state, action, following in zip(batch.observations, batch.actions, batch.next_observations, strict=True):
        step = next(s for s in range(30) if np.array_equal(states[s, 0], state))
        np.testing.assert_array_equal(action, actions[step, 0])
        np.testing.assert_array_equal(following, states[step + 1, 0])


def test_discrete_states_are_kept():
    np.random.seed(0)
    made = FeatureReplayBuffer(50, spaces.Discrete(100), ACTIONS, "cpu", 2)
    for step in range(20):
        made.add(np.array([step, 50 + step]), np.array([step + 1, 51 + step]), np.zeros(2, int), np.zeros(2),
                 np.array([step == 9, False]), [{"TimeLimit.truncated": True}, {}])  # fmt: skip
    batch = made.sample(200)
    assert batch.observations.shape == (200, 1)
    assert torch.equal(batch.next_observations, batch.observations + 1)


def test_a_lost_life_is_an_end_after_which_the_episode_goes_on():
    made = memory(1, 2, 3, 20)
    states = np.arange(24, dtype=np.float16).reshape(6, 1, 4)
    for step in range(5):
        infos = [{"life_lost": True}] if step == 2 else [{}]
        made.add(states[step], states[step + 1], np.zeros(1), np.ones(1), np.zeros(1, bool), infos)
    assert made.terminals[:5, 0].tolist() == [False, False, True, False, False]
    batch = made._get_samples(np.array([0, 1, 2]))
    assert batch.dones[:, 0].tolist() == [1, 1, 1]
    assert batch.rewards[:, 0].tolist() == pytest.approx([1 + GAMMA + GAMMA**2, 1 + GAMMA, 1])
    assert made.ages[:5, 0].tolist() == [0, 1, 1, 1, 1]


def test_takes_at_most_a_fiftieth_of_sb3_s_image_buffer():
    images = spaces.Box(0, 255, (4, 84, 84), np.uint8)
    stored = ReplayBuffer(100, images, ACTIONS, "cpu", n_envs=4)
    sb3_bytes = sum(value.nbytes for value in vars(stored).values() if isinstance(value, np.ndarray))
    features = FeatureReplayBuffer(100, StackedFeatures(4, 128 + 12), ACTIONS, "cpu", n_envs=4, n_steps=10)
    assert features.buffer_size == stored.buffer_size == 25
    assert features.nbytes * 50 <= sb3_bytes


def test_last_states_of_episodes_are_forgotten_with_them():
    game = Game(3, 2, 2, 10, 0)
    for _ in range(200):
        game.step()
    assert len(game.memory._last_states) <= 3 * game.memory.buffer_size
    for row, env in game.memory._last_states:
        assert game.memory.ends[row, env]
        assert not game.memory.terminals[row, env]


class TestRestoring:
    def test_what_another_memory_kept_is_refused(self):
        game = Game(2, 2, 1, 20, 0)
        for _ in range(15):
            game.step()
        game.cut()
        for other in (memory(3, 2, 1, 20), memory(2, 2, 1, 20, percepts=3), memory(2, 2, 1, 10)):
            with pytest.raises(ValueError, match=r"replay memory: .* expected .* found"):
                other.restore(game.memory.state())

    def test_what_is_not_whole_is_refused(self):
        game = Game(2, 2, 1, 20, 0)
        game.step()
        game.cut()
        kept = game.memory.state()
        for name in kept:
            other = memory(2, 2, 1, 20)
            other.archive = FrameArchive((3,))
            with pytest.raises(ValueError, match=f"replay memory: .*{name}"):
                other.restore({key: tensor for key, tensor in kept.items() if key != name})

    def test_frames_that_are_not_those_of_the_rows_are_refused(self):
        game = Game(2, 2, 1, 20, 0)
        game.step()
        game.cut()
        kept = game.memory.state()
        for name in ("frame_lengths", "frame_bytes", "frame_rows"):
            with pytest.raises(ValueError, match="replay memory: 'frame_lengths'"):
                game.memory.restore(kept | {name: kept[name][:-1]})
