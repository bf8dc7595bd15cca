"""How speed and memory scale: with the number of environments, and as a training grows to a million steps."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import gymnasium as gym
from stable_baselines3.common.callbacks import BaseCallback

import agentlab_envs
from agentlab import device as devices
from agentlab.bench.drawing import BLUE, drawn
from agentlab.bench.subject import Subject
from agentlab.bench.throughput import Rate, learned, played
from agentlab.errors import InputError
from agentlab.head.training import HEAD_THREADS, PROCESSES, build
from agentlab.progress import Progress

ENVIRONMENTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
STEPS = 8_192
FEWEST = 1_024
ROLLOUT = 2_048
GROWN = 1_000_000
TENTHS = 10


def measure(
    subject: Subject,
    *,
    seed: int,
    progress: Progress,
    environments: Sequence[int] = ENVIRONMENTS,
    steps: int = STEPS,
    fewest: int = FEWEST,
    repeats: int = 3,
    grown: int = GROWN,
) -> dict[str, Any]:
    """Agent steps a second with each number of environments, and in each tenth of a DQN training of `grown` steps.

    The first are medians of `repeats`; the largest number of environments makes `steps`, others as much less as they
    are fewer, but `fewest` at least.

    That training has one update for each step of all its environments, or it would take an hour; every transition
    stays in its memory. It comes first, for its peak memory is that of the process. Raises `InputError` for continuous
    actions.
    """
    with subject.raw_game(1, seed) as one:
        if not isinstance(one.action_space, gym.spaces.Discrete):
            raise InputError(f"bench scaling: expected discrete actions, as the DQN head has, found {one.action_space}")
    if agentlab_envs.needs_processes(subject.env_id, subject.env_kwargs, labels=False):
        progress.say(f"scaling: an environment needs a process each, so that there are {PROCESSES} at most")
        environments = [n_envs for n_envs in environments if n_envs <= PROCESSES]
    with devices.computing(HEAD_THREADS):
        by_tenth = growth(subject, seed=seed, progress=progress, steps=grown)
        peak_mb = peak_memory_mb()
        rates = by_environments(
            subject, environments, steps=steps, fewest=fewest, repeats=repeats, seed=seed, progress=progress
        )
    return {
        "env": subject.env_id,
        "steps_per_s": rates,
        "growth": {
            "steps": grown,
            "steps_per_s": by_tenth,
            "last_to_first": by_tenth[-1] / by_tenth[0],
            "peak_memory_mb": peak_mb,
        },
    }


def by_environments(
    subject: Subject,
    environments: Sequence[int],
    *,
    steps: int,
    fewest: int,
    repeats: int,
    seed: int,
    progress: Progress,
) -> dict[str, list[tuple[int, float]]]:
    """Pairs of a number of environments and agent steps a second: of the game, with the eye, of training."""
    rates: dict[str, list[tuple[int, float]]] = {"raw game": [], "game and extractor": [], "RewardDifferencePPO": []}
    with progress.task("environments", len(environments), "numbers of environments") as task:
        for n_envs in environments:
            some = max(steps * n_envs // max(environments), fewest)
            rollout = max(ROLLOUT // n_envs, 2)
            ppo = replace(subject.head, algorithm="ppo", n_envs=n_envs, ppo=replace(subject.head.ppo, rollout=rollout))
            with subject.raw_game(n_envs, seed) as raw, subject.features(ppo, seed) as env:
                model = build(env, ppo, seed=seed, device="cpu")
                things: dict[str, Rate] = {
                    "raw game": partial(played, raw, some, seed),
                    "game and extractor": partial(played, env, some, seed),
                    "RewardDifferencePPO": partial(learned, model, some),
                }
                for name, thing in things.items():
                    measured = [thing() for _ in range(repeats)]
                    rates[name].append((n_envs, median(n / seconds for n, seconds in measured)))
            task.advance()
    return rates


def growth(subject: Subject, *, seed: int, progress: Progress, steps: int) -> list[float]:
    """Agent steps a second in each tenth of a DQN training of so many steps, all of them kept in memory."""
    dqn = subject.head_of("dqn")
    each = 1 / dqn.num_envs
    dqn = replace(dqn, dqn=replace(dqn.dqn, memory=steps, updates_per_step=each, learning_starts=1))
    with subject.features(dqn, seed) as env, progress.task("growth", steps, "steps") as task:
        laps = Laps(steps / TENTHS, task.advance)
        build(env, dqn, seed=seed, device="cpu").learn(steps, callback=laps)
    return laps.rates


def peak_memory_mb() -> float:
    """The most memory this process has had, in megabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


class Laps(BaseCallback):
    """Agent steps a second of each so many steps."""

    def __init__(self, every: float, advance: Any) -> None:
        super().__init__()
        self.rates: list[float] = []
        self._every, self._advance = every, advance

    def _on_training_start(self) -> None:
        self._steps, self._began_s = 0, time.perf_counter()

    def _on_step(self) -> bool:
        self._advance(self.training_env.num_envs)
        if self.num_timesteps >= self._every * (len(self.rates) + 1):
            now_s = time.perf_counter()
            self.rates.append((self.num_timesteps - self._steps) / (now_s - self._began_s))
            self._steps, self._began_s = self.num_timesteps, now_s
        return True


def table(found: dict[str, Any]) -> str:
    """The measurement as lines for people."""
    grown = found["growth"]
    numbers = [n_envs for n_envs, _ in next(iter(found["steps_per_s"].values()))]
    lines_ = [f"{found['env']}, steps/s with" + "".join(f"{n:>8}" for n in numbers) + "  environments"]
    lines_ += [
        f"{name:<24}" + "".join(f"{rate:>8,.0f}" for _, rate in rates) for name, rates in found["steps_per_s"].items()
    ]
    lines_ += [
        f"a DQN training of {grown['steps']:,} steps: " + ", ".join(f"{rate:,.0f}" for rate in grown["steps_per_s"]),
        f"steps/s in its tenths, the last {grown['last_to_first']:.0%} of the first; "
        f"peak memory {grown['peak_memory_mb']:,.0f} MB",
    ]
    return "\n".join(lines_)


def plot(found: dict[str, Any], path: Path) -> None:
    """Draws the rates over the number of environments, and those of a training as it grows, into an SVG."""
    rates, grown = found["steps_per_s"], found["growth"]
    with drawn(path, 10, 3.6) as axes:
        axes.set_axis_off()
        by_number = axes.inset_axes((0, 0, 0.6, 1))
        for name, points in rates.items():
            by_number.plot(*zip(*points, strict=True), marker="o", label=name)
        numbers = [n_envs for n_envs, _ in next(iter(rates.values()))]
        by_number.set(xlabel="environments", ylabel="agent steps a second", xscale="log", ylim=(0, None))
        by_number.set_xticks(numbers, map(str, numbers))
        by_number.minorticks_off()
        by_number.grid(alpha=0.3)
        by_number.legend()
        as_it_grows = axes.inset_axes((0.7, 0, 0.3, 1))
        tenths = range(1, len(grown["steps_per_s"]) + 1)
        as_it_grows.bar(tenths, grown["steps_per_s"], color=BLUE)
        as_it_grows.set(xlabel=f"tenths of a DQN training of {grown['steps']:,} steps", xticks=tenths)
