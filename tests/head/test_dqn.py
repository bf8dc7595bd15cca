"""`RewardDifferenceDQN`: Q-learning seen from the other side, and an SB3 algorithm like any other."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from label_games import Chain
from learners import equal, identity, weights
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback, EvalCallback
from stable_baselines3.common.envs import IdentityEnv, IdentityEnvBox
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch.nn import functional as F  # noqa: N812

from agentlab.errors import InputError
from agentlab.head import RewardDifferenceDQN, State
from agentlab.head.network import DifferencePolicy
from agentlab.head.readout import Histogram, Scalar

SMALL: dict[str, Any] = {
    "policy_kwargs": {"net_arch": [32]},
    "learning_starts": 100,
    "batch_size": 32,
    "buffer_size": 2000,
    "gradient_steps": 1,
    "learning_rate": 2e-3,
    "tau": 0.05,
    "device": "cpu",
    "seed": 0,
}


def learner(env: Any = None, **options: Any) -> RewardDifferenceDQN:
    return RewardDifferenceDQN("MlpPolicy", env or identity(), **SMALL | {"n_steps": 1, "gamma": 0.5} | options)


class Actions(BaseCallback):
    """Notes every action taken."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[int] = []

    def _on_step(self) -> bool:
        self.taken.extend(self.locals["actions"].tolist())
        return True


class TestEqualsQLearningForAConstantTarget:
    @pytest.mark.parametrize("histogram", [True, False])
    @pytest.mark.parametrize("advantage_learning", [0.0, 0.9])
    @pytest.mark.parametrize("target", [0.0, 1.0, -3.0])
    def test_in_the_loss_of_a_batch(self, target: float, advantage_learning: float, histogram: bool):
        """Double, over n steps, with true ends; Q is R*/(1 - gamma) - D, and its rewards are the environment's.

        Both are measured in units of the target; the gap is widened by what advantage learning subtracts from Q. The
        histogram of -Q is that of Q turned round.
        """
        torch.manual_seed(0)
        unit = abs(target) or 1.0
        gamma, n = 0.9, torch.tensor([[1], [3], [3], [2]])
        model = learner(
            target=target,
            gamma=gamma,
            advantage_learning=advantage_learning,
            policy_kwargs={"net_arch": [32], "histogram": histogram},
        )
        for parameter in model.q_net_target.parameters():
            parameter.data.add_(torch.randn_like(parameter))
        states, following = torch.tensor([[0], [1], [2], [0]]), torch.tensor([[1], [1], [0], [2]])
        actions, dones = torch.tensor([[2], [0], [1], [1]]), torch.tensor([[0.0], [0], [0], [1]])
        returns, end = torch.tensor([[0.5], [-2.0], [3.0], [1.0]]), target / (1 - gamma)
        paid = returns - target * (1 - gamma**n) / (1 - gamma) - dones * gamma**n * end
        batch = ReplayBufferSamples(states, actions, following, dones, paid, gamma**n)
        with torch.no_grad():
            q, slow_q = end - model.q_net(states), end - model.q_net_target(following)
            best = (end - model.q_net(following)).argmax(dim=1, keepdim=True)
            wanted = returns + (1 - dones) * gamma**n * slow_q.gather(1, best)
            here = end - model.q_net_target(states)
            wanted -= advantage_learning * (here.max(dim=1, keepdim=True).values - here.gather(1, actions))
            expected = F.smooth_l1_loss(q.gather(1, actions) / unit, wanted / unit)
            if histogram:
                readout = Histogram()
                outputs = model.q_net.outputs(states)[torch.arange(4), actions[:, 0]]
                of_q = (outputs + readout.prior).flip(1)
                expected = F.cross_entropy(of_q, readout.spread(wanted[:, 0] / unit))
        wanted = model.wanted(batch, model.q_net, model.q_net_target)
        torch.testing.assert_close(model.loss(states, actions, wanted), expected, rtol=1e-4, atol=1e-5)

    def test_and_small_rewards_are_learned_as_large_ones_are(self):
        """A hundredth of the rewards and of the target: the same actions, and a hundredth of the differences."""
        models, taken = [], []
        for scale in (1.0, 0.01):
            actions = Actions()
            model = learner(target=scale, reward_function=lambda state, scale=scale: scale * state.reward)
            models.append(model.learn(400, callback=actions))
            taken.append(actions.taken)
        assert taken[0] == taken[1]
        states = torch.arange(3)[:, None]
        with torch.no_grad():
            found = [model.q_net(states) for model in models]
        torch.testing.assert_close(0.01 * found[0], found[1], rtol=1e-3, atol=1e-5)

    def test_in_the_whole_training(self):
        """Whatever the target, the same actions, and the same differences but for their common offset."""
        models, taken = [], []
        for target in (0.0, 1.0):
            actions = Actions()
            models.append(learner(target=target, n_steps=3).learn(400, callback=actions))
            taken.append(actions.taken)
        assert taken[0] == taken[1]
        states = torch.arange(3)[:, None]
        with torch.no_grad():
            found = [model.q_net.beyond_offset(states) for model in models]
            torch.testing.assert_close(found[0], found[1], rtol=0.02, atol=2e-3)
            torch.testing.assert_close(models[1].q_net(states), found[1] + 2.0)

    @pytest.mark.parametrize("target", [0.0, 2.0])
    @pytest.mark.parametrize("n_steps", [1, 2])
    def test_in_what_is_learned_where_dying_early_is_tempting(self, target: float, n_steps: int):
        gamma = 0.8
        model = learner(
            DummyVecEnv([Chain] * 8), target=target, gamma=gamma, n_steps=n_steps, exploration_final_eps=0.4,
            exploration_fraction=0.3, gradient_steps=4, batch_size=64, tau=0.02,
        ).learn(3000)  # fmt: skip
        with torch.no_grad():
            found = target / (1 - gamma) - model.q_net(torch.arange(Chain.LENGTH)[:, None]).numpy()
        best = Chain.values(gamma)
        # n-step returns of exploring actions are below the optimum
        np.testing.assert_allclose(found, best, atol=0.25 if n_steps == 1 else 1.2)
        assert (best.argmax(axis=1) == 1).all()
        assert (found.argmax(axis=1) == 1).all()


class TestNetwork:
    def test_begins_at_the_offset_of_a_state_always_as_far_from_the_target(self):
        for target in (2.0, State(np.array([2.0], np.float32))):
            model = learner(target=target, gamma=0.75)
            for network in (model.q_net, model.q_net_target):
                assert float(network.offset) == 8.0
            assert "offset" not in dict(model.q_net.named_parameters())

    def test_acts_by_the_smallest_difference(self):
        model = learner()
        states = np.arange(3)
        differences = model.q_net(torch.from_numpy(states)[:, None])
        np.testing.assert_array_equal(model.predict(states, deterministic=True)[0], differences.argmin(dim=1))

    @pytest.mark.parametrize("dueling", [True, False])
    def test_has_the_layers_asked_for(self, dueling: bool):
        layers = {"dueling": dueling, "histogram": dueling, "layer_norm": not dueling}
        network = learner(policy_kwargs=layers).q_net
        assert (network.state_value is not None) == dueling
        assert isinstance(network.readout, Histogram if dueling else Scalar)
        assert any(isinstance(part, torch.nn.LayerNorm) for part in network.modules()) != dueling
        states = torch.arange(3)[:, None]
        hidden = network.q_net(network.extract_features(states, network.features_extractor))
        if dueling:
            assert network.state_value is not None
            torch.testing.assert_close(network.outputs(states).mean(dim=1), network.state_value(hidden))
            behind = network.outputs(states) - network.advantage(hidden).unflatten(1, (-1, network.readout.n_outputs))
            torch.testing.assert_close(behind, behind[:, :1].expand_as(behind))
        else:
            torch.testing.assert_close(network.beyond_offset(states), network.advantage(hidden) * network.unit)

    def test_is_loaded_with_the_layers_it_was_saved_with(self, tmp_path: Path):
        policy = learner(policy_kwargs={"dueling": False, "histogram": False, "layer_norm": False}).policy
        policy.save(tmp_path / "policy")
        loaded = DifferencePolicy.load(tmp_path / "policy")
        states = torch.arange(3)[:, None]
        torch.testing.assert_close(loaded.q_net(states), policy.q_net(states))

    def test_that_rewards_are_too_large_for_is_warned_of_once(self):
        model = learner(reward_function=lambda state: 1e5 * state.reward)
        with pytest.warns(UserWarning, match="give a target of the size of the rewards") as said:
            model.learn(300)
        assert len([warning for warning in said if "target" in str(warning.message)]) == 1

    def test_takes_the_next_action_from_the_network_if_double_and_else_from_its_slow_copy(self):
        for double in (True, False):
            model = learner(double=double, policy_kwargs={"net_arch": [32], "histogram": False})
            with torch.no_grad():
                model.q_net.advantage.bias.copy_(torch.tensor([0.0, 9.0, 9.0]))
                model.q_net_target.advantage.bias.copy_(torch.tensor([9.0, 9.0, 0.0]))
            states = torch.zeros(2, 1, dtype=torch.long)
            zeros, ones = torch.zeros(2, 1), torch.ones(2, 1)
            batch = ReplayBufferSamples(states, zeros.long(), states, zeros, zeros, ones)
            to_come = model.q_net_target(states)
            torch.testing.assert_close(
                model.wanted(batch, model.q_net, model.q_net_target),
                to_come[:, :1] if double else to_come.min(dim=1)[0][:, None],
            )

    def test_learns_in_bfloat16_if_told_so_and_acts_in_float32(self):
        """All but the first layer, which sees positions to a part of a pixel."""
        model = learner(bfloat16=True, policy_kwargs={"net_arch": [64, 64]})
        states = torch.arange(3)[:, None]
        network, exact = model.q_net, learner(policy_kwargs={"net_arch": [64, 64]}).q_net
        exact.load_state_dict(network.state_dict())
        layers: dict[int, torch.Tensor] = {}
        network.q_net[0].register_forward_hook(lambda _, __, out: layers.update({0: out}))
        torch.testing.assert_close(network.eval()(states), exact(states), rtol=0, atol=0)
        exactly = layers[0]
        learned = network.train().beyond_offset(states)
        assert not torch.equal(learned, exact.beyond_offset(states))
        torch.testing.assert_close(learned, exact.beyond_offset(states), rtol=0, atol=0.02)
        assert torch.equal(layers[0], exactly)
        assert learned.dtype == torch.float32


class TestLearning:
    def test_reaches_the_best_on_a_trivial_environment(self):
        model = learner(identity(4)).learn(1500)
        mean, _ = evaluate_policy(model, identity(), n_eval_episodes=5, warn=False)
        assert mean > 0.95 * 20

    def test_does_so_by_a_target_state_too(self):
        model = learner(identity(4), target=State(np.array([1.0], np.float32))).learn(1500)
        mean, _ = evaluate_policy(model, identity(), n_eval_episodes=5, warn=False)
        assert mean > 0.95 * 20

    def test_is_equal_for_equal_seeds(self):
        one, same, other = (weights(learner(identity(2), seed=seed, n_steps=2).learn(300)) for seed in (1, 1, 2))
        assert equal(one, same)
        assert not equal(one, other)

    def test_moves_the_slow_copy_by_its_share(self):
        model = learner(tau=0.25).learn(101)
        before = {name: parameter.clone() for name, parameter in model.q_net_target.named_parameters()}
        model._follow()
        fast = dict(model.q_net.named_parameters())
        for name, slow in model.q_net_target.named_parameters():
            torch.testing.assert_close(slow, 0.75 * before[name] + 0.25 * fast[name])

    def test_memory_holds_the_difference_and_how_steps_ended(self):
        model = learner(DummyVecEnv([Chain]), target=2.0, gamma=0.5, learning_starts=10_000).learn(300)
        memory = model.replay_buffer
        rows = slice(0, memory.pos)
        jumped = memory.actions[rows, 0, 0] == 0
        np.testing.assert_array_equal(memory.terminals[rows, 0], jumped)
        np.testing.assert_allclose(memory.rewards[rows, 0][jumped], Chain.JUMP - 2 - 0.5 / 0.5 * 2, rtol=1e-5)
        assert set(np.round(memory.rewards[rows, 0][~jumped], 4)) <= {np.float32(-2.2), np.float32(-1.0)}


def test_advantage_learning_leaves_the_best_action_s_difference_and_moves_the_others_away():
    found = []
    for advantage_learning in (0.0, 0.8):
        model = learner(
            identity(4), advantage_learning=advantage_learning, exploration_final_eps=1.0, gradient_steps=4
        ).learn(3000)
        with torch.no_grad():
            found.append(model.q_net(torch.arange(3)[:, None]).sort(dim=1).values)
    torch.testing.assert_close(found[1][:, 0], found[0][:, 0], rtol=0.05, atol=0.1)
    gaps = [values[:, 1:] - values[:, :1] for values in found]
    assert (gaps[1] > 2 * gaps[0]).all()


class TestUpdates:
    """Within `learn` they are made while the environments step, outside at once."""

    def test_are_made_while_the_environments_step(self):
        done: list[str] = []

        class Noted(DummyVecEnv):
            def step_async(self, actions: Any) -> None:
                done.append("begin")
                super().step_async(actions)

            def step_wait(self) -> Any:
                done.append("end")
                return super().step_wait()

        model = learner(Noted([lambda: IdentityEnv(3, ep_length=20)]), learning_starts=10)
        update = model.update
        model.update = lambda *args, **how: done.append("update") or update(*args, **how)  # type: ignore[method-assign,func-returns-value]
        model.learn(30)
        assert done[-7:-1] == ["begin", "update", "end"] * 2
        assert done.count("update") == model._n_updates == 20

    def test_that_fail_leave_no_step_underway(self):
        begun: list[str] = []

        class Noted(DummyVecEnv):
            def reset(self) -> Any:
                assert not begun
                return super().reset()

            def step_async(self, actions: Any) -> None:
                begun.append("a step")
                super().step_async(actions)

            def step_wait(self) -> Any:
                begun.pop()
                return super().step_wait()

        class Fails(RewardDifferenceDQN):
            def wanted(self, *args: Any) -> Any:  # noqa: ARG002
                raise ArithmeticError

        model = Fails("MlpPolicy", Noted([lambda: IdentityEnv(3, ep_length=20)]), learning_starts=10)
        for reset in (True, False):
            with pytest.raises(ArithmeticError):
                model.learn(30, reset_num_timesteps=reset)
            assert not begun

    def test_learn_what_the_networks_wanted_when_the_updates_before_began_whatever_the_thread_does(self):
        """So it can be worked out while those are made, and slowness changes nothing."""

        class Slow(RewardDifferenceDQN):
            in_threads: ClassVar[set[int]] = set()

            def wanted(self, *args: Any) -> Any:
                self.in_threads.add(threading.get_ident())
                time.sleep(0.002)
                return super().wanted(*args)

        quick, slow = (
            weights(kind("MlpPolicy", identity(2), learning_starts=10, seed=3, device="cpu").learn(300))
            for kind in (RewardDifferenceDQN, Slow)
        )
        assert equal(quick, slow)
        assert threading.get_ident() not in Slow.in_threads
        assert len(Slow.in_threads) == 1

    def test_outside_of_learn_learn_what_was_added_to_the_memory_just_before(self):
        model = learner(IdentityEnv(3), gradient_steps=1).learn(200)
        drawn: list[int] = []
        sample = model.replay_buffer.sample
        model.replay_buffer.sample = lambda *args: drawn.append(model.replay_buffer.pos) or sample(*args)  # type: ignore[func-returns-value]
        for position in (50, 60):
            model.replay_buffer.pos = position
            drawn.clear()
            model.train(1)
            assert drawn[0] == position

    @pytest.mark.parametrize("gradient_steps", [3, 12, 20])
    def test_learn_what_is_drawn_ahead_of_them(self, gradient_steps: int):
        model = learner(gradient_steps=gradient_steps)
        drawn: list[int] = []
        sample = model.replay_buffer.sample
        model.replay_buffer.sample = lambda n, *args: drawn.append(n) or sample(n, *args)  # type: ignore[func-returns-value]
        model.learn(200)
        left_at_the_end = sum(drawn) - model._n_updates * model.batch_size
        assert 0 < left_at_the_end <= 8 * model.batch_size
        drawn.clear()
        model.train(gradient_steps, batch_size=32)
        assert sum(drawn) == gradient_steps * 32

    def test_outside_of_learn_are_made_at_once(self):
        model = learner().learn(200)
        before = model._n_updates
        model.train(3, batch_size=8)
        assert model._n_updates == before + 3


def test_returns_are_of_fewer_and_fewer_steps_if_told_so():
    lengths: list[int] = []

    class Lengths(BaseCallback):
        def _on_step(self) -> bool:
            lengths.append(self.model.replay_buffer.n_steps)  # type: ignore[attr-defined]
            return True

    learner(n_steps=10, n_steps_final=3).learn(1000, callback=Lengths())
    assert lengths[0] == 10
    assert (np.diff(lengths) <= 0).all()
    assert lengths[300] == pytest.approx(np.sqrt(30), abs=0.6)
    assert set(lengths[610:]) == {3}
    constant = learner(n_steps=4).learn(300)
    assert constant.replay_buffer.n_steps == 4


class TestExploration:
    def test_fades_out(self):
        model = learner(identity(8), exploration_fraction=0.5, exploration_final_eps=0.3).learn(400)
        assert model.exploration_rate == pytest.approx(0.3)

    def test_does_not_depend_on_what_else_draws_random_numbers(self):
        taken = []
        for disturbed in (False, True):
            actions = Actions()
            model = learner(learning_starts=1000)
            if disturbed:
                np.random.random(10)
                torch.rand(10)
            model.learn(100, callback=actions)
            taken.append(actions.taken)
        assert taken[0] == taken[1]
        assert set(taken[0]) == {0, 1, 2}


class TestIsAnSB3Algorithm:
    def test_with_parameters_that_are_got_and_set(self):
        trained, fresh = learner().learn(200), learner(seed=5)
        fresh.set_parameters(trained.get_parameters())
        assert equal(weights(trained), weights(fresh))

    def test_that_is_saved_while_it_learns_and_trains_at_once_when_loaded(self, tmp_path: Path):
        learner().learn(200, callback=CheckpointCallback(150, str(tmp_path), "kept", save_replay_buffer=True))
        loaded = RewardDifferenceDQN.load(tmp_path / "kept_150_steps", env=identity(), device="cpu")
        loaded.load_replay_buffer(tmp_path / "kept_replay_buffer_150_steps.pkl")
        loaded._setup_learn(1, reset_num_timesteps=False)
        before = weights(loaded)
        loaded.train(2, 32)
        assert not equal(before, weights(loaded))

    def test_that_is_saved_loaded_and_goes_on(self, tmp_path: Path):
        model = learner(target=2.0).learn(200)
        model.save(tmp_path / "model")
        loaded = RewardDifferenceDQN.load(tmp_path / "model", env=identity(), device="cpu")
        assert loaded.target == 2.0
        assert equal(weights(model), weights(loaded))
        states = np.arange(3)
        np.testing.assert_array_equal(
            loaded.predict(states, deterministic=True)[0], model.predict(states, deterministic=True)[0]
        )
        loaded.learn(150, reset_num_timesteps=False)
        assert loaded.num_timesteps == 350
        assert not equal(weights(model), weights(loaded))

    def test_whose_replay_memory_is_saved_and_loaded(self, tmp_path: Path):
        model = learner().learn(150)
        model.save_replay_buffer(tmp_path / "memory")
        other = learner()
        other.load_replay_buffer(tmp_path / "memory")
        assert other.replay_buffer.size() == 150
        other.learn(120, reset_num_timesteps=False)

    def test_with_callbacks_and_a_logger(self, tmp_path: Path):
        callback = EvalCallback(identity(), eval_freq=100, n_eval_episodes=2, log_path=str(tmp_path), verbose=0)
        model = learner().learn(300, callback=callback, log_interval=1)
        assert callback.evaluations_timesteps == [100, 200, 300]
        assert model.logger.name_to_value.keys() >= {"train/loss", "train/n_updates"}

    def test_that_stops_when_a_callback_says_so(self):
        class Stop(BaseCallback):
            def _on_step(self) -> bool:
                return self.num_timesteps < 50

        assert learner().learn(300, callback=Stop()).num_timesteps == 50

    def test_that_takes_a_plain_environment(self):
        learner(Chain()).learn(120)

    def test_that_refuses_what_it_cannot_learn(self):
        with pytest.raises((AssertionError, InputError), match=r"Discrete|discrete"):
            learner(DummyVecEnv([IdentityEnvBox]))
        with pytest.raises(InputError, match="gamma: expected"):
            learner(gamma=1.0)
        for unsound in (
            {"n_steps": 0},
            {"n_steps_final": 0},
            {"longest_hold": 0},
            {"advantage_learning": 1.0},
            {"imitation": -1},
        ):
            with pytest.raises(InputError, match=f"{next(iter(unsound))}: expected"):
                learner(**unsound)
        with pytest.raises(InputError, match=r"target_update_interval: .* tau"):
            learner(target_update_interval=100)
        with pytest.raises(InputError, match="VecNormalize"):
            learner(VecNormalize(DummyVecEnv([lambda: ContinuousStates()]))).learn(10)


class ContinuousStates(Chain):
    """The chain, its place as a number."""

    def __init__(self) -> None:
        super().__init__()
        from gymnasium import spaces

        self.observation_space = spaces.Box(0, 5, (1,), np.float32)

    def reset(self, **options: Any) -> Any:
        place, info = super().reset(**options)
        return np.array([place], np.float32), info

    def step(self, action: Any) -> Any:
        place, *rest = super().step(action)
        return np.array([place], np.float32), *rest
