"""Small games for tests, made as users make theirs: ids `games:Test/...-v0`, labels as plain dicts."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import register, registry


class Square(gym.Env[Any, Any]):
    """A white square wanders over a black screen; an episode lasts ten steps."""

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012
    label_schema: dict[str, Any] = {"square_x": {"kind": "number", "low": 0, "high": 31, "unit": "px"}}  # noqa: RUF012

    def __init__(self, width: int = 32) -> None:
        self.observation_space = spaces.Box(0, 255, (32, width), np.uint8)
        self.action_space: spaces.Space[Any] = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._t, self._x = 0, int(self.np_random.integers(0, 28))
        return self._frame(), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._t += 1
        self._x = min(max(self._x + (1 if np.sum(action) > 0 else -1), 0), 27)
        return self._frame(), float(self._x > 14), self._t >= 10, False, self._info()

    def _frame(self) -> Any:
        frame = np.zeros(self.observation_space.shape or (), np.uint8)
        frame[14:18, self._x : self._x + 4] = 255
        return frame

    def _info(self) -> dict[str, Any]:
        return {"labels": {"square_x": self._x}}


class Unlabelled(Square):
    """Offers no labels."""

    label_schema = None  # type: ignore[assignment]

    def _info(self) -> dict[str, Any]:
        return {}


class Continuous(Square):
    """Takes a number as action."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)


class Numbers(Square):
    """Shows numbers, and draws nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = spaces.Box(0, 32, (4,), np.float32)

    def _frame(self) -> Any:
        return np.full(4, self._x, np.float32)


class OutOfRange(Square):
    """Gives a label a value that its schema excludes."""

    def _info(self) -> dict[str, Any]:
        return {"labels": {"square_x": 99}}


class UnknownLabel(Square):
    """Gives a label that its schema does not name."""

    def _info(self) -> dict[str, Any]:
        return {"labels": {"sqare_x": 5}}


class Faulty(Square):
    """Gives a reward at its third step that is no number."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        frame, reward, *rest = super().step(action)
        return frame, float("nan") if self._t == 3 else reward, *rest


class OtherLabels(Square):
    """Names its labels otherwise."""

    label_schema: dict[str, Any] = {"box_x": {"kind": "number", "low": 0, "high": 31, "unit": "px"}}  # noqa: RUF012

    def _info(self) -> dict[str, Any]:
        return {"labels": {"box_x": self._x}}


class Scored(Square):
    """Pays a point now and then and shows the points as a bar above the square; loses lives, shown beside the points.

    The bar of `start` points is as long as that of no other episode.
    """

    label_schema: dict[str, Any] = {  # noqa: RUF012
        "square_x": {"kind": "number", "low": 0, "high": 31, "unit": "px"},
        "score": {"kind": "number", "low": 0, "high": 31, "unit": "points"},
    }

    def __init__(self, start: int = 0) -> None:
        super().__init__()
        self._start = start

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self._score, self._lives = self._start, 3
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        super().step(action)
        scores = self.np_random.random() < 0.05
        self._score += int(scores)
        self._lives -= int(self._t % 50 == 49)
        return self._frame(), float(scores), self._t >= 120, False, self._info()

    def _frame(self) -> Any:
        frame = super()._frame()
        frame[2:5, : self._score] = 200
        frame[3:6, 32 - 3 * self._lives :] = 90
        return frame

    def _info(self) -> dict[str, Any]:
        return {"labels": {"square_x": self._x, "score": self._score}, "lives": self._lives}


class FromOne(Square):
    """Counts its actions from 1."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.Discrete(2, start=1)


class OnlyScore(Square):
    """Tells nothing but a score."""

    label_schema: dict[str, Any] = {"score": {"kind": "number", "low": 0, "high": 31, "unit": "points"}}  # noqa: RUF012

    def _info(self) -> dict[str, Any]:
        return {"labels": {"score": self._x}}


class Titled(Square):
    """Tells which screen it shows; one of them is never reached."""

    label_schema: dict[str, Any] = {"screen": {"kind": "category", "classes": ["playing", "won"]}}  # noqa: RUF012

    def _info(self) -> dict[str, Any]:
        return {"labels": {"screen": "playing"}}


for game in (
    Square, Unlabelled, Continuous, Numbers, OutOfRange, UnknownLabel, Faulty, OtherLabels, FromOne, OnlyScore, Scored,
    Titled,
):  # fmt: skip
    if f"Test/{game.__name__}-v0" not in registry:
        register(f"Test/{game.__name__}-v0", entry_point=game)
if "Test/Wide-v0" not in registry:
    register("Test/Wide-v0", entry_point=Square, kwargs={"width": 40})
