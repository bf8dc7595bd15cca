"""`RewardDifferencePPO`: makes actions likelier whose difference still to come is below what was expected."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn

from agentlab.head.difference import LearnsDifference, fused_adam, lives_lost
from agentlab.head.motion import MotionExtractor
from agentlab.head.reward import RewardFunction, Target, environment_reward, expected_difference
from agentlab.timing import spent
from agentlab_envs import SideBySide
from agentlab_envs.side_by_side import joined

ADAM_EPS = 1e-5
"""SB3's choice for PPO."""

Choice = tuple[Tensor, Tensor, Tensor]
"""Actions, their values and their log probabilities."""


class RewardDifferencePPO(LearnsDifference, PPO):
    """PPO on the reward difference, for discrete and continuous actions (CN110837858B; PPO: arXiv 1707.06347).

    The advantage is minus (difference-to-go minus its learned baseline), so a constant target cancels out of it. The
    baseline begins at `-R*/(1 - gamma)`, minus the difference-to-go of a state that is always `R*` away from it.
    Arguments are SB3's, with defaults for features instead of images; `target`, `reward_function` and
    `life_loss_ends` as those of `RewardDifferenceDQN`.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"MlpPolicy": ActorCriticPolicy}

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy],
        env: Any,
        *,
        target: Target = 1.0,
        reward_function: RewardFunction = environment_reward,
        life_loss_ends: bool = True,
        learning_rate: Any = 3e-4,
        n_steps: int = 32,
        batch_size: int = 512,
        n_epochs: int = 4,
        clip_range: Any = 0.2,
        ent_coef: float = 0.01,
        policy_kwargs: dict[str, Any] | None = None,
        **sb3: Any,
    ) -> None:
        self.target, self.reward_function, self.life_loss_ends = target, reward_function, life_loss_ends
        super().__init__(
            policy,
            env,
            learning_rate=learning_rate,
            n_steps=n_steps,
            batch_size=batch_size,
            n_epochs=n_epochs,
            clip_range=clip_range,
            ent_coef=ent_coef,
            policy_kwargs={
                "features_extractor_class": MotionExtractor,
                "net_arch": [64, 64],
                "activation_fn": nn.ReLU,
            }
            | fused_adam(policy_kwargs, eps=ADAM_EPS)
            | (policy_kwargs or {}),
            **sb3,
        )

    def _setup_model(self) -> None:
        super()._setup_model()
        self._begun: list[Choice] = []
        with torch.no_grad():
            self.policy.value_net.bias.fill_(-expected_difference(self.target, self.reward_function, self.gamma))

    def learn(self, *args: Any, **kwargs: Any) -> RewardDifferencePPO:
        """Learns as SB3's PPO does, but updates over a `SideBySide` are made while the next rollout's first step runs.

        The policy before the update chose that step, and its probabilities are those the next update is held against.
        """
        try:
            return super().learn(*args, **kwargs)
        finally:
            if self._begun and self._difference_env is not None:
                self._end_begun(self._difference_env)

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        """What SB3's does, but for the parts of a `SideBySide`: actions of one part are chosen while others step.

        Then, but for the last rollout, the first step of the next one is begun.
        """
        paying = self._paying_difference(env)
        if self.use_sde:  # its noise is of all environments at once
            return super().collect_rollouts(paying, callback, rollout_buffer, n_rollout_steps)
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        callback.on_rollout_start()
        observations, starts = np.asarray(self._last_obs), np.asarray(self._last_episode_starts)
        begun, self._begun = self._begun, []
        for part, span in zip(paying.parts, paying.spans, strict=True) if not begun else ():
            begun.append(self._begin(part, observations[span]))
        for steps_left in reversed(range(n_rollout_steps)):
            goes_on = steps_left or (
                len(paying.parts) > 1 and self.num_timesteps + env.num_envs < self._total_timesteps
            )
            choices, begun, outcomes = begun, [], []
            for part in paying.parts:
                outcomes.append(part.step_wait())
                if goes_on:
                    begun.append(self._begin(part, np.asarray(outcomes[-1][0])))
            new_obs, rewards, dones, infos = joined(outcomes)
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                self._last_obs, self._last_episode_starts = np.asarray(new_obs), dones
                if begun:
                    self._end_begun(paying)
                return False
            self._update_info_buffer(infos, dones)
            self._value_what_was_cut_off(rewards, dones, infos)
            actions, values, log_probs = (torch.cat(column) for column in zip(*choices, strict=True))
            rollout_buffer.add(observations, actions.cpu().numpy(), rewards, starts, values, log_probs)
            observations, starts = np.asarray(new_obs), dones | lives_lost(infos)
        self._last_obs, self._last_episode_starts, self._begun = observations, starts, begun
        last_values = torch.cat([choice[1] for choice in begun]) if begun else self._values(observations)
        rollout_buffer.compute_returns_and_advantage(last_values=last_values, dones=starts)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    @torch.no_grad()
    def _begin(self, part: VecEnv, observations: Any) -> Choice:
        """Lets a part of the environments begin a step; gives the actions, their values and log probabilities."""
        with spent("policy"):
            actions, values, log_probs = self.policy(obs_as_tensor(observations, self.device))
        taken = actions.cpu().numpy()
        if isinstance(self.action_space, spaces.Box):
            if self.policy.squash_output:
                taken = self.policy.unscale_action(taken)
            else:
                taken = np.clip(taken, self.action_space.low, self.action_space.high)
        part.step_async(taken)
        return actions, values, log_probs

    def _end_begun(self, paying: SideBySide) -> None:
        """Waits for steps that were begun and are not learned from, so that the environments can be used by others."""
        self._begun = []
        observations, _, self._last_episode_starts, _ = joined([part.step_wait() for part in paying.parts])
        self._last_obs = np.asarray(observations)

    @torch.no_grad()
    def _values(self, observations: Any) -> Tensor:
        return self.policy.predict_values(obs_as_tensor(observations, self.device))

    def _value_what_was_cut_off(self, rewards: Any, dones: Any, infos: list[dict[str, Any]]) -> None:
        """Adds the value of the last state to the reward of each episode that was cut off."""
        for env in np.flatnonzero(dones):
            if infos[env].get("TimeLimit.truncated", False):
                rewards[env] += self.gamma * float(self._values(infos[env]["terminal_observation"][None]))

    def train(self) -> None:
        with spent("update"):
            super().train()
