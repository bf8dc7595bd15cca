"""What choosing the mode while training costs and gains: time to a target beside each fixed mode, in one run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agentlab.bench.drawing import BLUE, GREY, drawn
from agentlab.bench.fits import Fit, fitted
from agentlab.bench.labelled_games import recorded
from agentlab.extractor import StrategicSeams
from agentlab.extractor.learner import Seams
from agentlab.progress import Progress
from agentlab.recipe import ExtractorConfig, Strategies

FIXED = ("float32", "bfloat16")
CHOSEN = "mode choice"
GAMES = ("Pong", "Seaquest")
EPOCHS = 4
"""Passes of a fit, few because one is made at a time."""
SLACK = 1.1
"""The target is the worst end of the fixed modes, and so much more: all that is useful reaches it."""
RESAMPLES = 10_000


def measure(out: Path, *, frames: int, seeds: int, config: ExtractorConfig, progress: Progress) -> dict[str, Any]:
    """Fits two games with each fixed mode and with mode choice, in turn, and takes the seconds until the held-out loss
    reaches a target.

    The target of a game and seed is the highest loss that the fixed modes end with, and a tenth more. Which one is
    fitted first changes from seed to seed. The best fixed mode of a game is, in hindsight, that of the lower median.
    """
    recordings = recorded(GAMES, 2 * frames // 5, out / "frames", progress)
    config = replace(config, epochs=min(EPOCHS, config.epochs))
    names = (*FIXED, CHOSEN)
    cases: list[dict[str, Any]] = []
    for game, recording in recordings.items():
        for seed in range(seeds):
            in_turn = [*names[seed % 3 :], *names[: seed % 3]]
            runs = {name: _fit(out, game, recording, name, seed, config, progress) for name in in_turn}
            cases.append({"game": game, "seed": seed, **_timed(runs)})
    games = {game: _against_best([case for case in cases if case["game"] == game]) for game in GAMES}
    return {"cases": cases, "seeds": seeds, "games": games}


def _timed(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The seconds to the target of each run, and what the choice cost."""
    target = SLACK * max(runs[name]["timeline"][-1][1] for name in FIXED)
    entry = runs[CHOSEN]["strategies"]["mode-choice"]
    return {
        "seconds_to_target": {name: _time_to(run["timeline"], target) for name, run in runs.items()},
        "chosen": entry["mode"],
        "probing": sum(each["seconds"] for each in entry["comparisons"]) / runs[CHOSEN]["seconds"],
    }


def _against_best(cases: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many times the median seconds of the best fixed mode the choice takes, with a 95% interval over seeds."""
    seconds = np.array([[case["seconds_to_target"][name] or math.inf for name in (*FIXED, CHOSEN)] for case in cases])
    drawn_seeds = np.random.default_rng(0).integers(len(cases), size=(RESAMPLES, len(cases)))
    interval = np.quantile(_ratio(seconds[drawn_seeds]), (0.025, 0.975), method="nearest").tolist()
    return {
        "best": FIXED[int(np.median(seconds, axis=0)[: len(FIXED)].argmin())],
        "against_best": _finite(_ratio(seconds[None])[0]),
        "against_best_ci95": list(map(_finite, interval)) if len(cases) > 1 else None,
    }


def _finite(ratio: float) -> float | None:
    """None for a target that is never reached."""
    return float(ratio) if math.isfinite(ratio) else None


def _ratio(seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Of each `(seeds, modes)` of seconds, the choice last, its median by that of the best fixed mode."""
    medians = np.median(seconds, axis=1)
    ratios: npt.NDArray[np.float64] = medians[:, -1] / medians[:, :-1].min(axis=1)
    return ratios


def _fit(
    out: Path, game: str, recording: Any, name: str, seed: int, config: ExtractorConfig, progress: Progress
) -> dict[str, Any]:
    path = out / "mode-choice" / game / f"{name.replace(' ', '-')}-{seed}.json"
    if name == CHOSEN:
        seams = StrategicSeams(Strategies(("mode-choice",)))
        return fitted(Fit(path, recording.path, config, seams, seed), progress)
    in_mode = replace(config, precision=name)  # type: ignore[arg-type]
    return fitted(Fit(path, recording.path, in_mode, Seams(), seed), progress)


def _time_to(timeline: Sequence[Sequence[float]], target: float) -> float | None:
    """The seconds at which the loss comes down to the target, between the points by a straight line; None if never."""
    before_s, before = 0.0, math.inf
    for seconds, loss in timeline:
        if loss <= target:
            if not math.isfinite(before):
                return float(seconds)
            return float(before_s + (seconds - before_s) * (before - target) / (before - loss))
        before_s, before = seconds, loss
    return None


def table(found: Mapping[str, Any]) -> str:
    """The measurement as lines for people."""
    names = (*FIXED, CHOSEN)
    lines = [
        f"mode choice: seconds until the held-out loss of the worse fixed mode, seeds: {found['seeds']}",
        f"{'game':<12}{'seed':>5}" + "".join(f"{name:>14}" for name in names) + f"{'chosen':>12}{'probing':>10}",
    ]
    for case in found["cases"]:
        times = "".join(f"{_shown(case['seconds_to_target'][name], '.1f'):>14}" for name in names)
        lines.append(f"{case['game']:<12}{case['seed']:>5}{times}{case['chosen']:>12}{case['probing']:>10.1%}")
    for game, row in found["games"].items():
        interval = row["against_best_ci95"]
        within = f" ({_shown(interval[0], '.2f')} to {_shown(interval[1], '.2f')})" if interval else ""
        right = sum(case["chosen"] == row["best"] for case in found["cases"] if case["game"] == game)
        lines.append(
            f"{game}: {_shown(row['against_best'], '.2f')}x{within} the time of {row['best']}, the best fixed mode, "
            f"which was chosen in {right} of {found['seeds']}"
        )
    probing = np.median([case["probing"] for case in found["cases"]])
    return "\n".join([*lines, f"probing: {probing:.1%} of the time (median)"])


def _shown(value: float | None, format_: str) -> str:
    return "never" if value is None else format(value, format_)


def plot(found: Mapping[str, Any], path: Path) -> None:
    """A row a case: seconds to the target in each mode."""
    cases = found["cases"]
    with drawn(path, 8, 0.8 + 0.35 * len(cases)) as axes:
        for place, case in enumerate(reversed(cases)):
            for name, marker in (("float32", "s"), ("bfloat16", "^"), (CHOSEN, "o")):
                colour = BLUE if name == CHOSEN else GREY
                seconds = case["seconds_to_target"][name]
                at = math.nan if seconds is None else seconds
                axes.plot(at, place, marker, color=colour, label=name if place == 0 else None)
        axes.set_yticks(range(len(cases)), [f"{case['game']}, seed {case['seed']}" for case in reversed(cases)])
        axes.set(xlabel="seconds until the held-out loss is reached", xlim=(0, None))
        axes.legend(frameon=False)
