"""What an environment pays when it pays the reward difference; and what reward functions and targets are shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import games
import numpy as np
import pytest
from label_games import Rise
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecEnvWrapper
from tiny import CATCH

import agentlab_envs
from agentlab.errors import InputError
from agentlab.extractor import FrozenExtractor
from agentlab.head import FrozenFeatures, RewardDifferenceDQN, RewardDifferencePPO, State
from agentlab.head.difference import RewardDifference, WithoutLabels, lives_lost
from agentlab.head.reward import Target, environment_reward

GAMMA = 0.9


def paying(
    venv: VecEnv, target: Target = 5.0, reward_function: Any = environment_reward, observations: Any = None
) -> RewardDifference:
    observations = venv.reset() if observations is None else observations
    return RewardDifference(venv, observations, GAMMA, reward_function, target)


def rise(n: int = 1, **options: Any) -> VecEnv:
    return DummyVecEnv([lambda: Rise(**options)] * n)


def rewards_of(env: VecEnv, steps: int) -> list[float]:
    return [float(env.step(np.zeros(env.num_envs, int))[1][0]) for _ in range(steps)]


class TestPay:
    def test_is_minus_the_difference_and_a_true_end_costs_all_that_is_still_to_come(self):
        ordinary = -(5.0 - 2.0)
        terminated = ordinary - GAMMA * 5.0 / (1 - GAMMA)
        found = rewards_of(paying(rise()), 6)
        assert found == pytest.approx([ordinary, ordinary, terminated, ordinary, ordinary, ordinary])

    @pytest.mark.parametrize("ends", [True, False])
    def test_of_a_lost_life_is_that_of_an_end_unless_told_otherwise(self, ends: bool):
        class Lives(VecEnvWrapper):
            def reset(self) -> Any:
                return self.venv.reset()

            def step_wait(self) -> Any:
                observations, rewards, dones, infos = self.venv.step_wait()
                infos[0]["life_lost"] = True
                return observations, rewards, dones, infos

        venv = Lives(rise(2, length=10))
        env = RewardDifference(venv, venv.reset(), GAMMA, environment_reward, 5.0, life_loss_ends=ends)
        _, rewards, dones, infos = env.step(np.zeros(2, int))
        assert not dones.any()
        assert lives_lost(infos).tolist() == [ends, False]
        lost = GAMMA * 5.0 / (1 - GAMMA) if ends else 0
        assert rewards.tolist() == pytest.approx([-(5.0 - 2.0) - lost, -(5.0 - 2.0)])

    def test_of_an_end_makes_the_whole_difference_that_of_a_state_forever_as_far_away(self):
        found = rewards_of(paying(rise(length=1), reward_function=lambda state: 0 * state.reward), 1)[0]
        assert found == pytest.approx(-5.0 / (1 - GAMMA))

    def test_beats_the_target_without_being_punished(self):
        assert rewards_of(paying(rise(), target=0.5), 1) == [1.5]

    def test_leaves_everything_else(self):
        plain, env = rise(2), paying(rise(2))
        plain.reset()
        for _ in range(7):
            expected, found = plain.step(np.zeros(2, int)), env.step(np.zeros(2, int))
            np.testing.assert_array_equal(found[0], expected[0])
            np.testing.assert_array_equal(found[2], expected[2])
            assert [info.keys() for info in found[3]] == [info.keys() for info in expected[3]]

    def test_is_float32(self):
        assert paying(rise(2)).step(np.zeros(2, int))[1].dtype == np.float32


class TestTargets:
    @pytest.mark.parametrize(
        "target", [3.0, 3, State(np.array([3.0], np.float32)), lambda state: np.full(len(state.reward), 3.0)]
    )
    def test_of_every_form_are_the_same(self, target: Target):
        assert rewards_of(paying(rise(), target), 6) == pytest.approx(rewards_of(paying(rise(), 3.0), 6))

    def test_that_are_called_see_the_state_reached(self):
        def target(state: State) -> Any:
            return state.labels["height"]

        end = GAMMA / (1 - GAMMA)
        expected = [-(1 - 2), -(2 - 2), -(3 - 2) - end * 3, -(11 - 2), -(12 - 2), -(13 - 2), -(21 - 2)]
        assert rewards_of(paying(rise(), target), 7) == pytest.approx(expected)


class Seen:
    """A reward function that notes the labels it is shown."""

    def __init__(self, name: str = "height") -> None:
        self.before: list[list[float]] = []
        self.after: list[list[float]] = []
        self._name = name

    def __call__(self, state: State) -> Any:
        self.before.append(state.before[self._name].tolist())
        self.after.append(state.labels[self._name].tolist())
        return state.reward


class TestTrueLabels:
    @pytest.mark.parametrize("length", [1, 2, 3])
    def test_are_of_the_states_before_and_after_a_step_also_across_ends(self, length: int):
        seen = Seen()
        rewards_of(paying(rise(length=length), reward_function=seen), 3 * length + 1)
        after = [[10 * episode + t] for episode in range(4) for t in range(1, length + 1)]
        assert seen.after == after[: 3 * length + 1]
        assert seen.before == [[height - 1] for (height,) in seen.after]

    def test_of_several_environments_are_each_one_s(self):
        venv = DummyVecEnv([lambda: Rise(length=2), lambda: Rise(length=3)])
        seen = Seen()
        rewards_of(paying(venv, reward_function=seen), 5)
        assert seen.after == [[1, 1], [2, 2], [11, 3], [12, 11], [21, 12]]
        assert seen.before == [[0, 0], [1, 1], [10, 2], [11, 10], [20, 11]]

    def test_begin_anew_after_a_reset(self):
        seen = Seen()
        env = paying(rise(), reward_function=seen)
        rewards_of(env, 1)
        env.reset()
        rewards_of(env, 1)
        assert seen.before == [[0], [10]]

    def test_flags_and_absent_values_are_numbers(self):
        class Sinking(Rise):
            def _info(self) -> dict[str, Any]:
                return {"labels": {"height": None, "up": False}}

        found: dict[str, float] = {}

        def reward(state: State) -> Any:
            found.update({name: float(state.labels[name][0]) for name in state.labels})
            return state.reward

        rewards_of(paying(DummyVecEnv([Sinking]), reward_function=reward), 1)
        assert found["up"] == 0.0
        assert np.isnan(found["height"])

    def test_of_features_environments_are_those_of_the_game(self, square_extractor: FrozenExtractor):
        venv = DummyVecEnv([games.Square] * 2)
        venv.seed(0)
        env = FrozenFeatures(venv, square_extractor)
        seen = Seen("square_x")
        paid = paying(env, reward_function=seen)
        rewards_of(paid, 25)
        assert all(x.is_integer() for step in (*seen.before, *seen.after) for x in step)
        changes = np.array(seen.after) - np.array(seen.before)
        assert set(np.unique(changes)) <= {-1.0, 0.0}

    def test_of_a_fast_vector_environment_are_given(self, catch_extractor: FrozenExtractor):
        venv = agentlab_envs.make_vec(CATCH, 3, seed=0, labels=True)
        seen = Seen("balls_left")
        rewards_of(paying(FrozenFeatures(venv, catch_extractor), reward_function=seen), 20)
        assert seen.before[0] == [10, 10, 10]
        assert seen.after[-1] == [9, 9, 9]


class TestPredictedLabels:
    def test_are_those_of_the_states_before_and_after_a_step(self, square_extractor: FrozenExtractor):
        def game() -> VecEnv:
            venv = WithoutLabels(DummyVecEnv([games.Square] * 2))
            venv.seed(0)
            return venv

        seen = Seen("square_x")
        env = paying(FrozenFeatures(game(), square_extractor), reward_function=seen)
        frames = game()
        now, before, after = frames.reset(), [], []
        for _ in range(25):
            env.step(np.ones(2, int))
            reached, _, _, infos = frames.step(np.ones(2, int))
            last = np.stack(
                [info.get("terminal_observation", frame) for info, frame in zip(infos, reached, strict=True)]
            )
            before.append(square_extractor.predict_labels(now)[:, 0])
            after.append(square_extractor.predict_labels(last)[:, 0])
            now = reached
        np.testing.assert_allclose(seen.after, after, atol=0.1)
        np.testing.assert_allclose(seen.before, before, atol=0.1)

    def test_are_not_worked_out_unless_asked_for(self, square_extractor: FrozenExtractor, monkeypatch: Any):
        monkeypatch.setattr(FrozenFeatures, "predict_labels", lambda *_: pytest.fail("nobody asked"))
        venv = WithoutLabels(DummyVecEnv([games.Square]))
        rewards_of(paying(FrozenFeatures(venv, square_extractor)), 12)

    def test_are_no_true_ones_even_when_all_episodes_end_at_once(self):
        venv = WithoutLabels(rise(2, length=2))
        assert venv.reset_infos == [{}, {}]
        venv.reset()
        for _ in range(5):
            *_, infos = venv.step(np.zeros(2, int))
            assert not any("labels" in info for info in (*infos, *venv.unwrapped.reset_infos))


class TestRefusals:
    def refused(self, said: str, run: Callable[[], Any]) -> None:
        with pytest.raises(InputError, match=said) as caught:
            run()
        assert "\n" not in str(caught.value)

    def test_of_labels_that_nobody_gives(self):
        env = paying(rise(labels=False), reward_function=Seen())
        self.refused("asks for labels, .* wrap the environment in FrozenFeatures", lambda: env.step(np.zeros(1, int)))

    def test_of_labels_without_a_schema(self):
        class Unschooled(Rise):
            def _info(self) -> dict[str, Any]:
                return {"labels": {"height": 1}}

        env = paying(DummyVecEnv([lambda: Unschooled(labels=False)]), reward_function=Seen())
        self.refused("no attribute label_schema", lambda: env.step(np.zeros(1, int)))

    def test_of_a_label_that_is_not_there(self):
        env = paying(rise(), reward_function=Seen("hight"))
        self.refused("no label 'hight'. Did you mean 'height'?", lambda: env.step(np.zeros(1, int)))

    @pytest.mark.parametrize("value", [np.zeros((2, 1)), np.zeros(3), "much"])
    def test_of_rewards_that_are_not_one_for_each_environment(self, value: Any):
        env = paying(rise(2), reward_function=lambda _: value)
        self.refused("reward function: expected a number for each of 2", lambda: env.step(np.zeros(2, int)))

    def test_of_rewards_and_targets_that_are_no_numbers(self):
        env = paying(rise(2), reward_function=lambda state: state.reward * np.array([1, np.nan]))
        self.refused("reward function: expected finite numbers, found nan", lambda: env.step(np.zeros(2, int)))
        env = paying(rise(2), target=lambda state: state.reward * np.inf)
        self.refused("target: expected finite numbers, found inf", lambda: env.step(np.zeros(2, int)))


OPTIONS: dict[Any, dict[str, Any]] = {
    RewardDifferenceDQN: {"learning_starts": 1000, "policy_kwargs": {"net_arch": [8]}},
    RewardDifferencePPO: {"n_steps": 4, "batch_size": 4, "policy_kwargs": {"net_arch": [8]}},
}


@pytest.mark.parametrize("algorithm", OPTIONS)
class TestLearning:
    def test_goes_on_where_it_was_when_learning_goes_on(self, algorithm: Any):
        seen = Seen()
        model = algorithm("MlpPolicy", rise(length=7), reward_function=seen, device="cpu", **OPTIONS[algorithm])
        model.learn(4)
        model.learn(4, reset_num_timesteps=False)
        assert seen.before == [[0], [1], [2], [3], [4], [5], [6], [10]]
        assert seen.after == [[1], [2], [3], [4], [5], [6], [7], [11]]

    def test_begins_anew_when_learning_begins_anew(self, algorithm: Any):
        seen = Seen()
        model = algorithm("MlpPolicy", rise(length=7), reward_function=seen, device="cpu", **OPTIONS[algorithm])
        model.learn(4)
        model.learn(4)
        assert seen.before == [[0], [1], [2], [3], [10], [11], [12], [13]]

    def test_begins_anew_in_another_environment(self, algorithm: Any):
        seen = Seen()
        model = algorithm("MlpPolicy", rise(length=7), reward_function=seen, device="cpu", **OPTIONS[algorithm])
        model.learn(4)
        model.set_env(rise(length=2))
        model.learn(4, reset_num_timesteps=False)
        assert seen.before[4:] == [[0], [1], [10], [11]]

    def test_logs_the_environment_s_own_returns(self, algorithm: Any):
        model = algorithm("MlpPolicy", Rise(length=3), device="cpu", **OPTIONS[algorithm])
        model.learn(12)
        assert {episode["r"] for episode in model.ep_info_buffer} == {6.0}
