"""A game whose good episodes are its long ones: taking whichever episodes finish first would show."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

SHORT_OR_LONG = "episode_lengths:Test/ShortOrLong-v0"


class ShortOrLong(gym.Env[npt.NDArray[np.uint8], int]):
    """Half of the episodes last 1 step and are worth 0, half last 20 steps and are worth 20."""

    seeds: ClassVar[list[int | None]] = []

    def __init__(self, endless: bool = False, render_mode: str | None = None) -> None:
        self.observation_space = spaces.Box(0, 255, (4, 4), np.uint8)
        self.action_space = spaces.Discrete(2)
        self.render_mode = render_mode
        self._endless = endless

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        super().reset(seed=seed, options=options)
        ShortOrLong.seeds.append(seed)
        self._steps = 0
        self._long = bool(self.np_random.integers(2)) or self._endless
        return self._frame(), {}

    def step(self, action: int) -> tuple[npt.NDArray[np.uint8], float, bool, bool, dict[str, Any]]:  # noqa: ARG002
        self._steps += 1
        done = self._steps == (20 if self._long else 1) and not self._endless
        return self._frame(), float(self._long), done, False, {}

    def _frame(self) -> npt.NDArray[np.uint8]:
        return np.full((4, 4), self._steps % 256, dtype=np.uint8)


if "Test/ShortOrLong-v0" not in gym.registry:
    gym.register("Test/ShortOrLong-v0", entry_point=ShortOrLong)
