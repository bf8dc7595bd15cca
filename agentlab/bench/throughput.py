"""Steps a second: the game alone, the game seen through the extractor, and training of the heads, in one run."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from statistics import median
from typing import Any

import gymnasium as gym
import torch
from stable_baselines3.common.vec_env import VecEnv

from agentlab import device as devices
from agentlab.extractor import FrozenExtractor
from agentlab.head import FrozenFeatures
from agentlab.head.training import build, open_frames
from agentlab.progress import Progress
from agentlab.recipe import HeadConfig
from agentlab.recording.provenance import installed_version

PACKAGES = ("agentlab", "torch", "stable-baselines3", "gymnasium", "ale-py", "numpy")


def measure(
    extractor: FrozenExtractor,
    env_id: str,
    env_kwargs: dict[str, Any],
    config: HeadConfig,
    *,
    seed: int,
    progress: Progress,
    steps: int = 16_384,
    repeats: int = 3,
) -> dict[str, Any]:
    """Agent steps a second of each, the median of `repeats` taken in turn, and their ratio to the game alone."""
    with (
        devices.computing(0),
        closing(open_frames(env_id, env_kwargs, config, seed)) as env,
    ):
        features = FrozenFeatures(env, extractor, config.stack, config.sees)
        things: dict[str, Callable[[], int]] = {
            "game": lambda: play(env, steps, seed),
            "game and extractor": lambda: play(features, steps, seed),
            "training RewardDifferencePPO": lambda: learn(features, replace(config, algorithm="ppo"), steps, seed),
        }
        if isinstance(env.action_space, gym.spaces.Discrete):
            things["training RewardDifferenceDQN"] = lambda: learn(
                features, replace(config, algorithm="dqn"), steps, seed
            )
        rates: dict[str, list[float]] = {name: [] for name in things}
        with progress.task("throughput", repeats * len(things) * steps, "steps") as task:
            for _ in range(repeats):
                for name, thing in things.items():
                    started_s = time.perf_counter()
                    rates[name].append(thing() / (time.perf_counter() - started_s))
                    task.advance(steps)
        threads = torch.get_num_threads()
    medians = {name: median(found) for name, found in rates.items()}
    return {
        "env": env_id,
        "n_envs": config.num_envs,
        "steps_per_s": medians,
        "share_of_game": {name: rate / medians["game"] for name, rate in medians.items()},
        "repeats": rates,
        "machine": {"threads": threads, "architecture": platform.machine()},
        "versions": {name: installed_version(name) for name in PACKAGES},
    }


def play(env: VecEnv, steps: int, seed: int) -> int:
    """At least so many agent steps of random actions; gives how many it took."""
    env.reset()
    actions = gym.vector.utils.batch_space(env.action_space, env.num_envs)
    actions.seed(seed)
    rounds = math.ceil(steps / env.num_envs)
    for _ in range(rounds):
        env.step(actions.sample())
    return rounds * env.num_envs


def learn(env: VecEnv, config: HeadConfig, steps: int, seed: int) -> int:
    """At least so many agent steps of training, updated from the first; gives how many: PPO takes whole rollouts."""
    config = replace(config, dqn=replace(config.dqn, learning_starts=1))
    return build(env, config, seed=seed, device="cpu").learn(steps).num_timesteps


def table(found: dict[str, Any]) -> str:
    """The measurement as lines for people."""
    lines = [f"{found['env']}, {found['n_envs']} environments, {found['machine']['threads']} threads"]
    for name, rate in found["steps_per_s"].items():
        lines.append(f"{name:<30}{rate:>8,.0f} steps/s  {found['share_of_game'][name]:>5.0%} of the game alone")
    return "\n".join(lines)
