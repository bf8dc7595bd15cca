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
"""Steps around a reward, and from an episode's start, within which the screen shows it."""
STRAY = 0.001
"""How often a scoreboard may change away from rewards, as a share of how often it changes near them."""
SURE = 0.9
"""The least share of rewards that change a scoreboard."""
FEWEST_REWARDS = 5
FEWEST_STEPS_AWAY = 500
"""Rewards, and steps away from any, below which nothing is told."""
ENOUGH_FRAMES = 20_000
FRAMES_AT_ONCE = 256


def scoreboard(episodes: Iterable[Episode]) -> tuple[int, int]:
    """How many rows from the upper and the lower edge change when rewards are paid or lives change, and only then.

    Digits that early play never shows would mislead a network that sees them, so it doesn't. Rewards tell them, not
    labels; a screen without such rows gives none. Looks at no further episode after 20,000 frames.
    """
    changes = _Changes()
    for episode in episodes:
        changes.add(episode)
        if changes.n_near + changes.n_away >= ENOUGH_FRAMES:
            break
    if len(changes.at_reward) < FEWEST_REWARDS or changes.n_away < FEWEST_STEPS_AWAY:
        return 0, 0
    strays = changes.away / changes.n_away > STRAY * changes.near / changes.n_near
    changing, at_reward = changes.near > 0, np.array(changes.at_reward)
    return _rows(strays, changing, at_reward), _rows(strays[::-1], changing[::-1], at_reward[:, ::-1])


def _rows(strays: Mask, changing: Mask, at_reward: Mask) -> int:
    """How many rows from the first on a scoreboard has: to the last that is `changing`, before any that strays.

    `strays` `(height,)`: which rows change at other times too; `at_reward` `(n_rewards, height)`: which change at each.
    """
    n_rows = min(int(np.argmax(np.append(strays, True))), int(EDGE * len(strays)))
    if at_reward[:, :n_rows].any(axis=1).mean() < SURE:
        return 0
    return int(np.flatnonzero(changing[:n_rows])[-1]) + 1


class _Changes:
    """How often each row differs from the frame before, near rewards and changes of lives, and away from them."""

    def __init__(self) -> None:
        self.near: npt.NDArray[np.int64] = np.zeros(1, np.int64)
        self.away: npt.NDArray[np.int64] = np.zeros(1, np.int64)
        self.n_near = self.n_away = 0
        self.at_reward: list[Mask] = []
        """For each reward, which rows changed near it."""

    def add(self, episode: Episode) -> None:
        changed = _changed_rows(episode)
        rewards = np.flatnonzero(episode.rewards).tolist()
        is_near = np.zeros(len(changed), np.bool_)
        is_near[:NEAR] = True
        for step in (*rewards, *_changes_of_lives(episode)):
            is_near[_around(step)] = True
        self.near, self.away = self.near + changed[is_near].sum(axis=0), self.away + changed[~is_near].sum(axis=0)
        self.n_near, self.n_away = self.n_near + int(is_near.sum()), self.n_away + int((~is_near).sum())
        self.at_reward += [np.logical_or.reduce(changed[_around(step)], axis=0) for step in rewards]


def _around(step: int) -> slice:
    return slice(max(0, step - NEAR), step + NEAR + 1)


def _changed_rows(episode: Episode) -> Mask:
    """Which rows differ from those of the frame before, `(n_steps, height)`."""
    parts = [np.zeros((0, episode.recording.frame_shape[0]), np.bool_)]
    for first in range(0, episode.n_steps, FRAMES_AT_ONCE):
        frames = episode.frames(np.arange(first, min(first + FRAMES_AT_ONCE, episode.n_steps) + 1))
        differs = frames[1:] != frames[:-1]
        parts.append(differs.reshape(*differs.shape[:2], -1).any(axis=2))
    return np.concatenate(parts)


def _changes_of_lives(episode: Episode) -> list[int]:
    if "lives" not in episode.info(0):
        return []
    lives = np.array([float(episode.info(t).get("lives") or 0) for t in range(episode.n_frames)])
    return np.flatnonzero(np.diff(lives)).tolist()
