"""Strategies on heads: modes around updates, fixed norm as an optimiser class, random patience as a callback."""

from __future__ import annotations

import doctest

import pytest
import torch
from learners import equal, identity, weights
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import EvalCallback
from torch import nn

from agentlab.errors import InputError
from agentlab.head import UPDATE_MODES, RewardDifferenceDQN, StopOnRandomPatience, patience
from agentlab.strategies import FixNorm, Mode, ModeChoice, RandomPatience

QUICK = {"learning_starts": 64, "gradient_steps": 8, "buffer_size": 10_000, "seed": 0, "device": "cpu"}


def dqn(**options):
    return RewardDifferenceDQN("MlpPolicy", identity(8), **QUICK, **options)


def choice(modes=UPDATE_MODES, **options):
    return ModeChoice(modes, total_steps=400, stages=[40], **{"steps": 8} | options)


def test_updates_run_in_the_mode_that_is_chosen_and_are_all_made():
    chooses = choice()
    model = dqn(mode_choice=chooses).learn(400)
    assert chooses.steps_done == model._n_updates > 40
    (comparison,) = chooses.comparisons
    assert comparison.at_step == 40
    assert set(comparison.trials) == {"float32", "bfloat16"}
    assert all(trial.fall == trial.fall for trial in comparison.trials.values())


def test_a_comparison_costs_no_update_and_changes_none():
    """With one real mode and a copy of it the network learns what it learns without a choice."""
    copies = choice([UPDATE_MODES[0], Mode("copy")])
    assert equal(weights(dqn(mode_choice=copies).learn(400)), weights(dqn().learn(400)))


def test_stages_longer_than_the_updates_between_two_steps_are_refused():
    with pytest.raises(InputError, match="mode_choice: expected stages of at most 8 steps, found 9"):
        dqn(mode_choice=choice(steps=9))


def test_fixed_norm_is_an_optimiser_of_hidden_layers_without_bias():
    model = dqn(policy_kwargs={"optimizer_class": FixNorm, "bias": False, "net_arch": [32, 32]})
    began = [layer[0].weight.norm().item() for layer in model.q_net.q_net]
    model.learn(400)
    assert len(model.policy.optimizer.norms) == 2
    assert [layer[0].weight.norm().item() for layer in model.q_net.q_net] == pytest.approx(began, rel=1e-6)


class Normalised(nn.Module):
    """A features extractor whose layer is scale-invariant."""

    def __init__(self, observation_space, features_dim=16):
        super().__init__()
        self.features_dim = features_dim
        self.layers = nn.Sequential(nn.Linear(observation_space.n, 16, bias=False), nn.LayerNorm(16))

    def forward(self, observations):
        return self.layers(observations.flatten(1))


def test_fixed_norm_is_an_optimizer_class_of_sb3():
    kwargs = {"features_extractor_class": Normalised, "optimizer_class": FixNorm}
    model = DQN("MlpPolicy", identity(1), policy_kwargs=kwargs, learning_starts=50, seed=0, device="cpu")
    layer = model.q_net.features_extractor.layers[0]
    model.learn(150)
    (norm,) = model.policy.optimizer.norms.values()
    before = layer.weight.clone()
    model.learn(150, reset_num_timesteps=False)
    assert not torch.equal(before, layer.weight)
    assert float(layer.weight.norm()) == pytest.approx(norm, rel=1e-6)


def test_random_patience_ends_a_training_as_its_docstring_says():
    (example,) = (found for found in doctest.DocTestFinder().find(patience, globs=vars(patience)) if found.examples)
    assert doctest.DocTestRunner().run(example).failed == 0


def test_evaluations_that_get_no_better_are_counted_until_patience_is_out():
    counts = RandomPatience(20, seed=0, p=0.0, ties_count_as_misses=True)
    evaluations = EvalCallback(identity(1), callback_after_eval=StopOnRandomPatience(counts), eval_freq=50, verbose=0)
    model = DQN("MlpPolicy", identity(1), learning_starts=10_000, seed=0, device="cpu")
    model.learn(5_000, callback=evaluations)
    assert counts.misses == counts.patience == 16
    assert model.num_timesteps == 50 * 17


def test_it_says_where_it_belongs():
    with pytest.raises(ValueError, match="expected to be an EvalCallback's callback_after_eval"):
        DQN("MlpPolicy", identity(1), device="cpu").learn(10, callback=StopOnRandomPatience(RandomPatience(5)))
