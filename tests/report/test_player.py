"""The data that the player of a page is handed."""

from __future__ import annotations

import base64
import json
import math
import re
from pathlib import Path
from typing import Any

import cv2
import gymnasium as gym
import numpy as np
import numpy.typing as npt
import pytest
from gymnasium import spaces

from agentlab.labels import LabelSchema
from agentlab.recording import RandomPolicy, Recording, record
from agentlab.report.film import FRAMES_PER_STRIP, PIXELS_PER_STRIP, WIDEST_STRIP, frames_per_strip, strip
from agentlab.report.player import PlayerData
from agentlab.report.thoughts import Memory, Nobody


class Colours(gym.Env[npt.NDArray[np.uint8], Any]):
    """Frames of random colours; actions are two numbers; 30 steps, the last one rewarded."""

    metadata: dict[str, Any] = {"render_fps": 12.5}  # noqa: RUF012
    spec = gym.envs.registration.EnvSpec("test/Colours-v0")

    def __init__(self, shape: tuple[int, ...] = (40, 36, 3)) -> None:
        self.observation_space = spaces.Box(0, 255, shape, np.uint8)
        self.action_space = spaces.Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self._steps = 0
        return self._frame(), {}

    def step(self, action: Any) -> tuple[npt.NDArray[np.uint8], float, bool, bool, dict[str, Any]]:  # noqa: ARG002
        self._steps += 1
        return self._frame(), float(self._steps == 30), self._steps == 30, False, {}

    def _frame(self) -> npt.NDArray[np.uint8]:
        shape = self.observation_space.shape
        assert shape is not None
        return self.np_random.integers(0, 256, shape, dtype=np.uint8)


class Priced(Colours):
    """Each step costs a tenth, but for the seventh; tells of all kinds of labels."""

    label_schema: dict[str, Any] = {  # noqa: RUF012
        "way": {"kind": "number", "low": 0, "high": 3, "unit": "m"},
        "screen": {"kind": "category", "classes": ["title", "play"]},
        "is_late": {"kind": "flag"},
    }

    def reset(self, **options: Any) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        return super().reset(**options)[0], self._info()

    def step(self, action: Any) -> tuple[npt.NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        frame, _, terminated, truncated, _ = super().step(action)
        return frame, 1.0 if self._steps == 7 else -0.1, terminated, truncated, self._info()

    def _info(self) -> dict[str, Any]:
        way = None if self._steps < 5 else self._steps / 10
        screen = "title" if self._steps < 12 else "play"
        return {"labels": {"way": way, "screen": screen, "is_late": self._steps >= 20}}


def colours(folder: Path, shape: tuple[int, ...], episodes: int = 1, game: type[Colours] = Colours) -> Recording:
    env = game(shape)
    record(env, folder, RandomPolicy(env.action_space), episodes=episodes)
    return Recording(folder)


def elements(recording: Recording, onlooker: Nobody | None = None) -> dict[str, str]:
    """What the elements hold, by id."""
    data = PlayerData(recording, range(len(recording)), onlooker)
    page = "".join(data.elements())
    return dict(re.findall(r'<script type="[^"]*" id="([^"]*)">(.*?)</script>', page))


def episode_of(elements: dict[str, str], index: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(elements[f"episode-{index}"])
    return found


def frames_of(elements: dict[str, str], index: int = 0) -> npt.NDArray[np.uint8]:
    """The frames in an episode's strips, in OpenCV's order of colours."""
    width = json.loads(elements["recording"])["width"]
    strips = [value for name, value in elements.items() if name.startswith(f"strip-{index}-")]
    pictures = [
        cv2.imdecode(np.frombuffer(base64.b64decode(strip), np.uint8), cv2.IMREAD_UNCHANGED) for strip in strips
    ]
    return np.concatenate([np.stack(np.split(picture, picture.shape[1] // width, axis=1)) for picture in pictures])


def test_strips_hold_every_frame_without_loss(finished_run: Path) -> None:
    recording = Recording(finished_run / "playback")
    found = elements(recording)
    n_frames = recording[0].n_frames
    assert len([name for name in found if name.startswith("strip-0-")]) == math.ceil(n_frames / FRAMES_PER_STRIP)
    np.testing.assert_array_equal(frames_of(found), recording[0].frames(range(n_frames)))


@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((40, 36), slice(None)),
        ((40, 36, 1), slice(None)),
        ((40, 36, 3), [2, 1, 0]),
        ((40, 36, 4), [2, 1, 0, 3]),
        ((6, 5), slice(None)),
        ((6, 5, 3), [2, 1, 0]),
    ],
)
def test_frames_of_every_kind_are_kept(tmp_path: Path, shape: tuple[int, ...], order: Any) -> None:
    recording = colours(tmp_path / "rec", shape)
    expected = recording[0].frames(range(31))
    np.testing.assert_array_equal(frames_of(elements(recording))[..., order], expected.reshape(31, *shape).squeeze())


def test_of_stacked_frames_the_newest_is_shown(tmp_path: Path) -> None:
    recording = colours(tmp_path / "rec", (40, 36, 7))
    np.testing.assert_array_equal(frames_of(elements(recording)), recording[0].frames(range(31))[..., -1])


@pytest.mark.parametrize("shape", [(84, 84), (210, 160, 3), (1080, 1920, 3), (2, 9000), (5000, 5000)])
def test_strips_are_no_larger_than_browsers_draw(shape: tuple[int, ...]) -> None:
    n = frames_per_strip(shape)
    assert 1 <= n <= FRAMES_PER_STRIP
    assert n == 1 or (n * shape[0] * shape[1] <= PIXELS_PER_STRIP and n * shape[1] <= WIDEST_STRIP)


def test_neighbouring_frames_cost_little() -> None:
    still = np.random.default_rng(0).integers(0, 256, (1, 84, 84), dtype=np.uint8).repeat(25, axis=0)
    assert len(strip(still)) < 1.5 * len(strip(still[:1]))


def test_what_happened_is_kept(tmp_path: Path) -> None:
    recording = colours(tmp_path / "rec", (40, 36), episodes=2)
    found = elements(recording)
    header = json.loads(found["recording"])
    assert header["episodes"] == [
        {"index": 0, "frames": 31, "ending": "terminated"},
        {"index": 1, "frames": 31, "ending": "terminated"},
    ]
    episode = episode_of(found, 1)
    np.testing.assert_allclose(episode["actions"], recording[1].actions, atol=1e-4)
    assert episode["rewards"][-1] == 1.0
    assert header["labels"] == episode["labels"] == episode["damaged"] == []


@pytest.mark.parametrize(
    ("space", "first"),
    [(spaces.Discrete(3, start=1), 1), (spaces.MultiDiscrete([3, 4]), 0), (spaces.MultiBinary(3), 0)],
)
def test_actions_of_every_kind_are_kept(tmp_path: Path, space: spaces.Space[Any], first: int) -> None:
    env = Colours()
    env.action_space = space  # type: ignore[assignment]
    record(env, tmp_path / "rec", RandomPolicy(space), episodes=1)
    recording = Recording(tmp_path / "rec")
    found = elements(recording)
    assert json.loads(found["recording"])["firstAction"] == first
    assert episode_of(found)["actions"] == recording[0].actions.reshape(30, -1).tolist()


def test_true_and_predicted_labels_stand_side_by_side(finished_run: Path) -> None:
    recording = Recording(finished_run / "playback")
    schema = recording.require_labels()
    name = next(iter(schema))
    n_frames = recording[0].n_frames
    predicted = {name: [1.0] * n_frames, "unseen": [None] * n_frames}
    known = {**schema.to_dict(), "unseen": {"kind": "flag"}}
    found = elements(recording, Memory({"predicted": predicted, "label_schema": known}))
    names = [label["name"] for label in json.loads(found["recording"])["labels"]]
    assert names == list(LabelSchema.from_dict(known, "here"))
    labels = dict(zip(names, episode_of(found)["labels"], strict=True))
    assert len(labels[name]["true"]) == len(labels[name]["predicted"]) == n_frames
    assert labels["unseen"]["true"] is None
