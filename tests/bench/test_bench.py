"""The measurements run on a real extractor and give figures that hang together."""

from __future__ import annotations

from contextlib import closing
from typing import Any, Literal

import pytest
from stable_baselines3.common.vec_env import VecEnvWrapper

from agentlab.bench import memory, throughput
from agentlab.extractor import FrozenExtractor
from agentlab.head import FrozenFeatures
from agentlab.head.training import open_frames
from agentlab.progress import NoProgress
from agentlab.recipe import DQNConfig, HeadConfig, PPOConfig

SQUARE = "games:Test/Square-v0"


@pytest.mark.parametrize("sees", ["labels", "all"])
def test_memory_of_features_takes_a_fraction_of_that_of_images(square_extractor: FrozenExtractor, sees: str):
    found = memory.measure(square_extractor, sees, 4, seed=0)  # type: ignore[arg-type]
    each = found["bytes_per_transition"]
    assert each["images"] == pytest.approx(2 * 4 * 32 * 32 + 8 + 4 + 4 + 4)
    assert each["features"] < 120
    assert found["ratio"] == each["images"] / each["features"]
    assert f"{found['ratio']:.0f} times as much" in memory.table(found)


def test_throughput_measures_game_extractor_and_both_heads(square_extractor: FrozenExtractor):
    config = HeadConfig(n_envs=2, stack=2, dqn=DQNConfig(learning_starts=4))
    found = throughput.measure(square_extractor, SQUARE, {}, config, seed=0, progress=NoProgress(), steps=64, repeats=1)
    assert list(found["steps_per_s"]) == [
        "game", "game and extractor", "training RewardDifferencePPO", "training RewardDifferenceDQN",
    ]  # fmt: skip
    assert found["repeats"].keys() == found["steps_per_s"].keys() == found["share_of_game"].keys()
    assert "training RewardDifferencePPO" in throughput.table(found)


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
    with closing(open_frames(SQUARE, {}, config, 0)) as frames:
        steps = throughput.learn(FrozenFeatures(Counting(frames), square_extractor, 2), config, 30, seed=0)
    assert steps == made >= 30
