"""Records episodes: a policy plays an environment, every reset seeded, every step on disk before the next is taken."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import gymnasium as gym
import numpy as np

from agentlab.errors import InputError
from agentlab.holding import hold_lengths
from agentlab.recording.frames import Frame
from agentlab.recording.header import describe
from agentlab.recording.progress import OnStep, silent
from agentlab.recording.provenance import now, versions
from agentlab.recording.rows import MAX_ROWS
from agentlab.recording.writer import ENDED_BY_ENVIRONMENT, ENDED_BY_MAX_STEPS, RecordingWriter

LONGEST_HOLD = 100
"""For how many steps a wandering policy holds an action at most."""


class Policy(Protocol):
    """What chooses the actions. An attribute `name`, if there is one, is stored with each episode."""

    def reset(self, seed: int) -> None:
        """Called before each episode."""

    def act(self, frame: Frame, info: dict[str, Any]) -> Any:
        """The action for one frame and the info that came with it."""


class RandomPolicy:
    """Uniformly random actions, the same for the same seed."""

    name = "random"

    def __init__(self, action_space: gym.Space[Any]) -> None:
        self._action_space = action_space

    def reset(self, seed: int) -> None:
        independent_of_env = np.random.SeedSequence([seed, 0xAC7104]).generate_state(1)
        self._action_space.seed(int(independent_of_env[0]))

    def act(self, frame: Frame, info: dict[str, Any]) -> Any:  # noqa: ARG002
        return self._action_space.sample()


class WanderingPolicy:
    """Random actions, each held for a random number of steps up to 100 (see `holding`); the same for the same seed."""

    name = "wandering"

    def __init__(self, action_space: gym.Space[Any]) -> None:
        self._actions = RandomPolicy(action_space)

    def reset(self, seed: int) -> None:
        self._actions.reset(seed)
        self._lengths = np.random.default_rng([seed, 0x1E26])
        self._steps_left = 0

    def act(self, frame: Frame, info: dict[str, Any]) -> Any:
        if not self._steps_left:
            self._held = self._actions.act(frame, info)
            self._steps_left = int(hold_lengths(self._lengths, 1, LONGEST_HOLD)[0])
        self._steps_left -= 1
        return self._held


@dataclass(frozen=True)
class Summary:
    """What one call of `record` added, and a line for each interrupted episode that it found and recovered."""

    path: Path
    episodes: int
    steps: int
    returns: list[float]
    seconds: float
    recovered: list[str]


def record(
    env: gym.Env[Any, Any],
    path: str | Path,
    policy: Policy,
    *,
    episodes: int,
    seed: int = 0,
    env_id: str | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    max_steps: int = MAX_ROWS - 1,
    enough_steps: int | None = None,
    append: bool = False,
    force: bool = False,
    command: str = "",
    on_step: OnStep = silent,
) -> Summary:
    """Records `episodes` episodes at `path`; episode i of the recording is reset with `seed + i`.

    After `enough_steps` steps no further episode is begun.

    `env_id` and `env_kwargs` are what `agentlab_envs.make` was given to make `env`: replays make it again from them.
    Episodes longer than `max_steps` are truncated there, and say so. Stopped by Ctrl-C or an error, the running episode
    is kept up to its last step before the exception goes on.

    Raises `InputError` when `path` exists (see `append`, `force`) or for an environment that cannot be recorded.
    """
    if enough_steps is not None and enough_steps < 1:
        raise InputError(f"steps: expected at least 1, found {enough_steps}")
    if episodes < 1:
        raise InputError(f"episodes: expected at least 1, found {episodes}")
    if not 1 <= max_steps < MAX_ROWS:
        raise InputError(f"max_steps: expected 1 to {MAX_ROWS - 1}, found {max_steps}")
    started = time.perf_counter()
    begun = {"versions": versions(env), "created_at": now()}
    header = describe(env, env_id, env_kwargs or {}, begun | {"command": command})
    returns: list[float] = []
    n_steps = 0
    with RecordingWriter(Path(path), header, append=append, force=force) as writer:
        recovered = list(writer.recovered)
        while len(returns) < episodes and (enough_steps is None or n_steps < enough_steps):
            episode_seed = seed + writer.total_episodes
            returns.append(0.0)
            for reward in _play(env, policy, writer, begun, episode_seed, options, max_steps):
                returns[-1] += reward
                n_steps += 1
                on_step(len(returns) - 1, n_steps)
    return Summary(Path(path), len(returns), n_steps, returns, time.perf_counter() - started, recovered)


def _play(
    env: gym.Env[Any, Any],
    policy: Policy,
    writer: RecordingWriter,
    provenance: dict[str, Any],
    seed: int,
    options: dict[str, Any] | None,
    max_steps: int,
) -> Iterator[float]:
    """Records one episode and yields the reward of each step."""
    policy.reset(seed)
    frame, info = env.reset(seed=seed, options=options)
    name = getattr(policy, "name", type(policy).__name__)
    episode = writer.begin(seed, options, frame, info, {"policy": name, **provenance})
    ended = False
    while not ended and episode.n_steps < max_steps:
        action = policy.act(frame, info)
        frame, reward, terminated, truncated, info = env.step(action)
        episode.step(action, frame, float(reward), terminated, truncated, info)
        ended = terminated or truncated
        yield float(reward)
    episode.commit(ENDED_BY_ENVIRONMENT if ended else ENDED_BY_MAX_STEPS)
