"""Reward functions and targets: found by name, put through one function, refused when they give no number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentlab.errors import InputError
from agentlab.head import State, environment_reward, sign_of_reward
from agentlab.head.reward import constant_target, expected_difference, find_reward_function


def reward(*values: float) -> State:
    return State(np.array(values, np.float32))


def ball_at(state: State) -> Any:
    return state.labels["ball_x"] / 10


def test_the_environment_s_reward_is_the_default():
    np.testing.assert_array_equal(environment_reward(reward(-2, 0, 0.5)), [-2, 0, 0.5])


def test_the_sign_puts_games_on_one_scale():
    np.testing.assert_array_equal(sign_of_reward(reward(-200, 0, 0.5)), [-1, 0, 1])


class TestFinding:
    def test_built_in_ones_by_name(self):
        assert find_reward_function("environment") is environment_reward
        assert find_reward_function("sign") is sign_of_reward

    def test_others_by_module_and_function(self):
        assert find_reward_function("agentlab.head.reward:sign_of_reward") is sign_of_reward

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("sgn", "Did you mean 'sign'?"),
            ("no_such_module:reward", "No module named 'no_such_module'"),
            ("agentlab.head.reward:sign_of", "has no attribute 'sign_of'"),
            (":reward", "cannot be imported"),
            (".relative:reward", "cannot be imported"),
            ("math:pi", "expected a function of a State, found 3.14"),
            ("broken_rewards:reward", "cannot be imported"),
        ],
    )
    def test_unknown_ones_are_refused(self, name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        (tmp_path / "broken_rewards.py").write_text("def reward(state) return 0")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(InputError) as caught:
            find_reward_function(name)
        assert str(caught.value).startswith(f"reward {name!r}: ")
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)


class TestTargets:
    def test_numbers_and_callables_are_themselves(self):
        assert constant_target(2, sign_of_reward) == 2.0
        assert constant_target(np.float32(0.5), sign_of_reward) == 0.5
        assert constant_target(sign_of_reward, environment_reward) is sign_of_reward

    @pytest.mark.parametrize(
        ("target", "function", "value"),
        [
            (reward(7), environment_reward, 7),
            (reward(7), sign_of_reward, 1),
            (State(np.zeros(1, np.float32), labels={"ball_x": np.full(1, 42, np.float32)}), ball_at, 4.2),
        ],
    )
    def test_a_state_is_put_through_the_reward_function(self, target: State, function: Any, value: float):
        assert constant_target(target, function) == pytest.approx(value)

    @pytest.mark.parametrize("target", [float("nan"), float("inf"), "high", None, reward(1, 2), reward(float("nan"))])
    def test_what_is_no_number_is_refused(self, target: Any):
        with pytest.raises(InputError, match=r"^target: expected a .* found"):
            constant_target(target, environment_reward)


class TestExpectedDifference:
    def test_is_that_of_a_state_always_as_far_away(self):
        assert expected_difference(2.0, environment_reward, 0.75) == 8.0
        assert expected_difference(reward(-3), sign_of_reward, 0.5) == -2.0

    def test_of_a_callable_begins_at_nothing(self):
        assert expected_difference(environment_reward, environment_reward, 0.9) == 0.0

    @pytest.mark.parametrize("target", [1.0, environment_reward])
    @pytest.mark.parametrize("gamma", [1.0, 1.5, -0.1, float("nan")])
    def test_needs_a_discount_below_one(self, gamma: float, target: Any):
        with pytest.raises(InputError, match="gamma: expected a number of at least 0 and below 1, found"):
            expected_difference(target, environment_reward, gamma)
