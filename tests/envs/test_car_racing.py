"""CarRacing's labels: enough to drive by, and those of the frame that is seen."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import agentlab_envs
from agentlab.labels import LabelSchema


@pytest.fixture
def env() -> Any:
    made = agentlab_envs.make("CarRacing-v3")
    yield made
    made.close()


def steered(labels: dict[str, Any]) -> np.ndarray:
    """Steers towards where the road goes and its middle is."""
    steering = -labels["road_angle"] - labels["road_angle_4"] + 0.1 * labels["off_middle"]
    return np.array([np.clip(steering, -1, 1), 0.25 if labels["speed"] < 30 else 0.0, 0.0], np.float32)


def test_the_road_can_be_kept_by_them_alone(env: Any):
    _, info = env.reset(seed=3)
    score = 0.0
    for _ in range(400):
        assert abs(info["labels"]["off_middle"]) < 13 / 2
        _, reward, terminated, truncated, info = env.step(steered(info["labels"]))
        score += float(reward)
        assert not terminated
        assert not truncated
    assert score > 150


def test_say_on_which_side_of_the_road_the_car_is_and_where_it_points(env: Any):
    env.reset(seed=3)
    for _ in range(60):
        env.step(np.array([0.0, 0.3, 0.0], np.float32))
    for _ in range(12):
        labels = env.step(np.array([-1.0, 0.0, 0.0], np.float32))[-1]["labels"]
    assert labels["steering"] > 0
    assert labels["spin"] > 0
    assert labels["road_angle"] < 0
    assert labels["off_middle"] > 0


def test_of_the_road_are_absent_where_it_is_out_of_sight(env: Any):
    _, info = env.reset(seed=3)
    for _ in range(250):
        _, _, _, _, info = env.step(np.array([0.0, 0.6, 0.0], np.float32))
        if info["labels"]["off_middle"] is None:
            break
    assert [name for name, value in info["labels"].items() if value is None] == [
        "off_middle",
        *(name for name in info["labels"] if name.startswith("road_angle")),
    ]


def test_are_within_the_bounds_of_their_schema(env: Any):
    schema = LabelSchema.from_dict(env.get_wrapper_attr("label_schema"), "test")
    env.action_space.seed(0)
    _, info = env.reset(seed=0)
    rows = [schema.encode(info["labels"], "test")]
    for _ in range(100):
        _, _, _, _, info = env.step(env.action_space.sample())
        rows.append(schema.encode(info["labels"], "test"))
    assert len(np.unique(np.array(rows)[:, 0])) > 50


def test_the_frames_are_gymnasium_s_own(env: Any):
    own = gym.make("CarRacing-v3")
    np.testing.assert_array_equal(env.reset(seed=1)[0], own.reset(seed=1)[0])
    action = np.array([0.3, 0.5, 0.0], np.float32)
    for _ in range(30):
        np.testing.assert_array_equal(env.step(action)[0], own.step(action)[0])
    own.close()
