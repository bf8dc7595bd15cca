"""Searching the effective learning rate: a few rates far apart on a small budget, then the top of a parabola."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

POINTS = 5
FIRST_BUDGET = 1 / 3
"""Share of the whole budget that the first points are tried with."""
MOST_WIDENINGS = 3
WHOLE_TRIES = 3
"""Rates tried on the whole budget before these alone say which is the best."""
SAME = 0.02
"""Rates whose logarithms differ by less are one rate."""


@dataclass(frozen=True)
class Attempt:
    """A rate to train with, and the share of the whole budget to do it with."""

    rate: float
    budget: float


@dataclass(frozen=True)
class Result:
    """The score of an attempt, higher being better; NaN if it failed."""

    attempt: Attempt
    score: float


class RateSearch:
    """Which rate to try next, from the results so far: 5 spaced evenly by their logarithms at a third of the budget,
    more beyond the edge while the best lies there, then the top of the parabola of scores over logarithms at the whole
    budget (CN114078195B; FixNorm, arXiv 2103.15345).

    What comes next depends on the results alone, so a search goes on wherever it was interrupted.
    """

    def __init__(self, low: float, high: float, points: int = POINTS) -> None:
        """Raises `ValueError` unless 0 < low < high."""
        if not 0 < low < high < math.inf:
            raise ValueError(f"rates: expected 0 < low < high, found {low} and {high}")
        if points < 3:
            raise ValueError(f"points: expected at least 3, found {points}")
        self._logs = np.linspace(math.log(low), math.log(high), points).tolist()
        self._spacing = self._logs[1] - self._logs[0]

    def next(self, results: Sequence[Result]) -> Attempt | None:
        """The attempt after these, or None when no other rate promises more."""
        first = {_log(result): _score(result) for result in results if result.attempt.budget < 1}
        wanted = list(self._logs)
        for _ in range(MOST_WIDENINGS + 1):
            missing = next((log for log in wanted if _nearest(log, first) is None), None)
            if missing is not None:
                return Attempt(math.exp(missing), FIRST_BUDGET)
            best = max(first, key=lambda log: first[log])
            if first[best] == -math.inf or min(wanted) + SAME < best < max(wanted) - SAME:
                break
            wanted += [min(wanted) - self._spacing if best < wanted[len(wanted) // 2] else max(wanted) + self._spacing]
        if max(first.values()) == -math.inf:
            return None
        whole = {_log(result): _score(result) for result in results if result.attempt.budget >= 1}
        if len(whole) >= WHOLE_TRIES and max(whole.values()) == -math.inf:
            return None
        for log in self._refined(first, whole):
            if _nearest(log, whole) is None:
                return Attempt(math.exp(log), 1.0)
        return None

    def _refined(self, first: dict[float, float], whole: dict[float, float]) -> list[float]:
        """The logarithms of the rates to be tried on the whole budget, in this order."""
        top = _top_of_parabola(first, self._spacing)
        around = [top, top - self._spacing / 2, top + self._spacing / 2]
        if any(_nearest(log, whole) is None for log in around):
            return around
        return [_top_of_parabola(whole, self._spacing / 2)]


def _top_of_parabola(scores: dict[float, float], spacing: float) -> float:
    """Where the parabola through the best point and its neighbours is highest, at most a spacing from the best."""
    finite = {log: score for log, score in scores.items() if math.isfinite(score)}
    best = max(finite, key=lambda log: finite[log])
    near = sorted(finite, key=lambda log: abs(log - best))[:3]
    if len(near) < 3:
        return best
    curvature, slope, _ = np.polyfit(np.array(near) - best, [finite[log] for log in near], 2)
    if curvature >= 0:
        return best
    return best + float(np.clip(-slope / (2 * curvature), -spacing, spacing))


def _log(result: Result) -> float:
    return math.log(result.attempt.rate)


def _score(result: Result) -> float:
    return result.score if math.isfinite(result.score) else -math.inf


def _nearest(log: float, tried: dict[float, float]) -> float | None:
    """The logarithm that was tried and is the same, or None."""
    return next((other for other in tried if abs(other - log) < SAME), None)
