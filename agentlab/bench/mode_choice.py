"""What choosing the mode while training costs and gains: time to a target beside each fixed mode, in one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from agentlab.bench.drawing import BLUE, GREY, drawn
from agentlab.bench.fits import fitted, kept
from agentlab.bench.labelled_games import recorded
from agentlab.extractor import StrategicSeams
from agentlab.extractor.learner import Seams
from agentlab.progress import Progress
from agentlab.recipe import ExtractorConfig, Strategies

FIXED = ("float32", "bfloat16")
CHOSEN = "mode choice"
GAMES = ("Pong", "Seaquest")
SLACK = 1.02
"""The target is the worst end of the fixed modes, and so much more: all that is useful reaches it."""


def measure(out: Path, *, frames: int, seeds: int, config: ExtractorConfig, progress: Progress) -> dict[str, Any]:
    """Fits two games with each fixed mode and with mode choice, in turn, and takes the seconds until the held-out loss
    reaches a target.

    The target of a game and seed is the highest loss that the fixed modes end with, and 2% more. A mode's first point
    at or below it counts.
    """
    recordings = recorded(GAMES, 2 * frames // 5, out / "frames", progress)
    cases = []
    for game, recording in recordings.items():
        for seed in range(seeds):
            runs = {name: _fit(out, game, recording, name, seed, config, progress) for name in (*FIXED, CHOSEN)}
            target = SLACK * max(runs[name]["timeline"][-1][1] for name in FIXED)
            times = {name: _time_to(run["timeline"], target) for name, run in runs.items()}
            best = min(times[name] for name in FIXED)
            comparisons = runs[CHOSEN]["strategies"]["mode-choice"]["comparisons"]
            cases.append(
                {
                    "game": game,
                    "seed": seed,
                    "seconds_to_target": times,
                    "against_best": times[CHOSEN] / best,
                    "best": min(FIXED, key=lambda name: times[name]),
                    "chosen": runs[CHOSEN]["strategies"]["mode-choice"]["mode"],
                    "probing": sum(each["seconds"] for each in comparisons) / runs[CHOSEN]["seconds"],
                }
            )
    return {"cases": cases, "seeds": seeds}


def _fit(
    out: Path, game: str, recording: Any, name: str, seed: int, config: ExtractorConfig, progress: Progress
) -> dict[str, Any]:
    def make() -> dict[str, Any]:
        progress.say(f"mode-choice: {game}, {name}, seed {seed}")
        if name == CHOSEN:
            return fitted(recording, config, StrategicSeams(Strategies(("mode-choice",))), seed, progress)
        return fitted(recording, replace(config, precision=name), Seams(), seed, progress)  # type: ignore[arg-type]

    return kept(out / "mode-choice" / game / f"{name.replace(' ', '-')}-{seed}.json", make)


def _time_to(timeline: Sequence[Sequence[float]], target: float) -> float:
    """The seconds at the first point at or below the target; those of the last if none is."""
    return float(next((seconds for seconds, loss in timeline if loss <= target), timeline[-1][0]))


def table(found: Mapping[str, Any]) -> str:
    lines = [
        f"mode choice: seconds until the held-out loss of the worse fixed mode, seeds: {found['seeds']}",
        f"{'game':<12}{'seed':>5}"
        + "".join(f"{name:>14}" for name in (*FIXED, CHOSEN))
        + f"{'against best':>14}{'chosen':>12}{'probing':>10}",
    ]
    for case in found["cases"]:
        times = "".join(f"{case['seconds_to_target'][name]:>14.1f}" for name in (*FIXED, CHOSEN))
        lines.append(
            f"{case['game']:<12}{case['seed']:>5}{times}{case['against_best']:>13.2f}x{case['chosen']:>12}{case['probing']:>10.1%}"
        )
    ratios = [case["against_best"] for case in found["cases"]]
    probing = [case["probing"] for case in found["cases"]]
    right = sum(case["chosen"] == case["best"] for case in found["cases"])
    lines.append(
        f"against the best fixed mode: median {np.median(ratios):.2f}x; probing {np.median(probing):.1%} "
        f"of the time; the faster mode chosen in {right} of {len(ratios)}"
    )
    return "\n".join(lines)


def plot(found: Mapping[str, Any], path: Path) -> None:
    """A row a case: seconds to the target in each mode."""
    cases = found["cases"]
    with drawn(path, 8, 0.8 + 0.35 * len(cases)) as axes:
        for place, case in enumerate(reversed(cases)):
            for name, marker in (("float32", "s"), ("bfloat16", "^"), (CHOSEN, "o")):
                colour = BLUE if name == CHOSEN else GREY
                axes.plot(
                    case["seconds_to_target"][name], place, marker, color=colour, label=name if place == 0 else None
                )
        axes.set_yticks(range(len(cases)), [f"{case['game']}, seed {case['seed']}" for case in reversed(cases)])
        axes.set(xlabel="seconds until the held-out loss is reached", xlim=(0, None))
        axes.legend(frameon=False)
