"""Steps a recorded episode again and finds the first thing that differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np

from agentlab.artefact import sha256
from agentlab.recording.episode import Episode
from agentlab.recording.frames import Frame, frame_hash
from agentlab.recording.header import episode_file
from agentlab.recording.writer import ENDED_BY_ENVIRONMENT
from agentlab.spaces import contains


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
    return recorded.file_difference


def replay(episode: Episode, env: gym.Env[Any, Any]) -> Iterator[Replayed]:
    """Steps `env` with the recorded seed and actions, up to the first action that it does not have."""
    frame, info = env.reset(seed=episode.seed, options=episode.options)
    yield Replayed(0, frame, 0.0, False, False, info)
    for t, action in enumerate(episode.actions, start=1):
        if not contains(env.action_space, action):
            return
        frame, reward, terminated, truncated, info = env.step(action)
        yield Replayed(t, frame, float(reward), bool(terminated), bool(truncated), info)


class _Recorded:
    """An episode's columns, read once, to compare a replay with.

    Stored images are decoded and compared with their hashes only where the file is not as it was written.
    """

    def __init__(self, episode: Episode) -> None:
        self._episode = episode
        self._hashes = [value.tobytes() for value in episode.frame_hashes]
        self._rewards = episode.rewards
        self._terminations = episode.terminations
        self._truncations = episode.truncations.copy()
        if episode.provenance.get("ended_by") != ENDED_BY_ENVIRONMENT:
            self._truncations[-1] = False
        self._labels = episode.recorded_labels
        self.file_difference = _file_difference(episode)

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
        recorded = self._hashes[replayed.t]
        found: bytes | None = frame_hash(replayed.frame)
        if recorded == found and self.file_difference is not None:
            stored = self._episode.undamaged_frame(replayed.t)
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
        if recorded.tobytes() == found.tobytes() or np.array_equal(recorded, found, equal_nan=True):
            return None
        before, now = schema.decode(recorded), schema.decode(found)
        name = next(name for name in schema if before[name] != now[name])
        return self._difference(replayed, replayed.t, f"labels.{name}", before[name], now[name])

    def _difference(self, replayed: Replayed, step: int, field: str, recorded: Any, found: Any) -> Difference:
        stored = self._episode.undamaged_frame(replayed.t)
        return Difference(self._episode.index, step, field, recorded, found, stored, replayed.frame)


def _file_difference(episode: Episode) -> Difference | None:
    """Whether the file is not as it was written."""
    recorded = episode.provenance.get("sha256")
    found = sha256(episode_file(episode.recording.path, episode.index))
    if recorded == found:
        return None
    return Difference(episode.index, None, "part-0.arrow", f"sha256 {recorded}", f"sha256 {found}")


def _short(digest: bytes) -> str:
    return digest.hex()[:12]
