"""The measurements run on a real extractor and give figures that hang together."""

from __future__ import annotations

import pytest

from agentlab.bench import memory, throughput
from agentlab.extractor import FrozenExtractor
from agentlab.progress import NoProgress
from agentlab.recipe import DQNConfig, HeadConfig

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
    assert all(rate > 0 for rate in found["steps_per_s"].values())
    assert found["share_of_game"]["game"] == 1
    assert "steps/s" in throughput.table(found)
