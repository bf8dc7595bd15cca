"""What hard clusters are worth: the share of labels read at half the cost, beside full data and other ways to save."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from agentlab.bench.fits import Fit, fitted_side_by_side
from agentlab.bench.labelled_games import GAMES, recorded
from agentlab.bench.pairs import Games, draw_gaps, gap_pp, read, share, with_interval
from agentlab.bench.rivals import RS2, InfoBatch, SelectiveBackprop
from agentlab.extractor import StrategicSeams
from agentlab.extractor.dataset import FrameDataset
from agentlab.extractor.learner import Learner, Seams, StageRunner, StageSampler
from agentlab.progress import Progress
from agentlab.recipe import ExtractorConfig, HardClustersConfig, Strategies

COST = 0.5
SUBSET = 0.1
FLIPPED = 0.05

FULL = "all frames"
METHODS: Mapping[str, Any] = {
    FULL: Seams,
    "hard clusters": lambda: StrategicSeams(Strategies(("hard-clusters",), HardClustersConfig(cost=COST))),
    "RS2": lambda: RS2(SUBSET, COST),
    "InfoBatch": lambda: InfoBatch(COST),
    "selective backprop": lambda: SelectiveBackprop(COST),
}
FLIPPED_METHODS = ("hard clusters", "RS2")


class Flipped(Seams):
    """Another's seams, on frames of which some have the labels of others."""

    def __init__(self, seams: Seams, share: float) -> None:
        self._seams, self._share = seams, share

    def sampler(self, data: FrameDataset, learner: Learner, config: ExtractorConfig, seed: int) -> StageSampler:
        rng = np.random.default_rng((seed, 0xF11))
        flipped, others = rng.permutation(len(data))[: 2 * int(self._share * len(data))].reshape(2, -1)
        data.labels[flipped] = data.labels[others]
        return self._seams.sampler(data, learner, config, seed)

    def stages(self, data: FrameDataset, learner: Learner) -> StageRunner:
        return self._seams.stages(data, learner)

    def entries(self) -> dict[str, Any]:
        return self._seams.entries()


def measure(out: Path, *, frames: int, seeds: int, config: ExtractorConfig, progress: Progress) -> dict[str, Any]:
    """Fits each game with each method and seed, also with 5% of the labels flipped, all at half the cost of all frames.

    Each method's learning rate decays over its whole budget; each fit has a core of its own.
    """
    recordings = recorded(GAMES, frames, out / "frames", progress)
    ways = [*((method, 0.0) for method in METHODS), *((method, FLIPPED) for method in FLIPPED_METHODS)]
    cases = [(game, seed, *way) for game in recordings for seed in range(seeds) for way in ways]
    fits = [
        _fit(out, recordings[game].path, game, seed, method, flipped, config) for game, seed, method, flipped in cases
    ]
    games: dict[str, dict[str, list[dict[str, Any]]]] = {game: {} for game in recordings}
    for (game, _, method, flipped), result in zip(
        cases, fitted_side_by_side(fits, "hard-clusters", progress), strict=True
    ):
        found = {name: result[name] for name in ("read", "cost", "seconds", "timeline")}
        games[game].setdefault(f"{method}, labels flipped" if flipped else method, []).append(found)
    return {"frames": frames, "seeds": seeds, "cost": COST, "games": games, "overall": _overall(games)}


def _fit(out: Path, recording: Path, game: str, seed: int, method: str, flipped: float, config: ExtractorConfig) -> Fit:
    name = f"{method}{' flipped' if flipped else ''}".replace(" ", "-")
    seams = METHODS[method]()
    path = out / "hard-clusters" / game / f"{name}-{seed}.json"
    return Fit(path, recording, config, Flipped(seams, flipped) if flipped else seams, seed)


def _overall(games: Games) -> dict[str, Any]:
    """Of each method the median share read, in per cent, and over games and seeds how far it is from full data's and
    from RS2's on the same labels, in percentage points with intervals, at which share of full data's cost and time."""
    overall = {}
    for method in next(iter(games.values())):
        gap, gap_ci95 = gap_pp(games, method, FULL)
        rs2, rs2_ci95 = gap_pp(games, method, "RS2, labels flipped" if "flipped" in method else "RS2")
        overall[method] = {
            "read": read(games, method),
            "gap_pp": gap,
            "gap_pp_ci95": gap_ci95,
            "against_rs2_pp": rs2,
            "against_rs2_pp_ci95": rs2_ci95,
            **{name: share(games, method, FULL, name) for name in ("cost", "seconds")},
        }
    return overall


def table(found: Mapping[str, Any]) -> str:
    lines = [
        f"hard clusters: labels read on held-out episodes, {len(found['games'])} games, {found['frames']:,} frames, "
        f"seeds: {found['seeds']}; medians, and 95% intervals of differences in percentage points",
        f"{'method':<36}{'read':>9}{'against all frames':>26}{'against RS2':>26}{'cost':>7}{'time':>7}",
    ]
    for method, row in found["overall"].items():
        against_all, against_rs2 = (with_interval(row, name) for name in ("gap_pp", "against_rs2_pp"))
        lines.append(
            f"{method:<36}{row['read']:>8.2f}%{against_all:>26}{against_rs2:>26}"
            f"{row['cost']:>7.2f}{row['seconds']:>7.2f}"
        )
    return "\n".join(lines)


def plot(found: Mapping[str, Any], path: Path) -> None:
    """A row a method: how far the share read is from that with all frames, a dot a fit."""
    rows = {method: method for method in found["overall"] if method != FULL}
    draw_gaps(
        path, found["games"], rows, FULL, f"percentage points against all frames, at {found['cost']:.0%} of the cost"
    )
