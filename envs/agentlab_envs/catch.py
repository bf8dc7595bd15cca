"""Catch: ten balls drop one after the other, and a paddle at the bottom catches them."""

from __future__ import annotations

from typing import Any, ClassVar

import cv2
import numpy as np

from agentlab_envs.game import SIZE, Bools, Floats, Frames, Game, Ints, Label, VectorGame

BALLS = 10
TOP, BOTTOM = 9, 77  # rows of a ball's centre when it appears and when it lands
FALL = 4  # pixels a step
PADDLE_SPEED = 4  # pixels a step
BALL_RADIUS, PADDLE_RADIUS = 2, 6  # half widths: 5 and 13 pixels
PADDLE_ROWS = slice(80, 83)
BALL_LEVEL, PADDLE_LEVEL, PIP_LEVEL = 255, 160, 90  # grey levels


class CatchVectorEnv(VectorGame):
    """Copies of Catch: actions stay, left and right; each ball caught is worth 0.1, so that the best return is 1.

    Every ball can be reached: the paddle crosses the screen while one falls. A row of pips shows the balls to come.
    """

    label_schema: ClassVar[dict[str, Any]] = {
        "ball_x": {"kind": "number", "low": BALL_RADIUS, "high": SIZE - 1 - BALL_RADIUS, "unit": "px"},
        "ball_y": {"kind": "number", "low": TOP, "high": BOTTOM, "unit": "px"},
        "paddle_x": {"kind": "number", "low": PADDLE_RADIUS, "high": SIZE - 1 - PADDLE_RADIUS, "unit": "px"},
        "balls_left": {"kind": "number", "low": 0, "high": BALLS, "unit": "balls"},
    }
    action_meanings: ClassVar = ["NOOP", "LEFT", "RIGHT"]
    keys_to_action: ClassVar = {("a",): 1, ("d",): 2}

    def __init__(self, num_envs: int = 1, render_mode: str | None = None, max_episode_steps: int | None = None) -> None:
        super().__init__(num_envs, render_mode, max_episode_steps)
        self._copies = np.arange(num_envs)
        self._drops = np.zeros((num_envs, BALLS), np.int64)  # column of each ball of the episode
        self._landed = np.zeros(num_envs, np.int64)
        self._ball_x = np.zeros(num_envs, np.int64)
        self._ball_y = np.full(num_envs, TOP)
        self._paddle_x = np.zeros(num_envs, np.int64)
        self._backgrounds = np.stack([_background(balls_left) for balls_left in range(BALLS + 1)])

    def begin(self, copy: int, generator: np.random.Generator) -> None:
        self._drops[copy] = generator.integers(BALL_RADIUS, SIZE - BALL_RADIUS, BALLS)
        self._paddle_x[copy] = generator.integers(PADDLE_RADIUS, SIZE - PADDLE_RADIUS)
        self._landed[copy] = 0
        self._ball_x[copy] = self._drops[copy, 0]
        self._ball_y[copy] = TOP

    def advance(self, actions: Ints) -> tuple[Floats, Bools]:
        moved = self._paddle_x + PADDLE_SPEED * ((actions == 2).astype(np.int64) - (actions == 1))
        self._paddle_x = np.minimum(np.maximum(moved, PADDLE_RADIUS), SIZE - 1 - PADDLE_RADIUS)
        self._ball_y = np.where(self._ball_y == BOTTOM, TOP, self._ball_y + FALL)
        self._ball_x = self._drops[self._copies, np.minimum(self._landed, BALLS - 1)]
        landed = self._ball_y == BOTTOM
        self._landed += landed
        caught = landed & (np.abs(self._ball_x - self._paddle_x) <= PADDLE_RADIUS + BALL_RADIUS)
        return 0.1 * caught, landed & (self._landed == BALLS)

    def draw(self) -> Frames:
        frames = self._backgrounds[BALLS - self._landed]
        for frame, x, y, paddle in zip(
            frames, self._ball_x.tolist(), self._ball_y.tolist(), self._paddle_x.tolist(), strict=True
        ):
            frame[y - BALL_RADIUS : y + BALL_RADIUS + 1, x - BALL_RADIUS : x + BALL_RADIUS + 1] = BALL_LEVEL
            frame[PADDLE_ROWS, paddle - PADDLE_RADIUS : paddle + PADDLE_RADIUS + 1] = PADDLE_LEVEL
        return frames

    def labels(self) -> dict[str, Label]:
        return {
            "ball_x": (self._ball_x, None),
            "ball_y": (self._ball_y, None),
            "paddle_x": (self._paddle_x, None),
            "balls_left": (BALLS - self._landed, None),
        }


class CatchEnv(Game):
    """Catch, one copy."""

    game_class = CatchVectorEnv


def _background(balls_left: int) -> Frames:
    """An empty field under a row of pips, one for each ball that has not landed."""
    frame = np.zeros((SIZE, SIZE), np.uint8)
    for pip in range(balls_left):
        left = 3 + 8 * pip
        cv2.rectangle(frame, (left, 1), (left + 4, 3), PIP_LEVEL, thickness=cv2.FILLED)
    return frame
