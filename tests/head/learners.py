"""What tests of both heads share: a game that both learn, and how weights are taken and compared."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.envs import IdentityEnv
from stable_baselines3.common.vec_env import DummyVecEnv


def identity(n: int = 1) -> DummyVecEnv:
    """Copies of a game that pays for naming its state."""
    venv = DummyVecEnv([lambda: IdentityEnv(3, ep_length=20)] * n)
    venv.seed(0)
    for env in venv.envs:
        env.action_space.seed(0)
    return venv


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.policy.state_dict().items()}


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
