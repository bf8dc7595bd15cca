"""Tiny games whose rewards and ends are known by heart."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

RISE = {"height": {"kind": "number", "low": 0, "high": 1000}, "up": {"kind": "flag"}}


class Rise(gym.Env[Any, Any]):
    """Rises by one a step from `10 * episode`, `length` steps long; every second end is a truncation.

    Observes the height, is rewarded 2 a step, and labels the height and whether it has risen.
    """

    def __init__(self, length: int = 3, labels: bool = True) -> None:
        self.observation_space = spaces.Box(0, 1000, (1,), np.float32)
        self.action_space = spaces.Discrete(2)
        self._length, self._episode = length, 0
        if labels:
            self.label_schema = RISE

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._t, self._height = 0, 10 * self._episode
        self._episode += 1
        return self._seen(), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:  # noqa: ARG002
        self._t += 1
        self._height += 1
        ended, truncates = self._t == self._length, self._episode % 2 == 0
        return self._seen(), 2.0, ended and not truncates, ended and truncates, self._info()

    def _seen(self) -> Any:
        return np.array([self._height], np.float32)

    def _info(self) -> dict[str, Any]:
        return {"labels": {"height": self._height, "up": self._t > 0}} if hasattr(self, "label_schema") else {}


class Chain(gym.Env[Any, Any]):
    """Five states in a row: action 1 goes right, action 0 ends the episode at once with a small reward.

    The last state is worth 1 a step for ever (the episode is truncated), the ones before -0.2 a step: an agent that
    takes an end for the end of all costs jumps at once.
    """

    LENGTH = 5
    STEP, GOAL, JUMP = -0.2, 1.0, -0.1

    def __init__(self) -> None:
        self.observation_space = spaces.Discrete(self.LENGTH)
        self.action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._t, self._place = 0, int(self.np_random.integers(self.LENGTH))
        return self._place, {}

    def step(self, action: Any) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self._t += 1
        if action == 0:
            return self._place, self.JUMP, True, False, {}
        self._place = min(self._place + 1, self.LENGTH - 1)
        reward = self.GOAL if self._place == self.LENGTH - 1 else self.STEP
        return self._place, reward, False, self._t >= 12, {}

    @classmethod
    def values(cls, gamma: float) -> Any:
        """Q* `(states, actions)` by value iteration, an episode without its time limit."""
        q = np.zeros((cls.LENGTH, 2))
        for _ in range(2000):
            best = q.max(axis=1)
            following = np.minimum(np.arange(cls.LENGTH) + 1, cls.LENGTH - 1)
            rewards = np.where(following == cls.LENGTH - 1, cls.GOAL, cls.STEP)
            q = np.stack([np.full(cls.LENGTH, cls.JUMP), rewards + gamma * best[following]], axis=1)
        return q
