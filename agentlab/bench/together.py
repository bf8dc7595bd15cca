"""What strategies that are left on cost a fit that they do not help: hard clusters, fixed norm, and all at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentlab.bench.fits import Fit, fitted_side_by_side
from agentlab.bench.labelled_games import recorded
from agentlab.bench.pairs import draw_gaps, gap_pp, read, share, with_interval
from agentlab.extractor import StrategicSeams
from agentlab.progress import Progress
from agentlab.recipe import ExtractorConfig, Strategies

GAMES = ("Breakout", "MsPacman")
PLAIN = "no strategy"
USED: Mapping[str, Strategies] = {
    PLAIN: Strategies(),
    "hard clusters": Strategies(("hard-clusters",)),
    "fixed norm": Strategies(("fixnorm",)),
    "hard clusters, mode choice, fixed norm": Strategies(("hard-clusters", "mode-choice", "fixnorm")),
}


def measure(out: Path, *, frames: int, seeds: int, config: ExtractorConfig, progress: Progress) -> dict[str, Any]:
    """Fits two games with each of these and each seed, each fit on a core of its own."""
    recordings = recorded(GAMES, 2 * frames // 5, out / "frames", progress)
    cases = [(game, seed, name) for game in recordings for seed in range(seeds) for name in USED]
    fits = [_fit(out, recordings[game].path, game, seed, name, config) for game, seed, name in cases]
    games: dict[str, dict[str, list[dict[str, Any]]]] = {game: {name: [] for name in USED} for game in recordings}
    for (game, _, name), result in zip(cases, fitted_side_by_side(fits, "together", progress), strict=True):
        games[game][name].append({part: result[part] for part in ("read", "cost", "seconds")})
    overall = {}
    for name in USED:
        gap, interval = gap_pp(games, name, PLAIN)
        costs = {part: share(games, name, PLAIN, part) for part in ("cost", "seconds")}
        overall[name] = {"read": read(games, name), "gap_pp": gap, "gap_pp_ci95": interval, **costs}
    return {"seeds": seeds, "games": games, "overall": overall}


def _fit(out: Path, recording: Path, game: str, seed: int, name: str, config: ExtractorConfig) -> Fit:
    strategies = USED[name]
    path = out / "together" / game / f"{'+'.join(strategies.use) or 'none'}-{seed}.json"
    return Fit(path, recording, config, StrategicSeams(strategies), seed)


def table(found: Mapping[str, Any]) -> str:
    """The measurement as lines for people."""
    lines = [
        f"together: labels read on held-out episodes of {' and '.join(found['games'])}, seeds: {found['seeds']}; "
        "medians, and 95% intervals of differences in percentage points",
        f"{'strategies':<40}{'read':>9}{'against none':>26}{'cost':>7}{'time':>7}",
    ]
    for name, row in found["overall"].items():
        lines.append(
            f"{name:<40}{row['read']:>8.2f}%{with_interval(row, 'gap_pp'):>26}{row['cost']:>7.2f}{row['seconds']:>7.2f}"
        )
    return "\n".join(lines)


def plot(found: Mapping[str, Any], path: Path) -> None:
    """A row for what was used: how far the share read is from that without, a dot a fit."""
    rows = {
        f"{name}: {row['seconds']:.0%} of the time": name for name, row in found["overall"].items() if name != PLAIN
    }
    draw_gaps(path, found["games"], rows, PLAIN, "percentage points against no strategy")
