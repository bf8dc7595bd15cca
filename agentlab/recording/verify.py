"""Re-steps a whole recording in a new environment, and tells whether it still happens as recorded."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import gymnasium as gym

from agentlab.environment import open_environment
from agentlab.errors import InputError
from agentlab.processes import processes
from agentlab.recording.comparison import Difference, OnFrame, Replayed, first_difference
from agentlab.recording.episode import Episode
from agentlab.recording.header import spec_json
from agentlab.recording.progress import OnStep, silent
from agentlab.recording.provenance import installed_version
from agentlab.recording.reader import Recording

Make: TypeAlias = Callable[[str, dict[str, Any]], gym.Env[Any, Any]]
"""Makes the environment of an id with these arguments."""

Compared: TypeAlias = tuple[Difference | None, int]
"""What differs in an episode first, and how many of its steps do not."""
Comparing: TypeAlias = Generator[Compared, None, None]
"""Episode by episode."""


@dataclass(frozen=True)
class Verification:
    """How many episodes and steps were compared in how long, the first difference, and what is not as when recorded."""

    episodes: int
    steps: int
    seconds: float
    difference: Difference | None
    changed_setup: list[str]


def verify(
    recording: Recording, *, make: Make = open_environment, workers: int = 1, on_step: OnStep = silent
) -> Verification:
    """Replays every episode and compares frames, rewards, end flags and labels.

    Also compares every file with its checksum, and every image with its hash where that does not hold. Episodes follow
    one another in one environment, as when they were recorded; one that differs is replayed again in a new environment
    before it is told. `workers` processes replay as many episodes at once, each in an environment of its own, up to
    the first that differs: one process goes on from there, after the episodes before it, so that the verdict does not
    depend on what an environment carries over. `make` is then to be a function of a module.

    Raises `InputError` for an empty recording, unreadable files and an environment that cannot be made.
    """
    recording.require_episodes()
    if workers < 1:
        raise InputError(f"workers: expected at least 1, found {workers}")
    changed = changed_setup(recording, make)
    started = time.perf_counter()
    compared = _in_turn(recording, make, on_step) if workers == 1 else _at_once(recording, make, on_step, workers)
    n_episodes, n_steps = 0, 0
    difference = None
    with closing(compared):
        for difference, steps in compared:
            n_steps += steps
            if difference is not None:
                break
            n_episodes += 1
    return Verification(n_episodes, n_steps, time.perf_counter() - started, difference, changed)


def changed_setup(recording: Recording, make: Make = open_environment) -> list[str]:
    """A line for each package whose version differs from a recorded one, and one if the environment is made otherwise.

    They are the usual causes of a difference.
    """
    recorded: dict[str, set[str]] = {}
    for episode in recording:
        for package, version in episode.provenance.get("versions", {}).items():
            recorded.setdefault(package, set()).add(version)
    lines = [
        f"{package}: recorded with {', '.join(sorted(versions))}, installed {installed_version(package) or 'none'}"
        for package, versions in recorded.items()
        if versions != {installed_version(package)}
    ]
    with make_env(recording, make) as env:
        found, expected = spec_json(env), recording.header.env_spec
    if expected is not None and (found is None or json.loads(found) != json.loads(expected)):
        lines.append(f"environment {recording.env_id}: made with other settings or wrappers than when it was recorded")
    return lines


def make_env(recording: Recording, make: Make = open_environment) -> gym.Env[Any, Any]:
    """A new environment like the recorded one; `InputError` when it cannot be made."""
    try:
        return make(recording.env_id, recording.env_kwargs)
    except InputError as error:
        raise InputError(f"{recording.path}: its environment cannot be made: {error}") from error


def _in_turn(recording: Recording, make: Make, on_step: OnStep) -> Comparing:
    n_steps = 0
    with make_env(recording, make) as env:
        for episode in recording:
            yield _compared(episode, env, make, _progress(on_step, episode.index, n_steps))
            n_steps += episode.n_steps


def _at_once(recording: Recording, make: Make, on_step: OnStep, workers: int) -> Comparing:
    n_steps = 0
    compare = partial(_compared_elsewhere, recording.path, make)
    with processes(min(workers, len(recording))) as pool:
        for index, compared in enumerate(pool.map(compare, range(len(recording)))):
            if compared[0] is not None:
                break
            n_steps += compared[1]
            on_step(index + 1, n_steps)
            yield compared
        else:
            return
    with closing(_in_turn(recording, make, on_step)) as in_turn:
        yield from islice(in_turn, index, None)


def _compared(episode: Episode, env: gym.Env[Any, Any], make: Make, on_frame: OnFrame) -> Compared:
    difference = first_difference(episode, env, on_frame)
    if difference is not None:
        with make_env(episode.recording, make) as new:
            difference = first_difference(episode, new)
    return difference, episode.n_steps if difference is None else difference.step or 0


def _compared_elsewhere(path: Path, make: Make, index: int) -> Compared:
    """The same in a process of its own, which keeps its environment."""
    recording, env = _opened(path, make)
    return _compared(recording[index], env, make, lambda _: None)


@lru_cache(maxsize=1)
def _opened(path: Path, make: Make) -> tuple[Recording, gym.Env[Any, Any]]:
    recording = Recording(path)
    return recording, make_env(recording, make)


def _progress(on_step: OnStep, episodes: int, steps: int) -> OnFrame:
    """Tells `on_step` of each frame, after so many episodes and steps."""

    def tell(replayed: Replayed) -> None:
        on_step(episodes, steps + replayed.t)

    return tell
