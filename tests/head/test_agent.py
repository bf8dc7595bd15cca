"""A trained agent: what it thinks of a whole episode at once is what it thinks of it frame by frame."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from tiny import SQUARE, recorded

from agentlab.extractor import FrozenExtractor
from agentlab.head import Agent, train
from agentlab.recipe import HeadConfig, PPOConfig


def trained(extractor: FrozenExtractor, run: Path, algorithm: Literal["dqn", "ppo"], env_id: str = SQUARE) -> Agent:
    """A head trained for 64 steps."""
    shutil.copytree(extractor.folder, run / "extractor")
    ppo = PPOConfig(rollout=32, epochs=1)
    config = HeadConfig(algorithm=algorithm, total_steps=64, n_envs=2, ppo=ppo)
    train(extractor, env_id, {}, config, run / "head", device="cpu", threads=1)
    return Agent.load(run, "cpu")


@pytest.mark.parametrize("algorithm", ["dqn", "ppo"])
def test_values_of_an_episode_are_those_told_while_playing_it(
    algorithm: Literal["dqn", "ppo"], square_extractor: FrozenExtractor, tmp_path: Path
):
    agent = trained(square_extractor, tmp_path / "run", algorithm)
    episode = recorded(SQUARE, tmp_path / "recording", episodes=1)[0]
    frames = episode.frames(range(episode.n_frames))
    at_once = agent.values_of_episode(agent.extractor.percepts(frames, agent.meta["sees"]))
    agent.reset(1)
    for t, frame in enumerate(frames):
        agent.act(frame[None], np.array([t == 0]))
        told = agent.values()
        assert told is not None
        assert at_once is not None
        np.testing.assert_allclose(at_once[t], told[0], rtol=1e-3, atol=1e-4)


def test_continuous_actions_have_no_values(square_extractor: FrozenExtractor, tmp_path: Path):
    agent = trained(square_extractor, tmp_path / "run", "ppo", "games:Test/Continuous-v0")
    percepts = np.zeros((5, agent.extractor.n_percepts(agent.meta["sees"])), np.float32)
    assert agent.values_of_episode(percepts) is None
