"""Features environments: both see the same, each frame once, and ends of episodes are told from beginnings."""

from __future__ import annotations

from typing import Any

import games
import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv
from tiny import CATCH

import agentlab_envs
from agentlab.errors import InputError
from agentlab.extractor import FrozenExtractor, Sees
from agentlab.head import FrozenFeatures, FrozenFeaturesWrapper
from agentlab.head.features_env import FeatureStack, states_of_episode
from agentlab.head.spaces import StackedFeatures

STACK = 3


class Counting:
    """An extractor that counts the frames it is shown."""

    def __init__(self, extractor: FrozenExtractor) -> None:
        self._extractor, self.seen = extractor, 0

    def percepts(self, frames: Any, sees: Sees) -> Any:
        self.seen += len(frames)
        return self._extractor.percepts(frames, sees)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._extractor, name)


def squares(n: int) -> VecEnv:
    venv = DummyVecEnv([games.Square] * n)
    venv.seed(0)
    return venv


def half(percepts: Any) -> Any:
    return percepts.astype(np.float16)


def close(found: Any, expected: Any) -> None:
    """Equal but for what a batch of another size does to the last bits."""
    np.testing.assert_allclose(found.astype(np.float32), expected.astype(np.float32), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("sees", ["labels", "all"])
def test_the_vector_and_the_single_environment_see_the_same(sees: Sees, catch_extractor: FrozenExtractor):
    frames = agentlab_envs.make_vec(CATCH, 1, seed=5)
    venv = FrozenFeatures(frames, catch_extractor, STACK, sees)
    env = FrozenFeaturesWrapper(agentlab_envs.make(CATCH), catch_extractor, STACK, sees)
    assert venv.observation_space == env.observation_space
    assert venv.observation_space.shape == (STACK * catch_extractor.n_percepts(sees),)
    state, (single, _) = venv.reset(), env.reset(seed=5)
    close(state[0], single)
    for step in range(200):
        action = step // 7 % 3
        states, rewards, dones, infos = venv.step(np.array([action]))
        single, reward, terminated, truncated, _ = env.step(action)
        assert rewards[0] == pytest.approx(reward)
        assert dones[0] == (terminated or truncated)
        if dones[0]:
            close(infos[0]["terminal_observation"], single)
            break
        close(states[0], single)
    else:
        pytest.fail("no episode ended")


class TestStates:
    """Of squares, whose episodes last ten steps: frames 0 to 10."""

    def test_stack_the_last_frames_oldest_first_and_begin_with_copies_of_the_first(
        self, square_extractor: FrozenExtractor
    ):
        frames, states = squares(2), FrozenFeatures(squares(2), square_extractor, STACK)
        seen = [half(square_extractor.percepts(frames.reset()))]
        close(states.reset(), np.concatenate([seen[0]] * STACK, axis=1))
        for _ in range(9):
            actions = np.array([0, 1])
            seen.append(half(square_extractor.percepts(frames.step(actions)[0])))
            found = states.step(actions)[0]
            close(found, np.concatenate([*[seen[0]] * (STACK - len(seen)), *seen[-STACK:]], axis=1))
            assert found.dtype == np.float16

    def test_at_an_end_are_the_last_ones_and_then_those_of_the_new_beginning(self, square_extractor: FrozenExtractor):
        frames, states = squares(2), FrozenFeatures(squares(2), square_extractor, STACK)
        frames.reset()
        states.reset()
        for step in range(10):
            actions = np.array([1, 1])
            pixels, _, _, pixel_infos = frames.step(actions)
            before = states._stacked.states().copy()
            found, _, dones, infos = states.step(actions)
            assert dones.all() == (step == 9)
        first = half(square_extractor.percepts(pixels))
        close(found, np.concatenate([first] * STACK, axis=1))
        for env in range(2):
            last = half(square_extractor.percepts(pixel_infos[env]["terminal_observation"][None]))[0]
            width = square_extractor.n_percepts()
            close(infos[env]["terminal_observation"], np.concatenate([before[env, width:], last]))

    def test_given_away_do_not_change_later(self, square_extractor: FrozenExtractor):
        states = FrozenFeatures(squares(2), square_extractor, STACK)
        given = [states.reset()]
        copies = [given[0].copy()]
        for step in range(25):
            if step == 17:
                given.append(states.reset())
            else:
                given.append(states.step(np.array([1, 0]))[0])
            copies.append(given[-1].copy())
        np.testing.assert_array_equal(given, copies)

    def test_at_an_end_of_a_wrapped_environment_are_not_overwritten_by_its_reset(
        self, square_extractor: FrozenExtractor
    ):
        vector = FrozenFeatures(squares(1), square_extractor, STACK)
        single = DummyVecEnv([lambda: FrozenFeaturesWrapper(games.Square(), square_extractor, STACK)])
        single.seed(0)
        vector.reset()
        single.reset()
        for _ in range(10):
            vector_infos, single_infos = (venv.step(np.array([1]))[3] for venv in (vector, single))
        close(single_infos[0]["terminal_observation"], vector_infos[0]["terminal_observation"])

    def test_are_the_only_thing_changed(self, square_extractor: FrozenExtractor):
        frames, states = squares(2), FrozenFeatures(squares(2), square_extractor, STACK)
        frames.reset()
        states.reset()
        for _ in range(12):
            _, rewards, dones, infos = frames.step(np.array([1, 0]))
            _, found_rewards, found_dones, found_infos = states.step(np.array([1, 0]))
            np.testing.assert_array_equal(rewards, found_rewards)
            np.testing.assert_array_equal(dones, found_dones)
            for info, found in zip(infos, found_infos, strict=True):
                assert {**info, "terminal_observation": None} == {**found, "terminal_observation": None}


def test_each_frame_is_seen_by_the_extractor_once(square_extractor: FrozenExtractor):
    counting: Any = Counting(square_extractor)
    states = FrozenFeatures(squares(3), counting, STACK)
    states.reset()
    for _ in range(25):
        states.step(np.zeros(3, int))
    ended = 2 * 3
    assert counting.seen == 3 + 25 * 3 + ended

    counting.seen = 0
    env = FrozenFeaturesWrapper(games.Square(), counting, STACK)
    env.reset(seed=0)
    for _ in range(5):
        env.step(1)
    assert counting.seen == 6


@pytest.mark.parametrize("sees", ["labels", "all"])
def test_predicted_labels_are_those_of_the_newest_frame(sees: Sees, square_extractor: FrozenExtractor):
    frames, states = squares(2), FrozenFeatures(squares(2), square_extractor, STACK, sees)
    frames.reset()
    states.reset()
    for _ in range(4):
        pixels, *_ = frames.step(np.array([1, 0]))
        found, *_ = states.step(np.array([1, 0]))
        expected = square_extractor.predict_labels(pixels)[:, 0]
        np.testing.assert_allclose(states.predict_labels(found)["square_x"], expected, atol=0.1)


def test_sb3_finds_nothing_wrong_with_the_wrapper(square_extractor: FrozenExtractor):
    check_env(FrozenFeaturesWrapper(games.Square(), square_extractor), warn=False)


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [(PPO, {"n_steps": 32, "batch_size": 32}), (DQN, {"learning_starts": 20, "buffer_size": 100})],
)
def test_sb3_s_own_algorithms_learn_on_both(algorithm: Any, options: dict[str, Any], square_extractor: FrozenExtractor):
    for env in (FrozenFeatures(squares(1), square_extractor), FrozenFeaturesWrapper(games.Square(), square_extractor)):
        model = algorithm("MlpPolicy", env, device="cpu", seed=0, **options).learn(64)
        assert model.num_timesteps == 64


class TestRefusals:
    def test_of_other_frames(self, square_extractor: FrozenExtractor):
        with pytest.raises(InputError, match=r"environment: expected frames of shape \(32, 32\)"):
            FrozenFeatures(DummyVecEnv([lambda: games.Square(width=40)]), square_extractor)
        with pytest.raises(InputError, match=r"expected frames of shape"):
            FrozenFeaturesWrapper(games.Square(width=40), square_extractor)

    def test_of_what_is_no_image(self, square_extractor: FrozenExtractor):
        with pytest.raises(InputError, match="expected frames, a uint8 Box"):
            FrozenFeaturesWrapper(gym.make("CartPole-v1"), square_extractor)

    def test_of_seeing_what_there_is_not(self, square_extractor: FrozenExtractor):
        with pytest.raises(InputError, match=r"sees: expected .* found 'label'\. Did you mean 'labels'"):
            FrozenFeatures(squares(1), square_extractor, sees="label")  # type: ignore[arg-type]

    def test_of_an_empty_stack(self, square_extractor: FrozenExtractor):
        with pytest.raises(InputError, match="stack: expected at least 1 frame, found 0"):
            FrozenFeatures(squares(1), square_extractor, stack=0)


def test_parts_seen_apart_are_what_the_whole_sees(catch_extractor: FrozenExtractor):
    def catches(n: int, seed: int) -> VecEnv:
        return agentlab_envs.make_vec(CATCH, n, seed)

    whole = FrozenFeatures(catches(3, 5), catch_extractor, STACK)
    parts = FrozenFeatures(agentlab_envs.SideBySide([catches(2, 5), catches(1, 7)]), catch_extractor, STACK)
    assert [part.num_envs for part in parts.parts] == [2, 1]
    close(parts.reset(), whole.reset())
    for actions in np.random.default_rng(0).integers(0, 3, (120, 3)):
        (found, _, dones, infos), (expected, _, expected_dones, expected_infos) = (
            parts.step(actions),
            whole.step(actions),
        )
        close(found, expected)
        np.testing.assert_array_equal(dones, expected_dones)
        for env in np.flatnonzero(dones):
            close(infos[env]["terminal_observation"], expected_infos[env]["terminal_observation"])


def test_another_extractor_is_seen_through_from_then_on(catch_extractor: FrozenExtractor):
    class Shifted(Counting):
        def percepts(self, frames: Any, sees: Sees) -> Any:
            return super().percepts(frames, sees) + 1

    frames = agentlab_envs.SideBySide([agentlab_envs.make_vec(CATCH, 1, 5), agentlab_envs.make_vec(CATCH, 1, 6)])
    env = FrozenFeatures(frames, catch_extractor, STACK)
    space, before = env.observation_space, env.reset()
    env.see_through(Shifted(catch_extractor))  # type: ignore[arg-type]
    frames.seed(5)
    close(env.reset(), before + 1)
    assert env.observation_space == space


@pytest.mark.parametrize("stack", [1, 2, 5])
@pytest.mark.parametrize("n_frames", [1, 3, 9])
def test_states_of_an_episode_are_those_stacked_frame_by_frame(stack: int, n_frames: int):
    percepts = np.random.default_rng(0).normal(size=(n_frames, 4)).astype(np.float32)
    space = StackedFeatures(stack, 4)
    stacked = FeatureStack(1, space)
    one_by_one = [stacked.begin(percepts[:1])] + [stacked.push(percepts[t : t + 1]) for t in range(1, n_frames)]
    at_once = states_of_episode(percepts, space)
    assert at_once.dtype == np.float16
    np.testing.assert_array_equal(at_once, np.concatenate(one_by_one))
