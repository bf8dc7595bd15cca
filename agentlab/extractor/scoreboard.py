"""The rows of a screen that only keep the score, found in recorded play."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from agentlab.recording import Episode

Mask = npt.NDArray[np.bool_]

EDGE = 0.2
"""Share of the rows at the top, and at the bottom, among which a scoreboard is looked for."""
NEAR = 3
"""Steps around a reward within which the screen shows it."""
STRAY = 0.05
"""The largest share of a scoreboard's changes that may come at other times."""
SURE = 0.9
"""The least share of rewards that change a scoreboard."""
FEWEST = 5
"""Rewards, and hundreds of steps away from any, below which nothing is told."""
FRAMES_LOOKED_AT = 20_000
FRAMES_AT_ONCE = 256


def scoreboard(episodes: Iterable[Episode]) -> list[int]:
    """The rows near the upper and lower edge that change when a reward is paid or a life lost, and at no other time.

    Digits that early play never shows would mislead a network that sees them, so it doesn't. Rewards tell them, not
    labels; a screen without such rows gives none. Looks at the first 20,000 frames.
    """
    found = _Changes()
    for episode in episodes:
        found.add(episode)
        if found.n_frames >= FRAMES_LOOKED_AT:
            break
    if min(len(found.at_reward), found.n_quiet // 100) < FEWEST:
        return []
    still = found.quiet <= STRAY * (found.quiet + found.near)
    linked = np.flatnonzero(still & (found.near > 0))
    at_reward, height = np.array(found.at_reward), len(still)
    board: list[int] = []
    for edge in (linked[linked < EDGE * height], linked[linked >= (1 - EDGE) * height]):
        if len(edge) and at_reward[:, edge].any(axis=1).mean() >= SURE:
            board += [row for row in range(int(edge[0]), int(edge[-1]) + 1) if still[row]]
    return board


class _Changes:
    """In which rows frames differ from the ones before, near rewards and lost lives and away from them."""

    def __init__(self) -> None:
        self.near: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        """How often each row changed near them, and how often away from them."""
        self.quiet = self.near
        self.n_quiet = self.n_frames = 0
        self.at_reward: list[Mask] = []
        """For each reward, which rows changed near it."""

    def add(self, episode: Episode) -> None:
        changed = _changed_rows(episode)
        rewards = np.flatnonzero(episode.rewards)
        near = _around(rewards, len(changed)) | _around(_lost_lives(episode), len(changed))
        near[:NEAR] = True
        if not len(self.near):
            self.near = self.quiet = np.zeros(changed.shape[1], np.int64)
        self.near = self.near + changed[near].sum(axis=0)
        self.quiet = self.quiet + changed[~near].sum(axis=0)
        self.n_quiet, self.n_frames = self.n_quiet + int((~near).sum()), self.n_frames + episode.n_frames
        around = (slice(max(0, at - NEAR), at + NEAR + 1) for at in rewards.tolist())
        self.at_reward += [np.logical_or.reduce(changed[steps], axis=0) for steps in around]


def _changed_rows(episode: Episode) -> Mask:
    """Which rows differ from those of the frame before, `(n_steps, height)`."""
    parts = [np.zeros((0, episode.recording.frame_shape[0]), np.bool_)]
    for first in range(0, episode.n_steps, FRAMES_AT_ONCE):
        frames = episode.frames(np.arange(first, min(first + FRAMES_AT_ONCE, episode.n_steps) + 1))
        differs = frames[1:] != frames[:-1]
        parts.append(differs.reshape(*differs.shape[:2], -1).any(axis=2))
    return np.concatenate(parts)


def _around(steps: npt.NDArray[np.int64], n: int) -> Mask:
    near = np.zeros(n, np.bool_)
    for step in steps:
        near[max(0, step - NEAR) : step + NEAR + 1] = True
    return near


def _lost_lives(episode: Episode) -> npt.NDArray[np.int64]:
    lives = np.array([episode.info(t).get("lives", 0) for t in range(episode.n_frames)])
    return np.flatnonzero(np.diff(lives))
