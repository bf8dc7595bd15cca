"""The smallest recordings and extractors that are real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym

from agentlab.extractor import FrozenExtractor, fit
from agentlab.recipe import ExtractorConfig
from agentlab.recording import RandomPolicy, Recording, record

CATCH = "agentlab/Catch-v0"
SQUARE = "games:Test/Square-v0"
CONFIG = ExtractorConfig(features=8, channels=4, keypoints=4, epochs=1, batch_size=64, holdout=0.25)


def recorded(env_id: str, folder: Path, episodes: int = 4, seed: int = 0, **env_kwargs: Any) -> Recording:
    """Random play."""
    env = gym.make(env_id, **env_kwargs)
    policy = RandomPolicy(env.action_space)
    record(env, folder, policy, episodes=episodes, seed=seed, env_id=env_id, env_kwargs=env_kwargs)
    env.close()
    return Recording(folder)


def fitted(recording: Recording, folder: Path, config: ExtractorConfig = CONFIG, **options: Any) -> FrozenExtractor:
    """An extractor of the smallest network, hardly fitted."""
    return fit([recording], config, folder, device="cpu", threads=1, **options)
