"""Steps a second: the game alone, the game seen through the extractor, and training of both heads, in one run."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from statistics import median
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.vec_env import VecEnv

import agentlab_envs
from agentlab import device as devices
from agentlab.extractor import FrozenExtractor
from agentlab.head import FrozenFeatures
from agentlab.head.training import build
from agentlab.progress import Progress
from agentlab.recipe import HeadConfig

STEPS = 16_384
REPEATS = 3
PACKAGES = ("agentlab", "torch", "stable-baselines3", "gymnasium", "ale-py", "numpy")


def measure(
    extractor: FrozenExtractor, env_id: str, env_kwargs: dict[str, Any], config: HeadConfig, progress: Progress
) -> dict[str, Any]:
    """Agent steps a second of each, the median of several repeats taken in turn, and their ratio to the game alone."""
    devices.use_threads(0)
    config = replace(config, total_steps=STEPS)
    env = agentlab_envs.make_vec(env_id, config.n_envs, 0, **env_kwargs)
    features = FrozenFeatures(env, extractor, config.stack, config.sees)
    things: dict[str, Callable[[], None]] = {
        "game": lambda: play(env),
        "game and extractor": lambda: play(features),
        "training RewardDifferencePPO": lambda: learn(features, replace(config, algorithm="ppo")),
        "training RewardDifferenceDQN": lambda: learn(features, replace(config, algorithm="dqn")),
    }
    rates: dict[str, list[float]] = {name: [] for name in things}
    with progress.task("throughput", REPEATS * len(things) * STEPS, "steps") as task:
        for _ in range(REPEATS):
            for name, thing in things.items():
                started_s = time.perf_counter()
                thing()
                rates[name].append(STEPS / (time.perf_counter() - started_s))
                task.advance(STEPS)
    env.close()
    medians = {name: median(found) for name, found in rates.items()}
    return {
        "env": env_id,
        "n_envs": config.n_envs,
        "steps_per_s": medians,
        "share_of_game": {name: rate / medians["game"] for name, rate in medians.items()},
        "repeats": rates,
        "machine": {"threads": torch.get_num_threads(), "processor": platform.machine()},
        "versions": {name: version(name) for name in PACKAGES},
    }


def play(env: VecEnv) -> None:
    """`STEPS` agent steps of random actions."""
    env.reset()
    actions = np.random.default_rng(0)
    for _ in range(STEPS // env.num_envs):
        env.step(actions.integers(env.action_space.n, size=env.num_envs))  # type: ignore[attr-defined]


def learn(env: VecEnv, config: HeadConfig) -> None:
    """`STEPS` agent steps of training, updates included."""
    build(env, config, seed=0, device="cpu").learn(STEPS)


def table(found: dict[str, Any]) -> str:
    """The measurement as lines for people."""
    lines = [f"{found['env']}, {found['n_envs']} environments, {found['machine']['threads']} threads"]
    for name, rate in found["steps_per_s"].items():
        lines.append(f"{name:<30}{rate:>8,.0f} steps/s  {found['share_of_game'][name]:>5.0%} of the game alone")
    return "\n".join(lines)
