"""`make` and `make_vec`: equal frames, the infos that SB3's users rely on, seeds, and the errors."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

import agentlab_envs
from agentlab_envs.vec_env import AtariVecEnv, SameStepVecEnv

SURE = {"noop_max": 0, "repeat_action_probability": 0.0}


def history(venv: VecEnv, steps: int) -> list[tuple[bytes, bytes, bytes]]:
    """Frames, rewards and ends of `steps` steps under fixed actions."""
    actions = np.random.default_rng(0).integers(venv.action_space.n, size=(steps, venv.num_envs))  # type: ignore[attr-defined]
    frames = [(venv.reset().tobytes(), b"", b"")]  # type: ignore[union-attr]
    for chosen in actions:
        observations, rewards, dones, _ = venv.step(chosen)
        frames.append((observations.tobytes(), rewards.tobytes(), dones.tobytes()))  # type: ignore[union-attr]
    return frames


@pytest.mark.parametrize(
    ("env_id", "options"),
    [
        ("ALE/Breakout-v5", {}),  # ends by the loss of the last life
        ("ALE/Pong-v5", {"max_num_frames_per_episode": 1_202}),  # ends by truncation, in the middle of a step
        ("ALE/Freeway-v5", {"max_num_frames_per_episode": 1_200}),
        ("agentlab/Catch-v0", {}),
        ("agentlab/Starfall-v0", {}),
    ],
)
def test_frames_of_one_and_of_many_are_equal_byte_for_byte(env_id: str, options: dict[str, Any]) -> None:
    options = options | (SURE if env_id.startswith("ALE/") else {})
    env, venv = agentlab_envs.make(env_id, **options), agentlab_envs.make_vec(env_id, 1, 7, **options)
    assert isinstance(venv, SameStepVecEnv)
    assert venv.observation_space == env.observation_space
    frame, _ = env.reset(seed=7)
    assert np.array_equal(venv.reset()[0], frame)
    actions, ends, score, length = np.random.default_rng(1), 0, 0.0, 0
    for _ in range(700):
        action = actions.integers(env.action_space.n)  # type: ignore[attr-defined]
        frame, reward, terminated, truncated, _ = env.step(action)
        frames, rewards, dones, infos = venv.step(np.array([action]))
        score, length = score + float(reward), length + 1
        assert rewards[0] == np.float32(reward)
        assert dones[0] == (terminated or truncated)
        if dones[0]:
            ends += 1
            assert np.array_equal(infos[0]["terminal_observation"], frame)
            assert infos[0]["TimeLimit.truncated"] == (truncated and not terminated)
            assert infos[0]["episode"]["r"] == pytest.approx(score)
            assert infos[0]["episode"]["l"] == length
            frame, _ = env.reset()
            score, length = 0.0, 0
        assert np.array_equal(frames[0], frame)  # type: ignore[index]
    assert ends


def test_atari_frames_are_single_and_rewards_are_those_of_the_game() -> None:
    venv = agentlab_envs.make_vec("ALE/Breakout-v5", 2, 0)
    assert isinstance(venv, AtariVecEnv)
    assert venv.observation_space.shape == (84, 84)
    assert (
        venv.env_method("get_action_meanings")[0]
        == agentlab_envs.make("ALE/Breakout-v5").get_wrapper_attr("get_action_meanings")()
    )
    assert venv.env.spec is not None
    assert venv.env.spec.kwargs["repeat_action_probability"] == 0.25


@pytest.mark.parametrize("env_id", ["ALE/Breakout-v5", "agentlab/Catch-v0", "agentlab/Starfall-v0"])
def test_equal_seeds_give_equal_histories_and_copies_differ(env_id: str) -> None:
    first, second, other = (history(agentlab_envs.make_vec(env_id, 2, seed), 300) for seed in (3, 3, 4))
    assert first == second
    assert first != other


def test_copies_differ_and_seeding_again_starts_the_same_episodes_again() -> None:
    venv = agentlab_envs.make_vec("agentlab/Catch-v0", 2, 11)
    first = np.array(venv.reset())
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(np.array(venv.reset()), first)
    venv.seed(11)
    assert np.array_equal(np.array(venv.reset()), first)


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_any_seed_of_sb3_is_taken_by_atari(seed: int) -> None:
    first, second = (agentlab_envs.make_vec("ALE/Breakout-v5", 2, seed).reset() for _ in range(2))
    assert np.array_equal(np.array(first), np.array(second))


@pytest.mark.parametrize("env_id", ["ALE/Pong-v5", "agentlab/Starfall-v0"])
def test_labels_are_given_when_asked_for_also_those_of_the_last_frame(env_id: str) -> None:
    options = SURE | {"max_num_frames_per_episode": 200} if env_id.startswith("ALE/") else {"max_episode_steps": 50}
    env = agentlab_envs.make(env_id, **options)
    venv = agentlab_envs.make_vec(env_id, 1, 5, labels=True, **options)
    _, info = env.reset(seed=5)
    venv.reset()
    assert venv.reset_infos[0]["labels"] == info["labels"]
    assert venv.get_attr("label_schema")[0] == env.get_wrapper_attr("label_schema")
    for step in range(120):
        *_, terminated, truncated, info = env.step(step % 4)
        *_, infos = venv.step(np.array([step % 4]))
        assert infos[0]["labels"] == info["labels"]
        if terminated or truncated:
            _, info = env.reset()
            assert venv.reset_infos[0]["labels"] == info["labels"]


@pytest.mark.parametrize(
    ("env_id", "kwargs", "labels"),
    [
        ("ALE/Pong-v5", {}, False),
        ("ALE/Pong-v5", {}, True),
        ("ALE/Pong-v5", {"max_episode_steps": 50}, False),
        ("agentlab/Catch-v0", {}, True),
        ("games:Test/Square-v0", {}, False),
        ("CartPole-v1", {}, False),
    ],
)
def test_whether_processes_are_needed_is_known_before(env_id: str, kwargs: dict[str, Any], labels: bool) -> None:
    with closing(agentlab_envs.make_vec(env_id, 2, labels=labels, **kwargs)) as venv:
        needed = isinstance(venv.unwrapped, SubprocVecEnv)
    assert agentlab_envs.needs_processes(env_id, kwargs, labels=labels) is needed


def test_atari_copies_with_labels_run_in_processes() -> None:
    venv = agentlab_envs.make_vec("ALE/Pong-v5", 2, 0, labels=True)
    assert isinstance(venv, SubprocVecEnv)
    venv.reset()
    *_, infos = venv.step(np.zeros(2, int))
    assert all("ball_visible" in info["labels"] for info in infos)
    venv.close()


def test_an_environment_whose_vector_version_resets_a_step_later_is_stepped_one_by_one() -> None:
    venv = agentlab_envs.make_vec("CartPole-v1", 1, 0)
    assert isinstance(venv, DummyVecEnv)
    assert isinstance(venv.envs[0], Monitor)


def test_what_the_fast_environment_cannot_do_is_done_by_the_slow_one() -> None:
    venv = agentlab_envs.make_vec("ALE/Pong-v5", 1, 0, difficulty=1)
    assert isinstance(venv, DummyVecEnv)
    assert venv.get_attr("_game_difficulty") == [1]


def test_sb3s_evaluation_takes_returns_from_the_environment_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    class Left:
        def predict(self, observation: Any, **_: Any) -> tuple[Any, None]:
            return np.ones(len(observation), int), None

    venv = agentlab_envs.make_vec("agentlab/Catch-v0", 4, 0)
    returns, lengths = evaluate_policy(Left(), venv, n_eval_episodes=8, return_episode_rewards=True)  # type: ignore[arg-type]
    assert all(0 <= value <= 1 for value in returns)  # type: ignore[union-attr]
    assert len(set(lengths)) == 1  # type: ignore[arg-type]
    assert not [warning for warning in recwarn if "Monitor" in str(warning.message)]


def test_the_limit_of_steps_counts_steps_of_the_agent() -> None:
    env = agentlab_envs.make("ALE/Pong-v5", max_episode_steps=5)
    assert isinstance(env, TimeLimit)
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(5)] == [False] * 4 + [True]


def test_arguments_win_over_the_defaults() -> None:
    env = agentlab_envs.make("ALE/Pong-v5", frame_skip=2, screen_size=42, full_action_space=True)
    assert env.observation_space.shape == (42, 42)
    assert env.action_space.n == 18  # type: ignore[attr-defined]
    env.reset(seed=0)
    before = env.unwrapped.ale.getEpisodeFrameNumber()  # type: ignore[attr-defined]
    env.step(0)
    assert env.unwrapped.ale.getEpisodeFrameNumber() == before + 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [(160, 210), [160, 210], "160x210"])
def test_screens_are_of_any_width_and_height(size: Any) -> None:
    env = agentlab_envs.make("ALE/Pong-v5", screen_size=size, grayscale_obs=False)
    assert env.reset(seed=0)[0].shape == (210, 160, 3)


@pytest.mark.parametrize("size", ["160", "160x", "axb", [160], "0x0"])
def test_other_sizes_are_refused(size: Any) -> None:
    with pytest.raises(ValueError, match="screen_size"):
        agentlab_envs.make("ALE/Pong-v5", screen_size=size)


def test_a_users_environment_is_found_in_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "users_games.py").write_text(
        "import gymnasium\n"
        "gymnasium.register(id='Users/Catch-v0', entry_point='agentlab_envs.catch:CatchEnv', max_episode_steps=9)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert agentlab_envs.make("users_games:Users/Catch-v0").reset(seed=0)[0].shape == (84, 84)
    assert agentlab_envs.make_vec("users_games:Users/Catch-v0", 1, 0).reset().shape == (1, 84, 84)  # type: ignore[union-attr]


@pytest.mark.parametrize("make", [agentlab_envs.make, lambda env_id: agentlab_envs.make_vec(env_id, 2, 0)])
def test_an_unknown_id_is_gymnasiums_error_with_the_nearest_match(make: Any) -> None:
    with pytest.raises(gym.error.NameNotFound, match="Did you mean: `Catch`"):
        make("agentlab/Cach-v0")
    with pytest.raises(gym.error.VersionNotFound):
        make("agentlab/Catch-v9")


@pytest.mark.parametrize("make", [agentlab_envs.make, lambda env_id: agentlab_envs.make_vec(env_id, 2, 0)])
def test_an_atari_game_without_ale_py_says_what_to_install(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ale_py", None)
    with pytest.raises(gym.error.DependencyNotInstalled, match=r"pip install 'agentlab\[atari\]'"):
        make("ALE/Pong-v5")


def test_no_copies_are_refused() -> None:
    with pytest.raises(ValueError, match="n_envs: expected at least 1, found 0"):
        agentlab_envs.make_vec("agentlab/Catch-v0", 0, 0)


def test_labels_of_an_environment_that_has_none_are_refused() -> None:
    with pytest.raises(ValueError, match="ALE/Alien-v5: labels were asked for, and the environment has none"):
        agentlab_envs.make_vec("ALE/Alien-v5", 1, 0, labels=True)


def test_a_lost_life_is_said_where_the_game_goes_on() -> None:
    venv = agentlab_envs.make_vec("ALE/Breakout-v5", 2, 3, **SURE)
    venv.reset()
    lost, ends = np.zeros(2, int), np.zeros(2, int)
    random = np.random.default_rng(0)
    while ends.min() < 1:
        _, _, dones, infos = venv.step(random.integers(4, size=2))
        for copy, info in enumerate(infos):
            if not ends[copy]:
                lost[copy] += info.get("life_lost", False)
                assert not (dones[copy] and "life_lost" in info)
        ends += dones
    venv.close()
    assert lost.tolist() == [4, 4]  # of five lives the last ends the game
