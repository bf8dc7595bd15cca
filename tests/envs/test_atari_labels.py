"""Labels of Atari games against the pixels of the frames that the agent's preprocessing makes, here in full size."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import pytest
from ale_py import roms
from ale_py.registration import rom_id_to_name

import agentlab_envs
from agentlab_envs import AtariLabels
from agentlab_envs.atari_presence import PRESENCE

TABLE: dict[str, dict[str, int]] = json.loads(resources.files("agentlab_envs").joinpath("atari_ram.json").read_text())[
    "games"
]
ROMS = {rom.replace("_", ""): rom for rom in roms.get_all_rom_ids()}

Array = npt.NDArray[Any]


class Play(NamedTuple):
    """Frames of shape (n, 210, 160), each with its labels."""

    frames: Array
    labels: list[dict[str, Any]]

    def column(self, name: str) -> Array:
        return np.array([labels[name] for labels in self.labels], float)

    def where(self, kept: Array) -> Play:
        return Play(self.frames[kept], [self.labels[i] for i in np.flatnonzero(kept)])


def label_of(name: str, axis: str) -> str:
    """`ball_x` of `ball`, `enemy_car_x_3` of `enemy_car_3`."""
    return re.sub(r"(_\d+)?$", rf"_{axis}\1", name, count=1)


def play(env_id: str, steps: int, weights: list[float] | None = None) -> Play:
    """Random play with the given weights of the actions, episodes following each other."""
    env = agentlab_envs.make(env_id, screen_size=(160, 210))
    actions = np.random.default_rng(0)
    frame, info = env.reset(seed=0)
    frames, labels = [frame], [info["labels"]]
    for _ in range(steps):
        frame, _, terminated, truncated, info = env.step(actions.choice(env.action_space.n, p=weights))  # type: ignore[attr-defined]
        frames.append(frame)
        labels.append(info["labels"])
        if terminated or truncated:
            env.reset()
    return Play(np.array(frames), labels)


def assert_labels_match(play: Play, mask: Array, name: str, axes: str, visible: Array | None = None) -> None:
    """An object's pixels have their centre where the labels say (R2 >= 0.99), and are there when they say so."""
    seen = mask.any((1, 2))
    if visible is not None:
        assert (seen == visible).mean() >= 0.98
        seen &= visible
    for axis in axes:
        sums = mask[seen].sum(1 if axis == "x" else 2)
        centres = (sums * np.arange(sums.shape[1])).sum(1) / sums.sum(1)
        values = play.column(label_of(name, axis))[seen]
        residuals = centres - np.polyval(np.polyfit(values, centres, 1), values)
        assert 1 - residuals.var() / centres.var() >= 0.99, (name, axis)


def test_pong() -> None:
    pong = play("ALE/Pong-v5", 1_200)
    field = pong.frames[:, 34:194]
    assert_labels_match(pong, field == 236, "ball", "xy", pong.column("ball_visible") == 1)
    assert_labels_match(pong, field[:, :, 16:20] == 148, "enemy", "y", pong.column("enemy_visible") == 1)
    assert_labels_match(pong, field[:, :, 140:144] == 147, "player", "y")


def test_breakout() -> None:
    breakout = play("ALE/Breakout-v5", 1_200)
    inside = slice(8, 152)
    visible = breakout.column("ball_visible") == 1
    rows = breakout.column("ball_y")
    ball = breakout.frames[:, 93:189, inside] > 0
    clear = ~visible | ((rows >= 82) & (rows <= 180))  # neither among the bricks nor level with the paddle
    assert_labels_match(breakout.where(clear), ball[clear], "ball", "xy", visible[clear])
    below_the_paddle = (breakout.frames[:, 193:196, inside] > 0).any((1, 2))
    assert (below_the_paddle & ~visible).mean() <= 0.02
    away = ~visible & ~below_the_paddle
    assert_labels_match(breakout.where(away), breakout.frames[away, 190:192, inside] > 0, "player", "x")


def test_freeway() -> None:
    freeway = play("ALE/Freeway-v5", 700, [0.1, 0.8, 0.1])
    chicken = freeway.frames[:, :, 44:52] == 233
    chicken[:, :16] = chicken[:, 102:106] = False  # score, centre line
    assert_labels_match(freeway, chicken, "player", "y")
    for lane in range(10):
        road = freeway.frames[:, 28 + 16 * lane : 36 + 16 * lane]
        levels, counts = np.unique(road[:, :, 60:100], return_counts=True)  # no chicken walks there
        car = road == levels[counts.argsort()[-2]]  # the most frequent level after that of the road
        columns = car.any(1)
        lengths = columns.sum(1)
        ends = columns.argmax(1), 159 - columns[:, ::-1].argmax(1)
        whole = (lengths == np.median(lengths)) & (ends[1] - ends[0] < 12)
        assert whole.sum() > 100
        assert_labels_match(freeway.where(whole), car[whole], f"enemy_car_{lane}", "x")


@pytest.mark.parametrize("game", sorted(TABLE))
def test_every_game_of_the_table_is_shipped_and_labelled_within_its_schema(game: str) -> None:
    env = agentlab_envs.make(f"ALE/{rom_id_to_name(ROMS[game])}-v5")
    schema = env.get_wrapper_attr("label_schema")
    _, info = env.reset(seed=0)
    for step in range(20):
        labels = info["labels"]
        assert list(labels) == list(schema)
        for name, value in labels.items():
            flag = schema[name]["kind"] == "flag"
            assert type(value) is bool if flag else value is None or (type(value) is int and 0 <= value <= 255)
        *_, info = env.step(step % env.action_space.n)  # type: ignore[attr-defined]


@pytest.mark.parametrize("game", sorted(PRESENCE))
def test_what_belongs_to_an_object_is_absent_exactly_while_it_is_not_visible(game: str) -> None:
    env = agentlab_envs.make(f"ALE/{rom_id_to_name(ROMS[game])}-v5", noop_max=0)
    _, info = env.reset(seed=1)
    absent = {name for name, value in info["labels"].items() if value is None}
    hidden = {name for name, value in info["labels"].items() if value is False}
    assert absent == {name for name in info["labels"] if f"{re.sub(r'_[xy](?=_?[0-9]*$)', '', name)}_visible" in hidden}


def test_a_game_without_labels_is_named_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no labels are known of .*Alien.*the nearest game with labels"):
        AtariLabels(gym.make("ALE/Alien-v5"))


def test_labels_stand_alone_on_an_environment_without_preprocessing() -> None:
    env = AtariLabels(gym.make("ALE/Pong-v5"))
    frame, info = env.reset(seed=0)
    assert frame.shape == (210, 160, 3)
    assert info["labels"]["player_score"] == 0


def test_an_environment_is_rebuilt_from_its_spec() -> None:
    env = agentlab_envs.make("ALE/Pong-v5")
    again = gym.make(env.spec)  # type: ignore[arg-type]
    first, second = env.reset(seed=3), again.reset(seed=3)
    assert np.array_equal(first[0], second[0])
    assert first[1]["labels"] == second[1]["labels"]


def test_what_memory_holds_before_the_first_serve_is_no_ball():
    env = agentlab_envs.make("ALE/Pong-v5")
    try:
        for seed in range(8):
            labels = env.reset(seed=seed)[1]["labels"]
            assert (labels["ball_x"], labels["ball_visible"]) == (None, False), f"seed {seed}"
    finally:
        env.close()
