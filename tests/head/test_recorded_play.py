"""Recorded play as environments: every recorded step in order, and a memory that holds what was recorded."""

from __future__ import annotations

import itertools
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv
from tiny import SQUARE, recorded

import agentlab_envs
from agentlab.errors import InputError
from agentlab.extractor import FrozenExtractor
from agentlab.head import FrozenFeatures, RewardDifferenceDQN, RewardDifferencePPO
from agentlab.head.frame_archive import FrameArchive
from agentlab.head.memory import FeatureReplayBuffer
from agentlab.head.recorded_play import RecordedPlay, remember
from agentlab.progress import NoProgress
from agentlab.recording import RandomPolicy, Recording, record

CONTINUOUS = "games:Test/Continuous-v0"


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    env = agentlab_envs.make(SQUARE)
    record(env, tmp_path / "square", RandomPolicy(env.action_space), episodes=4, env_id=SQUARE)
    return Recording(tmp_path / "square")


def test_the_copies_go_through_all_steps_once(recording: Recording):
    play = RecordedPlay(list(recording), n_envs=2)
    assert play.n_steps == 20
    frames, actions, rewards, dones = [play.reset()], [], [], []
    for _ in range(play.n_steps):
        actions.append(play.actions)
        after, reward, done, infos = play.step(play.actions)
        frames.append(after)
        rewards.append(reward)
        dones.append(done)
    for copy in range(2):
        first, second = recording[2 * copy], recording[2 * copy + 1]
        np.testing.assert_array_equal([a[copy] for a in actions], [*first.actions, *second.actions])
        np.testing.assert_array_equal([r[copy] for r in rewards], [*first.rewards, *second.rewards])
        assert [step for step, done in enumerate(dones) if done[copy]] == [9, 19]
        np.testing.assert_array_equal([f[copy] for f in frames[:10]], first.frames(range(10)))
        np.testing.assert_array_equal([f[copy] for f in frames[10:20]], second.frames(range(10)))
        np.testing.assert_array_equal(infos[copy]["terminal_observation"], second.frame(10))
        assert infos[copy]["TimeLimit.truncated"] is False


def test_lost_lives_are_those_recorded(tmp_path: Path):
    env = agentlab_envs.make("ALE/Breakout-v5", frame_skip=4)
    record(env, tmp_path / "breakout", RandomPolicy(env.action_space), episodes=1, env_id="ALE/Breakout-v5")
    episode = Recording(tmp_path / "breakout")[0]
    play = RecordedPlay([episode], n_envs=1)
    play.reset()
    lost = [bool(play.step(play.actions)[3][0]["life_lost"]) for _ in range(play.n_steps)]
    lives = [episode.info(t)["lives"] for t in range(episode.n_frames)]
    assert lost == [after < before and after > 0 for before, after in itertools.pairwise(lives)]
    assert sum(lost) == 4


def test_memory_holds_the_recorded_differences_and_then_those_of_own_play(
    recording: Recording, square_extractor: FrozenExtractor
):
    env = FrozenFeatures(agentlab_envs.make_vec(SQUARE, 2, seed=0), square_extractor, stack=2)
    model = RewardDifferenceDQN("MlpPolicy", env, target=1.0, gamma=0.9, seed=0, buffer_size=1000)
    model.set_logger(Logger(None, []))
    remember([recording], model.replay_buffer, model, env, NoProgress())
    assert model.replay_buffer.size() == 20
    np.testing.assert_array_equal(model.replay_buffer.actions[:10, 0, 0], recording[0].actions)
    still_to_come = np.where(np.arange(10) == 9, 9.0, 0.0)
    np.testing.assert_allclose(
        model.replay_buffer.rewards[:10, 0], recording[0].rewards - 1.0 - still_to_come, rtol=1e-5
    )
    model.learn(40)
    assert model.replay_buffer.size() == 40
    env.close()


def test_what_pays_is_learned_from_random_play_alone(square_extractor: FrozenExtractor, tmp_path: Path):
    played = recorded(SQUARE, tmp_path / "played", episodes=40)
    env = FrozenFeatures(agentlab_envs.make_vec(SQUARE, 8, seed=0), square_extractor, stack=2)
    model = RewardDifferenceDQN("MlpPolicy", env, target=1.0, gamma=0.9, seed=0, buffer_size=1000)
    model.set_logger(Logger(None, []))
    remember([played], model.replay_buffer, model, env, NoProgress())
    model.train(400, 64)
    states = np.concatenate([env.reset() for _ in range(10)])
    actions, _ = model.predict(states, deterministic=True)
    assert (actions == 1).mean() > 0.9  # to the right, where it is paid
    env.close()


class Always:
    """A policy of one action."""

    def __init__(self, action: Any) -> None:
        self._action = action

    def reset(self, seed: int) -> None:
        """Nothing depends on it."""

    def act(self, frame: Any, info: dict[str, Any]) -> Any:  # noqa: ARG002
        return self._action


def played_always(env_id: str, action: Any, folder: Path) -> Recording:
    with closing(agentlab_envs.make(env_id)) as env:
        record(env, folder, Always(action), episodes=8, env_id=env_id)
    return Recording(folder)


def learned(model: Any, recording: Recording, env: FrozenFeatures, updates: int) -> None:
    """Lets a head learn from a recording before it plays."""
    model.set_logger(Logger(None, []))
    is_dqn = isinstance(model, RewardDifferenceDQN)
    memory = (
        model.replay_buffer if is_dqn else FeatureReplayBuffer(80, env.observation_space, env.action_space, "cpu", 8)
    )
    remember([recording], memory, model, env, NoProgress())
    model.learn_recorded(updates) if is_dqn else model.imitate(memory, updates)


@pytest.mark.parametrize("action", [0, 1])
@pytest.mark.parametrize(
    "head", [partial(RewardDifferenceDQN, imitation=1.0, gamma=0.9), partial(RewardDifferencePPO, batch_size=128)]
)
def test_the_recorded_action_is_imitated_whatever_it_paid(
    head: Any, action: int, square_extractor: FrozenExtractor, tmp_path: Path
):
    recording = played_always(SQUARE, action, tmp_path / "played")
    with closing(FrozenFeatures(agentlab_envs.make_vec(SQUARE, 8, seed=0), square_extractor, stack=2)) as env:
        model = head("MlpPolicy", env, seed=0)
        learned(model, recording, env, 150)
        actions, _ = model.predict(np.concatenate([env.reset() for _ in range(10)]), deterministic=True)
        assert (actions == action).mean() > 0.9
        assert model._n_updates == 150


def test_continuous_actions_are_imitated(square_extractor: FrozenExtractor, tmp_path: Path):
    recording = played_always(CONTINUOUS, np.array([0.6], np.float32), tmp_path / "played")
    with closing(FrozenFeatures(agentlab_envs.make_vec(CONTINUOUS, 8, seed=0), square_extractor, stack=2)) as env:
        model = RewardDifferencePPO("MlpPolicy", env, batch_size=128, seed=0)
        learned(model, recording, env, 400)
        actions, _ = model.predict(env.reset(), deterministic=True)
        np.testing.assert_allclose(actions, 0.6, atol=0.1)


def test_another_eye_sees_recorded_play_anew(recording: Recording, square_extractor: FrozenExtractor):
    env = FrozenFeatures(agentlab_envs.make_vec(SQUARE, 2, seed=0), square_extractor, stack=2)
    model = RewardDifferenceDQN("MlpPolicy", env, seed=0, buffer_size=1000)
    model.set_logger(Logger(None, []))
    model.replay_buffer.archive = FrameArchive(square_extractor.frame_shape)
    remember([recording], model.replay_buffer, model, env, NoProgress())
    model.replay_buffer.see_anew(
        lambda frames: np.repeat(frames.mean(axis=(1, 2))[:, None], square_extractor.n_percepts("labels"), 1)
    )
    expected = recording[0].frames(range(10)).mean(axis=(1, 2)).astype(np.float16)
    np.testing.assert_array_equal(model.replay_buffer.observations[:10, 0, 0], expected)
    env.close()


def test_recordings_of_other_frames_or_of_too_few_steps_are_refused(square_extractor: FrozenExtractor, tmp_path: Path):
    for n_envs, env_kwargs, said in ((1, {"width": 40}, r"expected frames of shape"), (41, {}, "at least 41 steps")):
        played = recorded(SQUARE, tmp_path / str(n_envs), **env_kwargs)
        env = FrozenFeatures(DummyVecEnv([lambda: gym.make(SQUARE)] * n_envs), square_extractor, stack=2)
        model = RewardDifferenceDQN("MlpPolicy", env, seed=0)
        with pytest.raises(InputError, match=said):
            remember([played], model.replay_buffer, model, env, NoProgress())


def test_recordings_of_other_actions_are_refused(recording: Recording, square_extractor: FrozenExtractor):
    env = FrozenFeatures(agentlab_envs.make_vec(SQUARE, 1, seed=0), square_extractor, stack=2)
    model = RewardDifferenceDQN("MlpPolicy", env, seed=0)
    recording.header.action_space.n = 7
    with pytest.raises(InputError, match=r"expected the actions Discrete\(2\), found Discrete\(7\)"):
        remember([recording], model.replay_buffer, model, env, NoProgress())
    env.close()
