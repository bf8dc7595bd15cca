"""Fits of several games, methods and seeds beside each other, pair by pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from agentlab.bench.drawing import BLUE, GREY, drawn
from agentlab.statistics import bootstrap_interval

Outcome: TypeAlias = Mapping[str, Any]
"""What `fits.fitted` gives of a fit."""
Games: TypeAlias = Mapping[str, Mapping[str, Sequence[Outcome]]]
"""Results by game, method and seed."""


def paired(games: Games, method: str, other: str, compared: Callable[[Outcome, Outcome], float]) -> list[list[float]]:
    """A method's fits beside another's with the same seeds, a list a game."""
    return [[compared(run, its) for run, its in zip(runs[method], runs[other], strict=True)] for runs in games.values()]


def difference_pp(run: Outcome, its: Outcome) -> float:
    """How many percentage points more of the labels are read."""
    return float(100 * (run["read"] - its["read"]))


def gap_pp(games: Games, method: str, other: str) -> tuple[float, list[float] | None]:
    """The median difference over games and seeds, with its 95% interval; none for fewer than two seeds."""
    gaps = paired(games, method, other, difference_pp)
    if min(map(len, gaps)) < 2:
        return float(np.median(gaps)), None
    low, high = bootstrap_interval(*gaps, statistic=lambda drawn: np.median(drawn, axis=-1))
    return float(np.median(gaps)), [low, high]


def share(games: Games, method: str, other: str, name: str) -> float:
    """The median over games and seeds of how many times the other's a number is."""
    return float(np.median(paired(games, method, other, lambda run, its: run[name] / its[name])))


def read(games: Games, method: str) -> float:
    """The median share of labels read, in per cent."""
    return float(np.median([100 * run["read"] for runs in games.values() for run in runs[method]]))


def with_interval(row: Mapping[str, Any], name: str) -> str:
    """A number of a row and its interval, as `+0.10 (-0.05 to +0.20)`."""
    interval = row[f"{name}_ci95"]
    return f"{row[name]:+.2f}" + (f" ({interval[0]:+.2f} to {interval[1]:+.2f})" if interval else "")


def draw_gaps(path: Path, games: Games, rows: Mapping[str, str], other: str, unit: str) -> None:
    """Draws a row a method, by what the row is called: how far the share read is from another's, a dot a fit."""
    with drawn(path, 8, 0.9 + 0.45 * len(rows)) as axes:
        for place, method in enumerate(rows.values()):
            gaps = np.concatenate(paired(games, method, other, difference_pp))
            axes.plot(gaps, [place] * len(gaps), "o", color=GREY, alpha=0.5, markersize=5)
            axes.plot(np.median(gaps), place, "|", color=BLUE, markersize=16, markeredgewidth=2.5)
        axes.axvline(0, color=GREY, linewidth=1)
        axes.set_yticks(range(len(rows)), list(rows))
        axes.invert_yaxis()
        axes.set_xlabel(f"share of labels read, {unit}")
