"""What the networks of a head see of a state: the newest frame, and how it differs from the ones before."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import get_flattened_obs_dim
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

from agentlab.head.spaces import StackedFeatures

MOTION_SCALE = 4.0
"""Percepts change little from frame to frame; their changes are enlarged so that networks heed them."""


class MotionExtractor(BaseFeaturesExtractor):
    """SB3's seam between states and networks: the newest percepts and their change since each earlier frame.

    Percepts that the space says are overlooked are left out. States of other spaces are flattened. Nothing is learned.
    Gives float32 `(n, features_dim)`.
    """

    def __init__(self, observation_space: spaces.Space[object]) -> None:
        stack, overlooked = 1, set[int]()
        if isinstance(observation_space, StackedFeatures):
            stack, overlooked = observation_space.stack, set(observation_space.overlooked)
        n_percepts = get_flattened_obs_dim(observation_space) // stack
        heeded = sorted(set(range(n_percepts)) - overlooked)
        super().__init__(observation_space, stack * len(heeded))
        is_as_it_was = stack == 1 and len(heeded) == n_percepts
        self.register_buffer("seen", None if is_as_it_was else newest_and_changes(stack, n_percepts, heeded), False)
        self.seen: Tensor | None

    def forward(self, states: Tensor) -> Tensor:
        flat = states.flatten(1)
        return flat if self.seen is None else flat @ self.seen


def newest_and_changes(stack: int, n_percepts: int, heeded: Sequence[int]) -> Tensor:
    """The matrix `(stack * n_percepts, stack * len(heeded))` that makes of a state what networks see of it.

    One product is several times faster than picking out, subtracting and joining, and as exact: scales are powers of 2.
    """
    frames = torch.eye(stack * n_percepts).unflatten(1, (stack, n_percepts))[:, :, heeded]  # type: ignore[no-untyped-call]
    newest = frames[:, -1:]
    return torch.cat([newest, MOTION_SCALE * (newest - frames[:, :-1])], dim=1).flatten(1)
