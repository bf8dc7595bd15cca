"""Lost lives of games that count them."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs


class LivesLost(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Adds `info["life_lost"]`, True, to the steps in which `info["lives"]` fell and the game goes on."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        frame, info = self.env.reset(seed=seed, options=options)
        self._lives = info.get("lives", 0)
        return frame, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        frame, reward, terminated, truncated, info = self.env.step(action)
        before, self._lives = self._lives, info.get("lives", 0)
        if self._lives < before and not (terminated or truncated):
            info["life_lost"] = True
        return frame, reward, terminated, truncated, info
