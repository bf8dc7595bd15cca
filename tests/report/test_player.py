from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import Any

import cv2
import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from agentlab.recording import RandomPolicy, Recording, record
from agentlab.report.player import FRAMES_PER_STRIP, player_data


class Colours(gym.Env[npt.NDArray[np.uint8], Any]):
    """Frames of random colours; actions are two numbers; 30 steps, the last one rewarded."""

    spec = gym.envs.registration.EnvSpec("test/Colours-v0")

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0, 255, (40, 36, 3), np.uint8)
        self.action_space = spaces.Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._steps = 0
        return self._frame(), {}

    def step(self, action: Any) -> tuple[npt.NDArray[np.uint8], float, bool, bool, dict[str, Any]]:  # noqa: ARG002
        self._steps += 1
        return self._frame(), float(self._steps == 30), self._steps == 30, False, {}

    def _frame(self) -> npt.NDArray[np.uint8]:
        return self.np_random.integers(0, 256, (40, 36, 3), dtype=np.uint8)


def _frames_of(data: dict[str, Any]) -> npt.NDArray[np.uint8]:
    strips = [
        cv2.imdecode(np.frombuffer(base64.b64decode(strip), np.uint8), cv2.IMREAD_UNCHANGED) for strip in data["strips"]
    ]
    rows = np.concatenate(strips)
    return rows.reshape(-1, data["height"], *rows.shape[1:])


def test_strips_hold_every_frame_without_loss(finished_run: Path) -> None:
    episode = Recording(finished_run / "playback")[0]
    data = player_data(episode, {}, frames_per_s=30)
    assert data["frames"] == episode.n_frames
    assert len(data["strips"]) == math.ceil(episode.n_frames / FRAMES_PER_STRIP)
    np.testing.assert_array_equal(_frames_of(data), episode.frames(range(episode.n_frames)))


def test_colours_and_continuous_actions_are_kept(tmp_path: Path) -> None:
    env = Colours()
    record(env, tmp_path / "rec", RandomPolicy(env.action_space), episodes=1)
    episode = Recording(tmp_path / "rec")[0]
    data = player_data(episode, {}, frames_per_s=30)
    np.testing.assert_array_equal(_frames_of(data)[..., ::-1], episode.frames(range(31)))
    np.testing.assert_allclose(data["actions"], episode.actions, atol=1e-4)
    assert data["rewards"][-1] == 1.0
    assert data["terminated"]
    assert data["labels"] == []


def test_true_and_predicted_labels_stand_side_by_side(finished_run: Path) -> None:
    episode = Recording(finished_run / "playback")[0]
    schema = episode.recording.require_labels()
    name = next(iter(schema))
    predicted = {name: [1.0] * episode.n_frames, "unseen": [None] * episode.n_frames}
    known = {**schema.to_dict(), "unseen": {"kind": "flag"}}
    data = player_data(episode, {"predicted": predicted, "label_schema": known}, frames_per_s=30)
    labels = {label["name"]: label for label in data["labels"]}
    assert list(labels) == [*schema, "unseen"]
    assert len(labels[name]["true"]) == len(labels[name]["predicted"]) == episode.n_frames
    assert labels["unseen"]["true"] is None
