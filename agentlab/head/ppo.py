"""`RewardDifferencePPO`: makes actions likelier whose difference still to come is below what was expected."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.vec_env import VecEnv

from agentlab.head.difference import LearnsDifference
from agentlab.head.motion import MotionExtractor
from agentlab.head.reward import RewardFunction, Target, environment_reward, expected_difference


class RewardDifferencePPO(LearnsDifference, PPO):
    """PPO on the reward difference, for discrete and continuous actions (CN110837858B; PPO: arXiv 1707.06347).

    The advantage is minus (difference-to-go minus its learned baseline), so a constant target cancels out of it. The
    baseline begins at `-R*/(1 - gamma)`, minus the difference-to-go of a state that is always `R*` away from it.
    Arguments are SB3's, with defaults for features instead of images; `target` and `reward_function` as those of
    `RewardDifferenceDQN`.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"MlpPolicy": ActorCriticPolicy}

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy],
        env: Any,
        *,
        target: Target = 1.0,
        reward_function: RewardFunction = environment_reward,
        learning_rate: Any = 3e-4,
        n_steps: int = 128,
        batch_size: int = 512,
        n_epochs: int = 4,
        clip_range: Any = 0.2,
        ent_coef: float = 0.01,
        policy_kwargs: dict[str, Any] | None = None,
        **sb3: Any,
    ) -> None:
        self.target, self.reward_function = target, reward_function
        super().__init__(
            policy,
            env,
            learning_rate=learning_rate,
            n_steps=n_steps,
            batch_size=batch_size,
            n_epochs=n_epochs,
            clip_range=clip_range,
            ent_coef=ent_coef,
            policy_kwargs={"features_extractor_class": MotionExtractor, "net_arch": [128, 128]} | (policy_kwargs or {}),
            **sb3,
        )

    def _setup_model(self) -> None:
        super()._setup_model()
        with torch.no_grad():
            self.policy.value_net.bias.fill_(-expected_difference(self.target, self.reward_function, self.gamma))

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        return super().collect_rollouts(self._paying_difference(env), callback, rollout_buffer, n_rollout_steps)
