"""Random actions in between, each held for a while, at different rates in different environments."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from agentlab.holding import hold_lengths, mean_hold

LADDER = 8
"""The boldest environment explores at the exploration rate, the shyest at this power of it (arXiv 1803.00933)."""


class HeldExploration:
    """Puts random actions among chosen ones, each held for a random number of steps (arXiv 2006.01782)."""

    def __init__(self, n_envs: int, n_actions: int, longest_hold: int, seed: int | None) -> None:
        self.generator = np.random.default_rng(seed)
        self._n_actions, self._longest_hold = n_actions, longest_hold
        self._powers = np.linspace(1, LADDER, n_envs) if n_envs > 1 else np.array([(1 + LADDER) / 2])
        self._held_for, self._held = np.zeros((2, n_envs), np.int64)

    def explore(self, actions: npt.NDArray[Any], rate: float) -> npt.NDArray[Any]:
        """The actions `(n_envs,)`, but in a share of the steps, `rate` in the boldest environment, random ones."""
        rates = rate**self._powers
        n_envs = len(rates)
        beginning = rates / (rates + (1 - rates) * mean_hold(self._longest_hold))
        begins = (self._held_for == 0) & (self.generator.random(n_envs) < beginning)
        lengths = hold_lengths(self.generator, n_envs, self._longest_hold)
        drawn = self.generator.integers(self._n_actions, size=n_envs)
        self._held = np.where(begins, drawn, self._held)
        self._held_for = np.where(begins, lengths, self._held_for)
        astray: npt.NDArray[Any] = np.where(self._held_for > 0, self._held, actions)
        self._held_for = np.maximum(self._held_for - 1, 0)
        return astray
