"""Small real environments for the tests of recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from agentlab.environment import open_environment
from agentlab.recording import RandomPolicy, Recording, record

CATCH = "agentlab/Catch-v0"
PONG = "ALE/Pong-v5"


class Noise(gym.Env):
    """Random frames of any shape; each reward is what the action sums to; ends after `length` steps."""

    def __init__(self, shape=(6, 5), actions=None, length=5, labels=True):
        self.observation_space = spaces.Box(0, 255, shape, np.uint8)
        self.action_space = actions or spaces.Discrete(3)
        self.length = length
        if labels:
            self.label_schema = {
                "t": {"kind": "number", "low": 0, "high": 1000},
                "even": {"kind": "flag"},
                "phase": {"kind": "category", "classes": ["start", "later"]},
            }

    def reset(self, *, seed=None, options=None):  # noqa: ARG002
        super().reset(seed=seed)
        self.t = 0
        return self._frame(), self._info()

    def step(self, action):
        self.t += 1
        return self._frame(), float(np.sum(action)), self.t == self.length, False, self._info()

    def _frame(self):
        return self.np_random.integers(0, 256, self.observation_space.shape, dtype=np.uint8)

    def _info(self) -> dict[str, Any]:
        labels = {
            "t": None if self.t == 2 else self.t,
            "even": self.t % 2 == 0,
            "phase": "later" if self.t else "start",
        }
        return {"labels": labels, "time": {"step": np.int64(self.t), "nothing": None}}


def record_noise(path: Path, episodes: int = 2, **options: Any) -> Recording:
    env = Noise(**options)
    record(env, path, RandomPolicy(env.action_space), episodes=episodes, seed=7, env_id="test/Noise-v0")
    return Recording(path)


def record_game(env_id: str, path: Path, episodes: int = 2, **options: Any) -> Recording:
    env = open_environment(env_id, {})
    record(env, path, RandomPolicy(env.action_space), episodes=episodes, seed=3, env_id=env_id, **options)
    env.close()
    return Recording(path)
