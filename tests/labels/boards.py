"""A game whose frames can be labelled in every way, and recordings of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from agentlab.labels import LabelSchema
from agentlab.recording import FrameLabels, RandomPolicy, Recording, add_labels, record

HEIGHT, WIDTH = 40, 48
STEPS = 5
EPISODES = 2

PLAIN: dict[str, Any] = {
    "ball_x": {"kind": "number", "low": 0, "high": WIDTH, "unit": "px"},
    "ball_y": {"kind": "number", "low": 0, "high": HEIGHT, "unit": "px"},
    "ball_visible": {"kind": "flag"},
    "ghost_x": {"kind": "number", "low": -8, "high": WIDTH, "unit": "px"},
    "ghost_y": {"kind": "number", "low": 0, "high": HEIGHT, "unit": "px"},
    "ghost_visible": {"kind": "flag"},
    "door_x": {"kind": "number", "low": 0, "high": WIDTH, "unit": "px"},
    "door_y": {"kind": "number", "low": 0, "high": HEIGHT, "unit": "px"},
    "screen": {"kind": "category", "classes": ["title", "in play", "über"]},
    "paused": {"kind": "flag"},
    "score": {"kind": "number", "low": 0, "high": 0.1, "unit": "points"},
}
SCHEMA = LabelSchema.from_dict(PLAIN, "boards")
CATEGORIES = ("ball", "ghost", "door")
"""What boxes can be drawn around."""


class Board(gym.Env[Any, Any]):
    """A ball falls over a dark board; the frame of every fifth step is bright and was hardly ever seen."""

    def __init__(self, length: int = STEPS) -> None:
        self.observation_space = spaces.Box(0, 255, (HEIGHT, WIDTH), np.uint8)
        self.action_space = spaces.Discrete(2)
        self._length = length

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._t, self._x = 0, int(self.np_random.integers(4, WIDTH - 4))
        return self._frame(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:  # noqa: ARG002
        self._t += 1
        return self._frame(), 0.0, self._t >= self._length, False, {}

    def _frame(self) -> Any:
        frame = np.full((HEIGHT, WIDTH), 20, np.uint8)
        y = 4 + self._t % (HEIGHT - 8)
        frame[y - 2 : y + 3, self._x - 2 : self._x + 3] = 200
        return frame


def record_board(path: Path, env: gym.Env[Any, Any] | None = None, episodes: int = EPISODES) -> Recording:
    """A recording without labels."""
    env = env or Board()
    record(env, path, RandomPolicy(env.action_space), episodes=episodes, seed=1, env_id="test/Board-v0")
    return Recording(path)


def label(path: Path, values: Mapping[tuple[int, int], Mapping[str, Any]], **origin: Any) -> Recording:
    """The recording with these labels of frames added."""
    origin = {"source": "hand", **origin}
    add_labels(path, SCHEMA, [FrameLabels(*key, said, **origin) for key, said in values.items()])
    return Recording(path)


def copy_of(recording: Recording, folder: Path) -> Recording:
    """A copy in another folder of the same name."""
    return Recording(shutil.copytree(recording.path, folder / recording.path.name))


def with_schema(recording: Recording) -> Recording:
    """The recording after it was told what there is to label."""
    add_labels(recording.path, SCHEMA, [])
    return Recording(recording.path)


def said(recording: Recording, episode: int, frame: int) -> dict[str, Any]:
    """The labels of a frame that have a value."""
    schema = recording.require_labels()
    return {name: value for name, value in schema.decode(recording[episode].labels[frame]).items() if value is not None}


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
