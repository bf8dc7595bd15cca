"""Games to be played in tests, made as users make theirs, some of them faulty: ids `playing_games:Play/...-v0`."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import register, registry


class Chatty(gym.Env):
    """Noise; episodes of 4 to 30 steps; tells much in its infos, of changing types, and often nothing."""

    metadata: ClassVar = {"render_modes": [], "render_fps": 100}
    label_schema: ClassVar = {
        "t": {"kind": "number", "low": 0, "high": 30},
        "even": {"kind": "flag"},
        "phase": {"kind": "category", "classes": ["start", "later"]},
    }
    keys_to_action: ClassVar = {"a": 1, "d": 2, "ad": 3}

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0, 255, (32, 36), np.uint8)
        self.action_space = spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._t, self._length = 0, int(self.np_random.integers(4, 31))
        return self._frame(), self._info() | {"options": options}

    def step(self, action):
        self._t += 1
        return self._frame(), float(action), self._t == self._length, False, self._info()

    def _frame(self):
        return self.np_random.integers(0, 256, self.observation_space.shape, dtype=np.uint8)

    def _info(self) -> dict[str, Any]:
        known = self.np_random.random() < 0.5
        labels = {"t": self._t if known else None, "even": self._t % 2 == 0, "phase": "later" if self._t else "start"}
        told = {"number": self._t if known else None, "_seen": [1, "two"], "deep": {"nothing": None, "list": [self._t]}}
        return {"labels": labels, **told, "array": np.arange(self._t), **({"seldom": True} if known else {})}


class StandsStill(Chatty):
    """Knows no action that does nothing."""

    keys_to_action: ClassVar = {("left",): 0, ("right",): 1}


class Keyless(Chatty):
    """Has no keys, and names for no action."""

    keys_to_action = None


class Faulty(Chatty):
    """Does at its third step what it should not."""

    def __init__(self, fault: str = "") -> None:
        super().__init__()
        self._fault = fault
        if fault == "opening" and multiprocessing.parent_process() is not None:
            raise ZeroDivisionError("there is room for one only")

    def step(self, action):
        frame, reward, terminated, truncated, info = super().step(action)
        if self._t == 3:
            if self._fault == "shape":
                frame = frame[:1]
            elif self._fault == "dtype":
                frame = frame.astype(np.float32)
            elif self._fault == "reward":
                reward = float("nan")
            elif self._fault == "error":
                raise ZeroDivisionError("no such number")
            elif self._fault == "exit":
                os._exit(7)
            elif self._fault == "quit":
                sys.exit("game over")
        return frame, reward, terminated, truncated, info


class Endless(Chatty):
    """Goes on and on, slowly."""

    def step(self, action):
        time.sleep(0.001)
        frame, reward, _, _, info = super().step(action)
        return frame, reward, False, False, info | {"labels": {}}


class Wide(Chatty):
    """Shows more."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = spaces.Box(0, 255, (32, 40), np.uint8)


for game in (Chatty, StandsStill, Keyless, Faulty, Endless, Wide):
    if f"Play/{game.__name__}-v0" not in registry:
        register(f"Play/{game.__name__}-v0", entry_point=game)
