"""A trained policy that strays, so that a recording of its play sees more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from agentlab.recording import WanderingPolicy

if TYPE_CHECKING:
    from gymnasium import Space

    from agentlab.recording import Policy
    from agentlab.recording.frames import Frame

STRAYS = (0.0, 0.03, 0.1, 0.3)
"""Shares of random actions in the episodes of a straying policy."""


class StrayingPolicy:
    """A trained policy that strays now and then, from episode to episode more or less, so that play sees more."""

    def __init__(self, policy: Policy, action_space: Space[Any], name: str) -> None:
        self.name = name
        self._policy, self._astray = policy, WanderingPolicy(action_space)

    def reset(self, seed: int) -> None:
        self._policy.reset(seed)
        self._astray.reset(seed)
        self._random = np.random.default_rng([seed, 0x57A7])
        self._share = STRAYS[seed % len(STRAYS)]

    def act(self, frame: Frame, info: dict[str, Any]) -> Any:
        chosen, astray = (policy.act(frame, info) for policy in (self._policy, self._astray))
        return astray if self._random.random() < self._share else chosen
