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

from agentlab.errors import InputError
from agentlab.head.difference import LearnsDifference, fused_adam, lives_lost
from agentlab.head.memory import FeatureReplayBuffer
from agentlab.head.motion import MotionExtractor
from agentlab.head.reward import RewardFunction, Target, environment_reward, expected_difference
from agentlab.timing import spent
from agentlab_envs import SideBySide
from agentlab_envs.side_by_side import joined

ADAM_EPS = 1e-5
"""SB3's choice for PPO."""

Choice = tuple[Tensor, Tensor, Tensor]
"""Actions, their values and their log probabilities, of a step that a part of the environments has begun."""


class RewardDifferencePPO(LearnsDifference, PPO):
    """PPO on the reward difference, for discrete and continuous actions (CN110837858B; PPO: arXiv 1707.06347).

    The advantage is minus (difference-to-go minus its learned baseline), so a constant target cancels out of it. The
    baseline begins at `-R*/(1 - gamma)`, minus the difference-to-go of a state that is always `R*` away from it.
    `imitate` lets it act as in recorded play before the first step of its own, by behaviour cloning.
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
        n_steps: int = 16,
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
        self._underway: dict[int, Choice] = {}
        with torch.no_grad():
            self.policy.value_net.bias.fill_(-expected_difference(self.target, self.reward_function, self.gamma))

    def learn(self, *args: Any, **kwargs: Any) -> RewardDifferencePPO:
        """Learns as SB3's PPO does, but updates over a `SideBySide` are made while the next rollout's first step runs.

        The policy before the update chose that step, and its probabilities are those the next update is held against.
        """
        try:
            return super().learn(*args, **kwargs)
        finally:
            self._end_underway()

    def imitate(self, memory: FeatureReplayBuffer, updates: int) -> None:
        """Makes so many updates by which the actions in the memory become likelier."""
        self.policy.set_training_mode(True)
        is_discrete = isinstance(self.action_space, spaces.Discrete)
        for _ in range(updates):
            batch = memory.sample(self.batch_size)
            actions = batch.actions.long().flatten() if is_discrete else batch.actions
            _, log_probs, _ = self.policy.evaluate_actions(batch.observations, actions)
            self.policy.optimizer.zero_grad()
            (-log_probs.mean()).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
        self._n_updates += updates

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        """What SB3's does, but each part of a `SideBySide` begins its next step as soon as its last one has ended.

        So actions of one part are chosen while others step. The last rollout leaves no step underway.
        """
        paying = self._paying_difference(env)
        several = len(paying.parts) > 1
        if several and self.use_sde:
            raise InputError(f"use_sde: its noise expects environments in one part, found {len(paying.parts)}")
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        callback.on_rollout_start()
        if self.use_sde:
            self.policy.reset_noise(env.num_envs)
        for n_done in range(n_rollout_steps):
            if self.use_sde and self.sde_sample_freq > 0 and n_done % self.sde_sample_freq == 0:
                self.policy.reset_noise(env.num_envs)
            is_last = n_done == n_rollout_steps - 1 and self.num_timesteps + env.num_envs >= self._total_timesteps
            self._begin_all(paying)
            choices, outcomes = [], []
            for number, part in enumerate(paying.parts):
                choices.append(self._underway.pop(number))
                outcomes.append(part.step_wait())
                if several and not is_last:
                    self._begin(number, part, outcomes[-1][0])
            actions, values, log_probs = (torch.cat(column) for column in zip(*choices, strict=True))
            new_obs, rewards, dones, infos = joined(outcomes)
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                self._last_obs, self._last_episode_starts = np.asarray(new_obs), dones
                return False
            self._update_info_buffer(infos, dones)
            self._value_what_was_cut_off(rewards, dones, infos)
            rollout_buffer.add(
                self._last_obs,  # type: ignore[arg-type]
                actions.cpu().numpy(),
                rewards,
                self._last_episode_starts,  # type: ignore[arg-type]
                values,
                log_probs,
            )
            self._last_obs, self._last_episode_starts = np.asarray(new_obs), dones | lives_lost(infos)
        values = self._values(new_obs)
        rollout_buffer.compute_returns_and_advantage(last_values=values, dones=self._last_episode_starts)  # type: ignore[arg-type]
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _begin_all(self, paying: SideBySide) -> None:
        """Lets every part begin a step whose step is not underway."""
        for number, (part, span) in enumerate(zip(paying.parts, paying.spans, strict=True)):
            if number not in self._underway:
                self._begin(number, part, np.asarray(self._last_obs)[span])

    @torch.no_grad()
    def _begin(self, number: int, part: VecEnv, observations: Any) -> None:
        """Lets a part of the environments begin a step."""
        with spent("policy"):
            actions, values, log_probs = self.policy(obs_as_tensor(np.asarray(observations), self.device))
        taken = actions.cpu().numpy()
        if isinstance(self.action_space, spaces.Box):
            if self.policy.squash_output:
                taken = self.policy.unscale_action(taken)
            else:
                taken = np.clip(taken, self.action_space.low, self.action_space.high)
        part.step_async(taken)
        self._underway[number] = actions, values, log_probs

    def _end_underway(self) -> None:
        """Waits for steps that will not be learned from, so that the environments can be used by others."""
        parts = self._difference_env.parts if self._difference_env is not None else []
        ended = [part.step_wait() for number, part in enumerate(parts) if self._underway.pop(number, None)]
        if len(ended) == len(parts) > 0:
            observations, _, self._last_episode_starts, _ = joined(ended)
            self._last_obs = np.asarray(observations)
        elif ended:
            self._last_obs = None  # SB3 then resets the environments

    @torch.no_grad()
    def _values(self, observations: Any) -> Tensor:
        return self.policy.predict_values(self.policy.obs_to_tensor(observations)[0])

    def _value_what_was_cut_off(self, rewards: Any, dones: Any, infos: list[dict[str, Any]]) -> None:
        """Adds the value of the last state to the reward of each episode that was cut off."""
        for env in np.flatnonzero(dones):
            if infos[env].get("TimeLimit.truncated", False):
                rewards[env] += self.gamma * float(self._values(infos[env]["terminal_observation"]))

    def train(self) -> None:
        with spent("update"):
            super().train()
