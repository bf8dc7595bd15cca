"""The measurements run on a real extractor and give figures that hang together."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from stable_baselines3.common.vec_env import VecEnvWrapper
from tiny import CATCH, fitted, recorded

import agentlab_envs
from agentlab import timing
from agentlab.bench import eye, memory, scaling, throughput
from agentlab.bench.subject import Subject
from agentlab.errors import InputError
from agentlab.extractor import FrozenExtractor
from agentlab.head import FrozenFeatures
from agentlab.head.training import build, open_frames
from agentlab.progress import NoProgress
from agentlab.recipe import DQNConfig, HeadConfig, PPOConfig

SQUARE = "games:Test/Square-v0"
SMALL = HeadConfig(stack=2, dqn=DQNConfig(learning_starts=4), ppo=PPOConfig(rollout=4, batch_size=64))


class Said(NoProgress):
    """A progress that keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.mark.parametrize("sees", ["labels", "all"])
def test_memory_of_features_takes_a_fraction_of_that_of_images(square_extractor: FrozenExtractor, sees: str):
    found = memory.measure(Subject(square_extractor, SQUARE, {}, HeadConfig(sees=sees)))  # type: ignore[arg-type]
    each = found["bytes_per_transition"]
    assert each["images"] == pytest.approx(2 * 4 * 32 * 32 + 8 + 4 + 4 + 4)
    assert each["features"] < 120
    assert each["images, optimised"] == each["images"] - 4 * 32 * 32
    assert found["ratio"] == each["images"] / each["features"] == pytest.approx(2 * found["ratio_optimised"], rel=0.01)
    assert f"{found['ratio']:.0f} times as much" in memory.table(found)


def test_throughput_measures_ours_and_sb3_s_beside_the_raw_game(tmp_path: Path):
    extractor = fitted(recorded(CATCH, tmp_path / "recording"), tmp_path / "extractor")
    subject = Subject(extractor, CATCH, {}, SMALL)
    found = throughput.measure(subject, seed=0, progress=NoProgress(), steps=64, repeats=1)
    assert set(found["steps_per_s"]) == {
        "raw game", "game and extractor", "RewardDifferencePPO", "RewardDifferenceDQN",
        "SB3 PPO MlpPolicy on our features", "SB3 PPO CnnPolicy", "SB3 DQN CnnPolicy",
    }  # fmt: skip
    assert found["repeats"].keys() == found["share_of_game"].keys() == found["steps_per_s"].keys()
    assert found["times_sb3_ppo"]["SB3 PPO CnnPolicy"] == found["share_of_game"]["raw game"] == 1
    ratio = found["steps_per_s"]["RewardDifferencePPO"] / found["steps_per_s"]["raw game"]
    assert found["share_of_game"]["RewardDifferencePPO"] == pytest.approx(ratio)
    assert "RewardDifferencePPO" in throughput.table(found)
    throughput.plot(found, tmp_path / "plot.svg")
    assert "SB3 PPO CnnPolicy" in (tmp_path / "plot.svg").read_text()


def test_networks_that_cannot_take_the_frames_are_left_out_by_name(square_extractor: FrozenExtractor):
    progress, subject = Said(), Subject(square_extractor, SQUARE, {}, SMALL)
    found = throughput.measure(subject, seed=0, progress=progress, steps=64, repeats=1)
    assert not any("CnnPolicy" in name for name in found["steps_per_s"])
    assert found["times_sb3_ppo"] == {}
    assert "RewardDifferencePPO" in throughput.table(found)
    assert progress.lines == ["SB3's CnnPolicy is left out: it needs frames of at least 36 pixels a side"]


def test_runtimes_of_the_eye_are_timed_and_held_against_float32(square_extractor: FrozenExtractor):
    frames = np.random.default_rng(0).integers(0, 256, (8, *square_extractor.frame_shape), np.uint8)
    found = eye.measure(square_extractor, frames)
    assert {"torch, float32", "OpenVINO, float32"} <= found.keys()
    assert all(way["us_per_frame"] > 0 for way in found.values())
    assert found["torch, float32"]["off"] == 0
    assert found["OpenVINO, float32"]["off"] < 1e-4
    if "OpenVINO, bfloat16" in found:
        assert 1e-4 < found["OpenVINO, bfloat16"]["off"] < 0.1
    assert "eye by torch, float32" in eye.table(found)


@pytest.mark.parametrize("name", ["RewardDifferencePPO", "RewardDifferenceDQN"])
def test_the_time_split_is_that_of_a_step(square_extractor: FrozenExtractor, name: str):
    subject = Subject(square_extractor, SQUARE, {}, SMALL)
    found = throughput.measure(subject, seed=0, progress=NoProgress(), steps=256, repeats=1)
    split = found["time_split"][name]
    assert split.keys() == {"game", "extractor", "policy", "update", "other"}
    assert all(microseconds >= 0 for microseconds in split.values())
    assert min(split[part] for part in ("game", "extractor", "update")) > 0
    assert sum(split.values()) == pytest.approx(1e6 / found["steps_per_s"][name], rel=0.02)


def test_what_the_first_frames_take_is_not_in_the_time_split(
    square_extractor: FrozenExtractor, monkeypatch: pytest.MonkeyPatch
):
    reset, steps, seconds = FrozenFeatures.reset, 64, 0.5

    def slow_reset(env: FrozenFeatures) -> Any:
        with timing.spent("extractor"):
            time.sleep(seconds)
        return reset(env)

    monkeypatch.setattr(FrozenFeatures, "reset", slow_reset)
    subject = Subject(square_extractor, SQUARE, {}, SMALL)
    split = throughput.measure(subject, seed=0, progress=NoProgress(), steps=steps, repeats=1)["time_split"]
    assert split["RewardDifferencePPO"]["extractor"] < seconds / (2 * SMALL.num_envs * SMALL.ppo.rollout) * 1e6


@pytest.mark.parametrize("algorithm", ["dqn", "ppo"])
def test_the_steps_of_a_training_are_those_its_environments_made(
    square_extractor: FrozenExtractor, algorithm: Literal["dqn", "ppo"]
):
    made = 0

    class Counting(VecEnvWrapper):
        def reset(self) -> Any:
            return self.venv.reset()

        def step_wait(self) -> Any:
            nonlocal made
            made += self.num_envs
            return self.venv.step_wait()

    config = HeadConfig(n_envs=3, stack=2, algorithm=algorithm, ppo=PPOConfig(rollout=8))
    with closing(open_frames(SQUARE, {}, config)) as frames:
        env = FrozenFeatures(Counting(frames), square_extractor, 2)
        steps, seconds = throughput.learned(build(env, config, seed=0, device="cpu"), 30)
    assert steps == made >= 30
    assert seconds > 0


def test_frames_without_a_channel_get_one():
    env = throughput.WithChannel(agentlab_envs.make_vec(SQUARE, 2, 0))
    assert env.observation_space.shape == (32, 32, 1)
    assert env.reset().shape == (2, 32, 32, 1)
    for _ in range(10):
        frames, _, dones, infos = env.step(np.zeros(2, int))
    assert frames.shape == (2, 32, 32, 1)  # type: ignore[union-attr]
    assert dones.all()
    assert infos[0]["terminal_observation"].shape == (32, 32, 1)


def test_scaling_measures_numbers_of_environments_and_a_growing_memory(
    square_extractor: FrozenExtractor, tmp_path: Path
):
    subject = Subject(square_extractor, SQUARE, {}, SMALL)
    found = scaling.measure(
        subject, seed=0, progress=NoProgress(), environments=(1, 2), steps=64, fewest=32, repeats=2, grown=400
    )
    assert {name: [n for n, _ in rates] for name, rates in found["steps_per_s"].items()} == {
        "raw game": [1, 2], "game and extractor": [1, 2], "RewardDifferencePPO": [1, 2]
    }  # fmt: skip
    growth = found["growth"]
    assert len(growth["steps_per_s"]) == 10
    assert growth["last_to_first"] == growth["steps_per_s"][-1] / growth["steps_per_s"][0]
    assert 50 < growth["peak_memory_mb"] <= scaling.peak_memory_mb() < 20_000
    assert "of the first" in scaling.table(found)
    scaling.plot(found, tmp_path / "plot.svg")
    assert "<svg" in (tmp_path / "plot.svg").read_text()


def test_scaling_refuses_continuous_actions_before_it_measures(square_extractor: FrozenExtractor):
    subject = Subject(square_extractor, "games:Test/Continuous-v0", {}, replace(SMALL, algorithm="ppo"))
    with pytest.raises(InputError, match="bench scaling: expected discrete actions"):
        scaling.measure(subject, seed=0, progress=NoProgress())


def test_sb3_s_networks_play_an_atari_game_as_sb3_makes_it_and_our_fast_one():
    emulator = {"repeat_action_probability": 0.0, "noop_max": 3}
    with throughput._on_pixels("ALE/Pong-v5", emulator, seed=0) as pixels:
        assert set(pixels) == {throughput.ON_PIXELS, throughput.ON_FAST_PIXELS}
        assert {env.reset().shape for env in pixels.values()} == {(throughput.SB3_ENVS, 84, 84, 4)}


def test_the_memory_of_a_training_is_taken_before_other_environments_add_to_it(
    square_extractor: FrozenExtractor, monkeypatch: pytest.MonkeyPatch
):
    calls = []
    monkeypatch.setattr(scaling, "growth", lambda *_, **__: calls.append("growth") or [1.0])
    monkeypatch.setattr(scaling, "peak_memory_mb", lambda: calls.append("memory") or 1.0)
    monkeypatch.setattr(scaling, "by_environments", lambda *_, **__: calls.append("environments") or {})
    scaling.measure(Subject(square_extractor, SQUARE, {}, SMALL), seed=0, progress=NoProgress())
    assert calls == ["growth", "memory", "environments"]
