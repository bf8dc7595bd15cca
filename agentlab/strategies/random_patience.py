"""When to stop looking for a better network: a patience drawn at random and tied to the number of rounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

LEAST_RATIO, GREATEST_RATIO = 0.7, 0.9


class RandomPatience:
    """Stops a search over rounds once it has not got better for a number of rounds in a row that was drawn at random.

    A round trains one instance of a network to convergence and scores it on validation data, higher being better. The
    patience is `max(1, round(e^p * ratio * rounds))`, halves up, with p = ln U drawn once from a generator of its own
    (CN115495998A). While the patience exceeds the rounds left, the number of rounds is raised, to `max_rounds` at most.

    >>> import torch
    >>> from agentlab.strategies import RandomPatience
    >>> x = torch.linspace(-1, 1, 64)[:, None]
    >>> patience = RandomPatience(rounds=10, ratio=0.8, seed=0)
    >>> while not patience.is_exhausted:
    ...     width = 2 + patience.rounds_done
    ...     net = torch.nn.Sequential(torch.nn.Linear(1, width), torch.nn.GELU(), torch.nn.Linear(width, 1))
    ...     optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    ...     for _ in range(50):
    ...         optimizer.zero_grad()
    ...         loss = (net(x) - x.sin()).square().mean()
    ...         loss.backward()
    ...         _ = optimizer.step()
    ...     _ = patience.after_round(-loss.item())  # says whether to stop
    >>> patience.best_round <= patience.rounds_done <= patience.rounds <= patience.max_rounds
    True
    """

    def __init__(
        self,
        rounds: int,
        ratio: float = 0.8,
        seed: int = 0,
        max_rounds: int | None = None,
        *,
        p: float | None = None,
        ties_count_as_misses: bool = False,
    ) -> None:
        """`max_rounds`: twice the `rounds` unless given; `p`: in place of the one drawn from the seed.

        A score that equals the best is not a miss unless `ties_count_as_misses`: where scores reach a ceiling, as
        100%, the search would else go on to `max_rounds`. Raises `ValueError` for a ratio outside 0.7 to 0.9, for p
        above 0 or NaN, for fewer than one round and for `max_rounds` below `rounds`.
        """
        max_rounds = 2 * rounds if max_rounds is None else max_rounds
        if rounds < 1:
            raise ValueError(f"rounds: expected at least 1, found {rounds}")
        if max_rounds < rounds:
            raise ValueError(f"max_rounds: expected at least the {rounds} rounds, found {max_rounds}")
        if not LEAST_RATIO <= ratio <= GREATEST_RATIO:
            raise ValueError(f"ratio: expected {LEAST_RATIO} to {GREATEST_RATIO}, found {ratio}")
        if p is None:
            p = math.log(1.0 - np.random.default_rng(seed).random())
        elif not p <= 0:
            raise ValueError(f"p: expected at most 0, found {p}")
        self.p = p
        self.patience = max(1, math.floor(math.exp(p) * ratio * rounds + 0.5))
        self.rounds, self.max_rounds = rounds, max_rounds
        self.rounds_done = self.misses = 0
        self._best_round: int | None = None
        self._best_score = -math.inf
        self._ties_count_as_misses = ties_count_as_misses

    @property
    def best_round(self) -> int:
        """The number of the round with the highest score, the first being 0.

        Raises `ValueError` when no round has a score: none was run, or all failed.
        """
        if self._best_round is None:
            raise ValueError(f"best round: expected one round with a score, found none among {self.rounds_done}")
        return self._best_round

    @property
    def best_score(self) -> float:
        """The score of the best round; errors as those of `best_round`."""
        self.best_round  # noqa: B018
        return self._best_score

    @property
    def is_exhausted(self) -> bool:
        """Whether the search is to stop."""
        return self.misses >= self.patience or self.rounds_done >= self.rounds

    def after_round(self, score: float) -> bool:
        """Counts a round with its validation score, NaN if it failed; says whether to stop."""
        is_better = math.isfinite(score) and score > self._best_score
        is_tie = math.isfinite(score) and score == self._best_score
        if is_better:
            self._best_round, self._best_score = self.rounds_done, float(score)
        self.misses = 0 if is_better or (is_tie and not self._ties_count_as_misses) else self.misses + 1
        self.rounds_done += 1
        if self.patience > self.rounds - self.rounds_done:
            self.rounds = min(self.rounds_done + self.patience, self.max_rounds)
        return self.is_exhausted

    def state_dict(self) -> dict[str, Any]:
        """All that it has drawn and counted, as plain numbers."""
        return {
            "p": self.p,
            "patience": self.patience,
            "rounds": self.rounds,
            "max_rounds": self.max_rounds,
            "rounds_done": self.rounds_done,
            "misses": self.misses,
            "ties_count_as_misses": self._ties_count_as_misses,
            "best_round": self._best_round,
            "best_score": None if self._best_round is None else self._best_score,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state_dict` was taken, with the patience that was drawn there."""
        self.p, self.patience = state["p"], state["patience"]
        self.rounds, self.max_rounds = state["rounds"], state["max_rounds"]
        self.rounds_done, self.misses = state["rounds_done"], state["misses"]
        self._ties_count_as_misses = state["ties_count_as_misses"]
        self._best_round = state["best_round"]
        self._best_score = -math.inf if self._best_round is None else state["best_score"]
