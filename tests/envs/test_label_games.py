"""What holds for both of our games: checkers, determinism, one copy equal to many, labels that the frames bear out."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, VectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.env_checker import check_env as check_env_of_sb3

import agentlab_envs
from agentlab_envs.catch import CatchEnv
from agentlab_envs.starfall import StarfallEnv

GAMES = ["agentlab/Catch-v0", "agentlab/Starfall-v0"]


def rollout(env: gym.Env[Any, Any], seed: int, steps: int) -> list[tuple[bytes, float, bool, dict[str, Any]]]:
    """Frame, reward, end and labels of each step under actions drawn from the seed, episodes following each other."""
    actions = np.random.default_rng(seed)
    frame, info = env.reset(seed=seed)
    out = [(frame.tobytes(), 0.0, False, info["labels"])]
    for _ in range(steps):
        frame, reward, terminated, truncated, info = env.step(int(actions.integers(env.action_space.n)))  # type: ignore[attr-defined]
        out.append((frame.tobytes(), float(reward), terminated, info["labels"]))
        if terminated or truncated:
            env.reset()
    return out


@pytest.mark.parametrize("env_id", GAMES)
def test_gymnasiums_checker_passes(env_id: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(env_id, render_mode="rgb_array").unwrapped)


@pytest.mark.parametrize("env_id", GAMES)
def test_sb3s_checker_passes(env_id: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*(image|CNN).*")  # frames have no channel axis
        check_env_of_sb3(agentlab_envs.make(env_id))


@pytest.mark.parametrize("env_id", GAMES)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_equal_seeds_and_actions_give_equal_frames_rewards_and_labels(env_id: str, seed: int) -> None:
    assert rollout(gym.make(env_id), seed, 400) == rollout(gym.make(env_id), seed, 400)


@pytest.mark.parametrize("env_id", GAMES)
def test_other_seeds_give_other_episodes(env_id: str) -> None:
    assert rollout(gym.make(env_id), 0, 100) != rollout(gym.make(env_id), 1, 100)


@pytest.mark.parametrize("env_id", GAMES)
def test_many_copies_play_as_single_ones_do_frame_for_frame(env_id: str) -> None:
    n, actions = 3, np.random.default_rng(5)
    many: VectorEnv[Any, Any, Any] = gym.make_vec(env_id, n, max_episode_steps=150)
    singles = [gym.make(env_id, max_episode_steps=150) for _ in range(n)]
    assert many.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    frames, info = many.reset(seed=10)
    for i, single in enumerate(singles):
        frame, single_info = single.reset(seed=10 + i)
        assert np.array_equal(frames[i], frame)
        assert labels_of(info, i) == single_info["labels"]
    ends = 0
    for _ in range(500):
        chosen = actions.integers(many.single_action_space.n, size=n)  # type: ignore[attr-defined]
        frames, rewards, terminations, truncations, info = many.step(chosen)
        for i, single in enumerate(singles):
            frame, reward, terminated, truncated, single_info = single.step(chosen[i])
            assert (rewards[i], terminations[i], truncations[i]) == (reward, terminated, truncated)
            if terminated or truncated:
                ends += 1
                assert np.array_equal(info["final_obs"][i], frame)
                assert labels_of(info["final_info"], i) == single_info["labels"]
                frame, single_info = single.reset()
            assert np.array_equal(frames[i], frame)
            assert labels_of(info, i) == single_info["labels"]
    assert ends >= n


def labels_of(info: dict[str, Any], copy: int) -> dict[str, Any]:
    labels = info["labels"]
    return {name: labels[name][copy] if labels[f"_{name}"][copy] else None for name in labels if f"_{name}" in labels}


@pytest.mark.parametrize("env_id", GAMES)
def test_frames_handed_out_stay_as_they_were(env_id: str) -> None:
    many = gym.make_vec(env_id, 2)
    frames, info = many.reset(seed=0)
    copies = frames.copy(), str(info)
    for _ in range(30):
        many.step(np.array([1, 2]))
    assert np.array_equal(frames, copies[0])
    assert str(info) == copies[1]


@pytest.mark.parametrize("env_id", GAMES)
def test_labels_are_plain_values_within_the_schema(env_id: str) -> None:
    env = gym.make(env_id)
    schema = env.get_wrapper_attr("label_schema")
    for *_, labels in rollout(env, 3, 600):
        assert labels.keys() == schema.keys()
        for name, value in labels.items():
            spec = schema[name]
            if spec["kind"] == "number":
                assert value is None or (type(value) is int and spec["low"] <= value <= spec["high"])
            else:
                assert value in (spec["classes"] if spec["kind"] == "category" else (True, False))


@pytest.mark.parametrize("env_id", GAMES)
def test_rendering_shows_the_frame_enlarged_in_colour(env_id: str) -> None:
    env = gym.make(env_id, render_mode="rgb_array")
    frame, _ = env.reset(seed=0)
    picture: Any = env.render()
    assert picture.shape == (336, 336, 3)
    assert np.array_equal(picture[::4, ::4, 1], frame)


@pytest.mark.parametrize("env_id", GAMES)
def test_actions_have_names_and_keys(env_id: str) -> None:
    env: Any = gym.make(env_id).unwrapped
    names = env.get_action_meanings()
    assert len(names) == env.action_space.n
    assert set(env.get_keys_to_action().values()) == set(range(1, len(names)))


def test_another_render_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 'rgb_array' or None, found 'human'"):
        CatchEnv(render_mode="human")


def play_catch(seed: int, caught: bool) -> float:
    env = CatchEnv()
    labels, total, ended = env.reset(seed=seed)[1]["labels"], 0.0, False
    while not ended:
        distance = labels["ball_x"] - labels["paddle_x"]
        action = 0 if abs(distance) < 4 else 2 if (distance > 0) is caught else 1
        _, reward, ended, _, info = env.step(action)
        labels, total = info["labels"], total + reward
    return total


@pytest.mark.parametrize("seed", range(20))
def test_catch_returns_one_when_every_ball_is_followed(seed: int) -> None:
    assert play_catch(seed, caught=True) == pytest.approx(1.0)


def test_catch_returns_less_when_balls_are_fled() -> None:
    assert np.mean([play_catch(seed, caught=False) for seed in range(10)]) < 0.5


def test_catch_labels_are_the_places_of_the_pixels() -> None:
    env = CatchEnv()
    frame, info = env.reset(seed=2)
    for step in range(150):
        labels = info["labels"]
        rows, columns = np.nonzero(frame == 255)
        assert (rows.mean(), columns.mean()) == (labels["ball_y"], labels["ball_x"])
        assert np.nonzero(frame[81] == 160)[0].mean() == labels["paddle_x"]
        assert (frame[2] == 90).sum() == 5 * labels["balls_left"]
        frame, *_, info = env.step(step % 3)


def test_starfall_goes_from_title_to_play_to_game_over() -> None:
    env = StarfallEnv()
    _, info = env.reset(seed=0)
    screens = [info["labels"]["screen"]]
    for step in range(2_000):
        _, _, ended, _, info = env.step(1 if step == 5 else 0)
        screens.append(info["labels"]["screen"])
        if ended:
            break
    assert ended
    assert screens[:6] == ["title"] * 6
    assert screens[6:-9] == ["play"] * (len(screens) - 15)
    assert screens[-9:] == ["game_over"] * 9


def test_starfall_scores_stars_and_loses_lives_as_its_labels_say() -> None:
    env = StarfallEnv()
    env.reset(seed=1)
    before, lost, scored = env.step(1)[-1]["labels"], 0, 0.0
    while True:
        target = before["star_x"] if before["star_visible"] else before["player_x"]
        distance = target - before["player_x"]
        _, reward, ended, _, info = env.step(0 if abs(distance) < 4 else 3 if distance > 0 else 2)
        labels, scored = info["labels"], scored + reward
        assert labels["score"] == scored
        lost += before["lives"] - labels["lives"]
        if labels["screen"] == "game_over":
            break
        before = labels
    assert lost == 3
    assert scored >= 3
    assert not ended


def test_starfall_objects_are_seen_exactly_where_and_when_the_labels_say() -> None:
    env = StarfallEnv()
    frame, info = env.reset(seed=4)
    centre_levels = {"star": 255, "meteor": 120, "comet": 230}
    seen = dict.fromkeys(centre_levels, 0)
    for step in range(400):
        labels = info["labels"]
        for name, level in centre_levels.items():
            assert (labels[f"{name}_x"] is None) == (not labels[f"{name}_visible"])
            if labels[f"{name}_visible"]:
                seen[name] += 1
                assert frame[labels[f"{name}_y"], labels[f"{name}_x"]] >= level
        if labels["screen"] == "play" and not any(labels[f"{name}_visible"] for name in centre_levels):
            assert not frame[13:70].any()
        frame, _, ended, _, info = env.step(1 if step % 50 == 0 else 2 + step // 10 % 2)
        if ended:
            frame, info = env.reset()
    assert min(seen.values()) > 50
