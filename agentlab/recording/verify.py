"""Re-steps recorded episodes in a new environment and finds the first thing that differs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np

from agentlab.artefact import sha256
from agentlab.environment import open_environment
from agentlab.errors import InputError
from agentlab.recording.frames import Frame, frame_hash, is_intact_png
from agentlab.recording.header import episode_file, spec_json
from agentlab.recording.progress import OnStep, silent
from agentlab.recording.provenance import installed_version
from agentlab.recording.reader import Episode, Recording
from agentlab.recording.writer import ENDED_BY_ENVIRONMENT

Make: TypeAlias = Callable[[str, dict[str, Any]], gym.Env[Any, Any]]
"""Makes the environment of an id with these arguments."""


@dataclass(frozen=True)
class Difference:
    """The first thing in which a replay differs from its recording.

    `step` counts frames for the fields "frame" and "labels.*" (0: the frame of reset), steps for the others, and is
    `None` for the file as a whole. The frames are there where they exist, for looking at side by side.
    """

    episode: int
    step: int | None
    field: str
    recorded: Any
    found: Any
    recorded_frame: Frame | None = None
    found_frame: Frame | None = None

    def __str__(self) -> str:
        step = "" if self.step is None else f", step {self.step}"
        return f"episode {self.episode}{step}, field {self.field!r}: recorded {self.recorded}, found {self.found}"


@dataclass(frozen=True)
class Verification:
    """How many episodes and steps were compared in how long, the first difference, and what is not as when recorded."""

    episodes: int
    steps: int
    seconds: float
    difference: Difference | None
    changed_setup: list[str]


@dataclass(frozen=True)
class Replayed:
    """Frame t of a replay, and for t > 0 what the step to it gave."""

    t: int
    frame: Frame
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]


OnFrame: TypeAlias = Callable[[Replayed], None]


def _ignore(replayed: Replayed) -> None:
    """Looks at no frame."""


def _progress(on_step: OnStep, episodes: int, steps: int) -> OnFrame:
    """Tells `on_step` of each frame, after so many episodes and steps."""
    return lambda replayed: on_step(episodes, steps + replayed.t)


def verify(
    recording: Recording,
    *,
    make: Make = open_environment,
    on_step: OnStep = silent,
) -> Verification:
    """Replays every episode in an environment of its own and compares frames, rewards, end flags and labels.

    Also compares every stored image with its hash and every file with its checksum.

    Raises `InputError` for an empty recording, unreadable files and an environment that cannot be made.
    """
    recording.require_episodes()
    started = time.perf_counter()
    n_steps = 0
    difference = None
    for episode in recording:
        with make_env(recording, make) as env:
            difference = first_difference(episode, env, _progress(on_step, episode.index, n_steps))
        if difference is not None:
            n_steps += difference.step or 0
            break
        n_steps += episode.n_steps
    n_episodes = episode.index + (difference is None)
    seconds = time.perf_counter() - started
    return Verification(n_episodes, n_steps, seconds, difference, changed_setup(recording, make))


def first_difference(episode: Episode, env: gym.Env[Any, Any], on_frame: OnFrame = _ignore) -> Difference | None:
    """The first thing in which a replay of `episode` in `env` differs; `on_frame` gets each frame that does not."""
    recorded = _Recorded(episode)
    n_replayed = 0
    for replayed in replay(episode, env):
        difference = recorded.difference(replayed)
        if difference is not None:
            return difference
        on_frame(replayed)
        n_replayed += 1
    if n_replayed < episode.n_frames:
        step = n_replayed - 1
        return Difference(episode.index, step, "action", episode.actions[step], f"no action of {env.action_space}")
    return recorded.file_difference()


def replay(episode: Episode, env: gym.Env[Any, Any]) -> Iterator[Replayed]:
    """Steps `env` with the recorded seed and actions, up to the first action that it does not have."""
    frame, info = env.reset(seed=episode.seed, options=episode.options)
    yield Replayed(0, frame, 0.0, False, False, info)
    for t, action in enumerate(episode.actions, start=1):
        if not env.action_space.contains(action):
            return
        frame, reward, terminated, truncated, info = env.step(action)
        yield Replayed(t, frame, float(reward), bool(terminated), bool(truncated), info)


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


class _Recorded:
    """An episode's columns, read once, to compare a replay with."""

    def __init__(self, episode: Episode) -> None:
        self._episode = episode
        self._hashes = [value.tobytes() for value in episode.frame_hashes]
        self._rewards = episode.rewards
        self._terminations = episode.terminations
        self._truncations = episode.truncations.copy()
        if episode.provenance.get("ended_by") != ENDED_BY_ENVIRONMENT:
            self._truncations[-1] = False
        self._labels = episode.recorded_labels

    def difference(self, replayed: Replayed) -> Difference | None:
        return self._step_difference(replayed) or self._frame_difference(replayed) or self._label_difference(replayed)

    def _step_difference(self, replayed: Replayed) -> Difference | None:
        if replayed.t == 0:
            return None
        step = replayed.t - 1
        compared = (
            ("reward", float(self._rewards[step]), replayed.reward),
            ("terminated", bool(self._terminations[step]), replayed.terminated),
            ("truncated", bool(self._truncations[step]), replayed.truncated),
        )
        for field, recorded, found in compared:
            if recorded != found:
                return self._difference(replayed, step, field, recorded, found)
        return None

    def _frame_difference(self, replayed: Replayed) -> Difference | None:
        """Compares the recorded hash with the replayed frame's, then with that of the frame as it is stored."""
        recorded = self._hashes[replayed.t]
        found: bytes | None = frame_hash(replayed.frame)
        if recorded == found:
            stored = self._stored_frame(replayed.t)
            found = None if stored is None else frame_hash(stored)
        if recorded == found:
            return None
        name = "a garbled image" if found is None else _short(found)
        return self._difference(replayed, replayed.t, "frame", _short(recorded), name)

    def _label_difference(self, replayed: Replayed) -> Difference | None:
        schema = self._episode.recording.label_schema
        if self._labels is None or schema is None:
            return None
        values = replayed.info.get("labels", {})
        found = schema.encode(values, f"{self._episode.recording.env_id}: frame {replayed.t}")
        recorded = self._labels[replayed.t]
        if np.array_equal(recorded, found, equal_nan=True):
            return None
        before, now = schema.decode(recorded), schema.decode(found)
        name = next(name for name in schema if before[name] != now[name])
        return self._difference(replayed, replayed.t, f"labels.{name}", before[name], now[name])

    def _difference(self, replayed: Replayed, step: int, field: str, recorded: Any, found: Any) -> Difference:
        stored = self._stored_frame(replayed.t)
        return Difference(self._episode.index, step, field, recorded, found, stored, replayed.frame)

    def file_difference(self) -> Difference | None:
        """Whether anything else in the file is not as it was written."""
        recorded = self._episode.provenance.get("sha256")
        found = sha256(episode_file(self._episode.recording.path, self._episode.index))
        if recorded == found:
            return None
        return Difference(self._episode.index, None, "part-0.arrow", f"sha256 {recorded}", f"sha256 {found}")

    def _stored_frame(self, t: int) -> Frame | None:
        """The frame as stored, `None` if it is damaged in any byte."""
        if self._episode.recording.stores_png and not is_intact_png(self._episode.encoded_frame(t)):
            return None
        try:
            return self._episode.frame(t)
        except InputError:
            return None


def _short(digest: bytes) -> str:
    return digest.hex()[:12]
