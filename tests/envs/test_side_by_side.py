"""`SideBySide`: several vector environments are one, and each of its parts can be stepped alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from games import Square
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

import agentlab_envs
from agentlab_envs import SideBySide
from agentlab_envs.side_by_side import parts_of

CATCH = "agentlab/Catch-v0"


def two_parts() -> SideBySide:
    return SideBySide([agentlab_envs.make_vec(CATCH, 2, 5), agentlab_envs.make_vec(CATCH, 1, 7)])


def test_parts_together_are_what_one_environment_is():
    one, several = agentlab_envs.make_vec(CATCH, 3, 5), two_parts()
    np.testing.assert_array_equal(several.reset(), one.reset())
    actions = np.random.default_rng(0).integers(0, 3, (60, 3))
    for chosen in actions:
        for found, expected in zip(several.step(chosen), one.step(chosen), strict=True):
            if isinstance(expected, np.ndarray):
                np.testing.assert_array_equal(found, expected)
        several_infos, one_infos = several.step(chosen)[3], one.step(chosen)[3]
        assert [set(info) for info in several_infos] == [set(info) for info in one_infos]


def test_one_part_steps_while_the_other_waits():
    env = two_parts()
    env.reset()
    first, second = env.parts
    first.step_async(np.zeros(2, int))
    frames, *_ = second.step(np.zeros(1, int))
    assert len(frames) == 1
    assert len(first.step_wait()[0]) == 2


def test_is_seeded_as_one_environment_is():
    several = SideBySide([agentlab_envs.make_vec(CATCH, 2), agentlab_envs.make_vec(CATCH, 1)])
    assert list(several.seed(5)) == [5, 6, 7]
    np.testing.assert_array_equal(several.reset(), two_parts().reset())


def test_infos_of_resets_are_those_of_the_parts():
    env = SideBySide([DummyVecEnv([Square]), DummyVecEnv([Square])])
    env.seed(3)
    env.reset()
    assert env.reset_infos == [part.reset_infos[0] for part in env.parts]
    for _ in range(10):
        _, _, dones, _ = env.step(np.ones(2, int))
    assert dones.all()
    assert env.reset_infos == [part.reset_infos[0] for part in env.parts]


def test_attributes_are_asked_of_the_right_copies():
    env = SideBySide([DummyVecEnv([Square] * 2), DummyVecEnv([lambda: Square()])])
    env.reset()
    env.set_attr("mark", 1, [2])
    env.set_attr("mark", 0, [0, 1])
    assert env.get_attr("mark") == [0, 0, 1]
    assert env.get_attr("mark", [0, 2]) == [0, 1]
    assert env.env_method("get_wrapper_attr", "mark", indices=[2]) == [1]
    assert env.env_is_wrapped(Square) == [False] * 3  # type: ignore[arg-type]


def test_sb3_evaluates_on_it():
    class Still:
        def predict(self, frames: Any, state: Any, **_: Any) -> tuple[Any, Any]:
            return np.zeros(len(frames), int), state

    returns, lengths = evaluate_policy(Still(), two_parts(), n_eval_episodes=3, return_episode_rewards=True)  # type: ignore[arg-type]
    assert len(returns) == len(lengths) == 3  # type: ignore[arg-type]


def test_only_what_says_so_itself_has_parts():
    env = two_parts()
    assert parts_of(env) == env.parts
    alone: VecEnv = env.parts[0]
    assert parts_of(alone) == [alone]


def test_parts_must_be_alike_and_there():
    with pytest.raises(ValueError, match="expected at least one environment, found none"):
        SideBySide([])
    with pytest.raises(ValueError, match="expected environments of the same spaces"):
        SideBySide([agentlab_envs.make_vec(CATCH, 1), DummyVecEnv([Square])])
