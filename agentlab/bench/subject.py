"""What is measured of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from stable_baselines3.common.vec_env import VecEnv

import agentlab_envs
from agentlab.extractor import FrozenExtractor
from agentlab.fields import from_plain
from agentlab.head import Agent, FrozenFeatures
from agentlab.head.training import open_frames, with_copies
from agentlab.recipe import HeadConfig


@dataclass(frozen=True)
class Subject:
    """An extractor, the environment it sees, and how a head is trained there."""

    extractor: FrozenExtractor
    env_id: str
    env_kwargs: Mapping[str, Any]
    head: HeadConfig

    @classmethod
    def of_run(cls, run: Path) -> Subject:
        """Those of the run in a folder; raises what `Agent.load` raises."""
        agent = Agent.load(run, "cpu")
        head = from_plain(HeadConfig, agent.meta["recipe"], str(run / "head" / "meta.json"))
        return cls(agent.extractor, agent.env_id, agent.env_kwargs, head)

    def head_of(self, algorithm: Literal["dqn", "ppo"]) -> HeadConfig:
        """How a head of this algorithm is trained there: as the run's own was, if it is one."""
        if self.head.algorithm == algorithm:
            return self.head
        return with_copies(replace(self.head, algorithm=algorithm, n_envs=None), self.env_id, self.env_kwargs)

    @contextmanager
    def raw_game(self, n_envs: int, seed: int) -> Iterator[VecEnv]:
        """So many copies of the environment, closed in the end."""
        with closing(agentlab_envs.make_vec(self.env_id, n_envs, seed, **self.env_kwargs)) as env:
            yield env

    @contextmanager
    def features(self, head: HeadConfig, seed: int) -> Iterator[FrozenFeatures]:
        """The features environment that a head with these settings is trained in, closed in the end."""
        with closing(open_frames(self.env_id, self.env_kwargs, head)) as frames:
            frames.seed(seed)
            yield FrozenFeatures(frames, self.extractor, head.stack, head.sees)
