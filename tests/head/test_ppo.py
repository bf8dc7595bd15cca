"""`RewardDifferencePPO`: a constant target cancels out, true ends cost, and it is an SB3 algorithm like any other."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from label_games import Chain, Rise
from learners import equal, identity, weights
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.envs import IdentityEnv, IdentityEnvBox, IdentityEnvMultiDiscrete
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv

from agentlab.errors import InputError
from agentlab.head import RewardDifferencePPO, State
from agentlab_envs import SideBySide

SMALL: dict[str, Any] = {
    "policy_kwargs": {"net_arch": [32]},
    "n_steps": 32,
    "batch_size": 32,
    "n_epochs": 4,
    "gamma": 0.5,
    "learning_rate": 3e-3,
    "device": "cpu",
    "seed": 0,
}


def continuous(n: int) -> DummyVecEnv:
    venv = DummyVecEnv([lambda: IdentityEnvBox(eps=0.5, ep_length=20)] * n)
    for env in venv.envs:
        env.action_space.seed(0)
    return venv


def learner(env: Any = None, **options: Any) -> RewardDifferencePPO:
    return RewardDifferencePPO("MlpPolicy", env or identity(), **SMALL | options)


class Rollouts(BaseCallback):
    """Notes the advantages and actions of every rollout."""

    def __init__(self) -> None:
        super().__init__()
        self.advantages: list[Any] = []
        self.actions: list[Any] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.advantages.append(self.model.rollout_buffer.advantages.copy())  # type: ignore[attr-defined]
        self.actions.append(self.model.rollout_buffer.actions.copy())  # type: ignore[attr-defined]


class TestTarget:
    def test_that_is_constant_cancels_from_the_advantage(self):
        rollouts = []
        for target in (0.0, 10.0):
            rollouts.append(Rollouts())
            learner(DummyVecEnv([Rise]), target=target, normalize_advantage=False).learn(32, callback=rollouts[-1])
        np.testing.assert_array_equal(rollouts[0].actions[0], rollouts[1].actions[0])
        np.testing.assert_allclose(rollouts[0].advantages[0], rollouts[1].advantages[0], atol=1e-4)

    def test_that_is_far_from_all_returns_does_not_keep_it_from_learning(self):
        for target in (-20.0, 20.0):
            model = learner(identity(4), target=target).learn(2500)
            mean, _ = evaluate_policy(model, identity(), n_eval_episodes=5, warn=False)
            assert mean > 0.95 * 20

    def test_is_where_the_baseline_begins(self):
        for target in (3.0, State(np.array([3.0], np.float32))):
            assert learner(target=target, gamma=0.75).policy.value_net.bias.item() == -12.0

    def test_returns_are_minus_the_difference_to_go_with_ends_forever_as_far_away(self):
        model = learner(DummyVecEnv([Rise]), target=5.0, gae_lambda=1.0)
        model.learn(32)
        returns = model.rollout_buffer.returns[:3, 0]  # of the first episode, which ends truly after 3 steps
        paid, end = -(5 - 2.0), -5.0 / (1 - 0.5)
        expected = [paid + 0.5 * (paid + 0.5 * (paid + 0.5 * end)), paid + 0.5 * (paid + 0.5 * end), paid + 0.5 * end]
        np.testing.assert_allclose(returns, expected, rtol=1e-4)

    def test_truncations_bootstrap(self):
        model = learner(DummyVecEnv([Rise]), target=5.0, gae_lambda=1.0)
        with torch.no_grad():
            baseline = float(model.policy.predict_values(torch.tensor([[13.0]])))
        model.learn(32)
        assert float(model.rollout_buffer.returns[5, 0]) == pytest.approx(-(5 - 2.0) + 0.5 * baseline, rel=1e-3)


class Noted(DummyVecEnv):
    """Notes when its steps begin and end."""

    def __init__(self, name: str, noted: list[str]) -> None:
        super().__init__([lambda: IdentityEnv(3, ep_length=20)])
        self.seed(0)
        self._name, self._noted = name, noted

    def step_async(self, actions: Any) -> None:
        self._noted.append(f"{self._name} begins")
        super().step_async(actions)

    def step_wait(self) -> Any:
        self._noted.append(f"{self._name} ends")
        return super().step_wait()


class TestRollouts:
    @pytest.mark.parametrize(
        ("env", "options"),
        [
            (identity(3), {}),
            (DummyVecEnv([Rise] * 2), {}),
            (continuous(2), {"use_sde": True, "policy_kwargs": {"net_arch": [8]}}),
            (continuous(2), {"use_sde": True, "sde_sample_freq": 4, "policy_kwargs": {"net_arch": [8]}}),
        ],
        ids=["identity", "rise", "sde", "sde drawn anew"],
    )
    def test_are_those_of_sb3_s_own_loop(self, env: Any, options: dict[str, Any]):
        class OwnLoop(RewardDifferencePPO):
            def collect_rollouts(self, env: Any, *args: Any, **kwargs: Any) -> bool:
                return PPO.collect_rollouts(self, self._paying_difference(env), *args, **kwargs)

        def learned(algorithm: type[RewardDifferencePPO]) -> dict[str, torch.Tensor]:
            made = copy.deepcopy(env)
            return weights(algorithm("MlpPolicy", made, **SMALL | options).learn(200))

        assert equal(learned(RewardDifferencePPO), learned(OwnLoop))

    def test_of_state_dependent_noise_are_refused_in_several_parts(self):
        model = learner(SideBySide([continuous(2), continuous(2)]), use_sde=True, policy_kwargs={"net_arch": [8]})
        with pytest.raises(InputError, match="use_sde: its noise expects environments in one part, found 2"):
            model.learn(100)

    def test_step_one_part_while_the_other_s_actions_are_chosen(self):
        noted: list[str] = []
        model = learner(SideBySide([Noted("a", noted), Noted("b", noted)]), n_steps=3)
        model.learn(6)
        assert noted == [
            "a begins", "b begins",
            "a ends", "a begins", "b ends", "b begins",
            "a ends", "a begins", "b ends", "b begins",
            "a ends", "b ends",
        ]  # fmt: skip

    def test_are_learned_from_while_the_next_one_s_first_step_runs(self):
        noted: list[str] = []

        class Learner(RewardDifferencePPO):
            def train(self) -> None:
                noted.append("learns")
                super().train()

        Learner("MlpPolicy", SideBySide([Noted("a", noted), Noted("b", noted)]), **SMALL | {"n_steps": 2}).learn(8)
        assert noted == [
            "a begins", "b begins",
            "a ends", "a begins", "b ends", "b begins",
            "a ends", "a begins", "b ends", "b begins",
            "learns",
            "a ends", "a begins", "b ends", "b begins",
            "a ends", "b ends",
            "learns",
        ]  # fmt: skip

    def test_that_cannot_be_learned_from_leave_no_step_underway(self):
        class Fails(RewardDifferencePPO):
            def train(self) -> None:
                raise ArithmeticError

        noted: list[str] = []
        model = Fails("MlpPolicy", SideBySide([Noted("a", noted), Noted("b", noted)]), **SMALL | {"n_steps": 2})
        for reset in (True, False):
            with pytest.raises(ArithmeticError):
                model.learn(8, reset_num_timesteps=reset)
            assert noted.count("a begins") == noted.count("a ends") == noted.count("b begins") == noted.count("b ends")

    def test_stopped_by_a_callback_leave_no_step_underway(self):
        noted: list[str] = []
        model = learner(SideBySide([Noted("a", noted), Noted("b", noted)]))
        model.learn(64, callback=lambda _, __: model.num_timesteps < 20)
        assert model.num_timesteps == 20
        assert noted.count("a begins") == noted.count("a ends") == noted.count("b ends")
        model.learn(64, reset_num_timesteps=False)
        assert noted.count("a begins") == noted.count("a ends")

    @pytest.mark.parametrize("n_parts", [1, 2])
    def test_that_a_callback_breaks_off_leave_no_step_underway(self, n_parts: int):
        noted: list[str] = []
        model = learner(SideBySide([Noted(name, noted) for name in "ab"[:n_parts]]))

        def fails(_: Any, __: Any) -> bool:
            if model.num_timesteps == 6 * n_parts:
                raise ArithmeticError
            return True

        with pytest.raises(ArithmeticError):
            model.learn(64, callback=fails)
        assert [line for line in noted if "begins" in line] == [f"{name} begins" for name in "ab"[:n_parts]] * (
            6 if n_parts == 1 else 7
        )
        assert len(noted) == 2 * len([line for line in noted if "begins" in line])
        model.learn(64, reset_num_timesteps=False)

    @pytest.mark.parametrize("env", [identity(2), SideBySide([identity(1), identity(1)])], ids=["one", "parts"])
    def test_show_callbacks_the_actions_of_the_step(self, env: Any):
        taken: list[Any] = []
        model = learner(env)
        model.learn(64, callback=lambda found, _: taken.append(found["actions"].numpy().copy()) or True)
        np.testing.assert_array_equal(np.stack(taken, axis=1).reshape(-1, 1), model.rollout_buffer.actions)

    def test_count_a_lost_life_as_an_end(self):
        class Lives(Rise):
            """The first step of an episode costs a life."""

            def step(self, action: Any) -> Any:
                *step, info = super().step(action)
                return *step, info | {"life_lost": self._t == 1}

        for life_loss_ends in (True, False):
            model = learner(DummyVecEnv([Lives]), life_loss_ends=life_loss_ends).learn(32)
            np.testing.assert_array_equal(
                model.rollout_buffer.episode_starts[:6, 0], [1, life_loss_ends, 0, 1, life_loss_ends, 0]
            )

    def test_value_states_that_are_plain_numbers_too(self):
        learner(DummyVecEnv([Chain])).learn(32)


class TestLearning:
    def test_reaches_the_best_on_a_trivial_environment(self):
        model = learner(identity(4)).learn(2500)
        mean, _ = evaluate_policy(model, identity(), n_eval_episodes=5, warn=False)
        assert mean > 0.95 * 20

    def test_learns_continuous_actions(self):
        model = learner(continuous(4), ent_coef=0.0, gamma=0.0).learn(4000)
        mean, _ = evaluate_policy(model, continuous(4), n_eval_episodes=8, warn=False)
        assert mean > 0.9 * 20

    def test_takes_another_optimizer_with_its_own_defaults(self):
        model = learner(policy_kwargs={"net_arch": [8], "optimizer_class": torch.optim.SGD})
        assert isinstance(model.policy.optimizer, torch.optim.SGD)
        assert isinstance(learner().policy.optimizer, torch.optim.Adam)

    def test_takes_several_discrete_actions_at_once(self):
        learner(DummyVecEnv([lambda: IdentityEnvMultiDiscrete(2, ep_length=10)])).learn(64)

    def test_is_equal_for_equal_seeds(self):
        one, same, other = (weights(learner(identity(2), seed=seed).learn(256)) for seed in (1, 1, 2))
        assert equal(one, same)
        assert not equal(one, other)


class TestIsAnSB3Algorithm:
    def test_with_parameters_that_are_got_and_set(self):
        trained, fresh = learner().learn(64), learner(seed=5)
        fresh.set_parameters(trained.get_parameters())
        assert equal(weights(trained), weights(fresh))

    def test_that_is_saved_loaded_and_goes_on(self, tmp_path: Path):
        model = learner(target=2.0).learn(64)
        model.save(tmp_path / "model")
        loaded = RewardDifferencePPO.load(tmp_path / "model", env=identity(), device="cpu")
        assert loaded.target == 2.0
        assert equal(weights(model), weights(loaded))
        loaded.learn(64, reset_num_timesteps=False)
        assert loaded.num_timesteps == 128

    def test_with_callbacks(self, tmp_path: Path):
        callback = EvalCallback(identity(), eval_freq=32, n_eval_episodes=2, log_path=str(tmp_path), verbose=0)
        learner().learn(96, callback=callback)
        assert callback.evaluations_timesteps == [32, 64, 96]

    def test_that_needs_a_discount_below_one(self):
        with pytest.raises(InputError, match="gamma: expected"):
            learner(gamma=1.0)
