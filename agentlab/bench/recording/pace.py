"""How fast Pong is played alone, recorded, and replayed to be verified: the same episodes each time."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import gymnasium as gym

from agentlab.environment import open_environment
from agentlab.errors import InputError
from agentlab.progress import Progress
from agentlab.recording import Policy, RandomPolicy, Recording, damages, record, verify

ENV = "ALE/Pong-v5"
EPISODES = 8
ROUNDS = 9


def measure(
    out: Path, *, seed: int, progress: Progress, episodes: int = EPISODES, rounds: int = ROUNDS
) -> dict[str, Any]:
    """Steps a second of each, and medians over rounds of their ratios to the game alone in the same round."""
    seconds: dict[str, list[float]] = defaultdict(list)
    steps = 0
    with TemporaryDirectory(dir=out) as folder, progress.task("pace", rounds, "rounds") as task:
        env = open_environment(ENV, {})
        policy = RandomPolicy(env.action_space)
        for number in range(rounds):
            first_seed = seed + number * episodes
            path = Path(folder) / str(number)
            started_s = time.perf_counter()
            steps = sum(1 for _ in _played(env, policy, range(first_seed, first_seed + episodes)))
            seconds["alone"].append((time.perf_counter() - started_s) / steps)
            summary = record(env, path, policy, episodes=episodes, seed=first_seed, env_id=ENV)
            seconds["recorded"].append(summary.seconds / steps)
            seconds["verified"].append(verify(Recording(path)).seconds / steps)
            seconds["checked"].append(_checked_s(path) / steps)
            task.advance()
        env.close()
    ratios = {what: [a / b for a, b in zip(seconds[what], seconds["alone"], strict=True)] for what in seconds}
    return {
        "env": ENV,
        "steps_per_round": steps,
        "rates": {f"Pong, {what}": 1 / median(found) for what, found in seconds.items()},
        "recording_overhead": median(ratios["recorded"]) - 1,
        "verification_share": 1 / median(ratios["verified"]),
        "repeats": dict(seconds),
    }


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The measurement as lines for people."""
    rates = ", ".join(f"{what.partition(', ')[2]} {rate:,.0f}" for what, rate in found["rates"].items())
    yield f"Pong, 84x84, steps a second: {rates}"
    yield f"  recording costs {found['recording_overhead']:.0%} of the game's own time"
    yield f"  verification runs at {found['verification_share']:.0%} of the game's own speed"


def _played(env: gym.Env[Any, Any], policy: Policy, seeds: range) -> Iterator[float]:
    """Plays an episode of each seed as the recorder does, and yields the reward of each step."""
    for seed in seeds:
        policy.reset(seed)
        frame, info = env.reset(seed=seed)
        ended = False
        while not ended:
            frame, reward, terminated, truncated, info = env.step(policy.act(frame, info))
            ended = terminated or truncated
            yield float(reward)


def _checked_s(path: Path) -> float:
    started_s = time.perf_counter()
    found = damages(Recording(path))
    seconds = time.perf_counter() - started_s
    if found:
        raise InputError(found[0])
    return seconds
