"""100,000 agent steps of Atari games, several seeds and one recipe for all games, beside published scores."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agentlab.artefact import META, read_json
from agentlab.bench.drawing import BLUE, GREY, drawn
from agentlab.bench.runs import Runner, finished, recipes_of, settings
from agentlab.evaluate import RANDOM_SHARE
from agentlab.progress import Progress
from agentlab.recipe import Recipe
from agentlab.recording import Recording
from agentlab.runfolder import RunFolder
from agentlab.statistics import Values, bootstrap_interval, iqm

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STAGE_1 = ("record", "fit")

NOTE = (
    "ours fits its eye on labelled frames in stage 1 (and in refreshes), recorded beyond the agent steps counted here, "
    "and its head learns from that recording first if the settings say so (recorded_updates); "
    "the published methods use no labels and no frames but those of their 100,000 steps"
)
EVALUATION = (
    "{episodes} episodes a run, those of Atari games begun with no-op steps, on seeds that training never uses; "
    f"unclipped scores; one action in {1 / RANDOM_SHARE:.0f} at random; training episodes are not counted"
)
MARKS = (("v", "#8f5b00"), ("s", "#1b8a5a"), ("D", "#c2185b"), ("^", "#6a3fb5"), ("P", "#d1481f"))
"""Marker and colour of the published methods in turn."""
SEED: Any = {"marker": "o", "color": BLUE, "markersize": 5, "alpha": 0.6, "linestyle": "none"}
IQM: Any = {"marker": "|", "color": BLUE, "markersize": 16, "markeredgewidth": 2.5, "linestyle": "none"}
RANDOM: Any = {"color": GREY, "linewidth": 1.2, "linestyle": ":"}
HUMAN: Any = {"color": GREY, "linewidth": 1.2, "linestyle": "--"}


def measure(
    games: Sequence[str],
    out: Path,
    *,
    run: Runner,
    progress: Progress,
    recipe: Recipe,
    seeds: int = 5,
) -> dict[str, Any]:
    """Runs the recipe with each game and the seeds 0 to `seeds` - 1 in `out`/GAME/SEED and compares the scores.

    A game is a name such as `Pong` or an id. Finished runs are read and not repeated, so that an interrupted
    measurement goes on. A seed's score is the mean over the evaluation episodes of its run. Raises `InputError` before
    the first run for an unknown game, with the nearest one, for a game named twice, and for a recipe that names
    recordings; later for a run in `out` that was made with other settings.
    """
    recipes = recipes_of(games, recipe, seeds)
    runs: dict[str, list[RunFolder]] = {name: [] for name in recipes}
    for number, (name, seed) in enumerate(((name, seed) for name in recipes for seed in range(seeds)), 1):
        progress.say(f"atari100k: {name}, seed {seed} (run {number} of {len(recipes) * seeds})")
        runs[name].append(finished(replace(recipes[name], seed=seed), out / name / str(seed), run, progress))
    found = {name: _of_game(name, of_game.env, runs[name], len(recipe.refresh.at)) for name, of_game in recipes.items()}
    return {
        "note": NOTE,
        "evaluation": EVALUATION.format(episodes=recipe.evaluate.episodes),
        "steps": recipe.head.total_steps,
        "seeds": seeds,
        "settings": settings(recipe),
        "env_kwargs": {name: dict(of_game.env_kwargs) for name, of_game in recipes.items()},
        "games": found,
        "human_normalised": _of_all_games([game["human_normalised"] for game in found.values()]),
        "published": {"what": _published()["what"], "sources": _published()["sources"]},
    }


def table(found: dict[str, Any]) -> str:
    """The measurement as lines for people."""
    methods = _methods(found)
    lines = [
        f"{found['steps']:,} agent steps, seeds: {found['seeds']}; ours: interquartile mean, times: median",
        f"{'game':<16}{'ours':>9}{'95% interval':>20}{'mean of human':>15}{'random':>9}{'human':>9}"
        + "".join(f"{method:>{len(method) + 5}}" for method in methods),
    ]
    for name, game in found["games"].items():
        interval = " to ".join(_number(bound) for bound in game["ci95"])
        share = "-" if game["human_normalised"] is None else f"{np.mean(game['human_normalised']):.0%}"
        lines.append(
            f"{name:<16}{_number(game['iqm']):>9}{interval:>20}{share:>15}"
            f"{_number(game['random_mean']):>9}{_number(game['human_mean']):>9}"
            + "".join(f"{_number(game['published'].get(method)):>{len(method) + 5}}" for method in methods)
        )
    lines.append(
        f"{'game':<16}{'labelled frames':>17}{'steps with these':>18}{'minutes':>10}{'without stage 1':>17}"
        f"{'steps/s, refreshes too':>24}"
    )
    for name, game in found["games"].items():
        lines.append(
            f"{name:<16}{np.mean(game['labelled_frames']):>17,.0f}{np.mean(game['steps_in_all']):>18,.0f}"
            f"{np.median(game['wall_s']) / 60:>10,.1f}"
            f"{np.median(game['wall_without_stage_1_s']) / 60:>17,.1f}{np.median(game['train_steps_per_s']):>24,.0f}"
        )
    if found["human_normalised"] is not None:
        over_all = found["human_normalised"]
        figures = [
            f"{name} {over_all[key]:.3f} ({over_all[f'{key}_ci95'][0]:.3f} to {over_all[f'{key}_ci95'][1]:.3f})"
            for name, key in (("interquartile mean", "iqm"), ("median", "median"))
        ]
        lines.append(f"human-normalised, games: {over_all['games']}; {', '.join(figures)}")
    return "\n".join([*lines, f"evaluation: {found['evaluation']}", f"note: {found['note']}"])


def plot(found: dict[str, Any], path: Path) -> None:
    """Draws a row a game into an SVG: a dot a seed, their interquartile mean with its interval, published scores."""
    games, n = found["games"], len(found["games"])
    marks = dict(zip(_methods(found), itertools.cycle(MARKS), strict=False))
    in_all = np.mean([game["steps_in_all"] for game in games.values()])
    with drawn(path, 9, 1.1 + 0.62 * n) as axes:
        axes.set_axis_off()
        for place, (name, game) in enumerate(games.items(), 1):
            _draw_game(axes.inset_axes((0.0, 1 - place / n + 0.45 / n, 1.0, 0.5 / n)), name, game, marks)
        _draw_legend(axes, marks, has_human=any(game["human_mean"] is not None for game in games.values()))
        besides = f"ours learns from labelled frames besides, {in_all:,.0f} steps in all"
        axes.set_title(f"Score after {found['steps']:,} agent steps; {besides}", pad=34)


def _of_game(name: str, env_id: str, runs: Sequence[RunFolder], refreshes: int) -> dict[str, Any]:
    """What the runs of a game, one a seed, reached and took; lists have a value a seed.

    Wall time is that until the agent is trained. Published scores are given where those of a human are known: for
    Atari games in their standard mode.
    """
    evaluations = [read_json(run.scores) for run in runs]
    scores = [float(evaluation["mean"]) for evaluation in evaluations]
    normalised = [evaluation["human_normalised"] for evaluation in evaluations]
    seconds = [run.seconds() for run in runs]
    stage_1_s = [sum(taken.get(stage, 0.0) for stage in STAGE_1) for taken in seconds]
    steps = [read_json(run.head / META)["metrics"]["steps"] for run in runs]
    recorded = [_recorded(run, refreshes) for run in runs]
    is_atari = None not in normalised
    return {
        "env": env_id,
        "scores": scores,
        "mean": float(np.mean(scores)),
        "iqm": float(iqm(scores)),
        "ci95": list(bootstrap_interval(scores)),
        "random_mean": float(np.mean([evaluation["random_mean"] for evaluation in evaluations])),
        "human_mean": evaluations[0]["human_mean"],
        "human_normalised": normalised if is_atari else None,
        "published": _published()["games"].get(name, {}) if is_atari else {},
        "labelled_frames": [sum(play.total_frames for play in plays) for plays in recorded],
        "steps_in_all": [n + sum(play.total_steps for play in plays) for n, plays in zip(steps, recorded, strict=True)],
        "wall_s": [before + taken["train"] for before, taken in zip(stage_1_s, seconds, strict=True)],
        "wall_without_stage_1_s": [taken["train"] for taken in seconds],
        "train_steps_per_s": [n / taken["train"] for n, taken in zip(steps, seconds, strict=True)],
    }


def _recorded(run: RunFolder, refreshes: int) -> list[Recording]:
    """The labelled play that the eye was fitted or scored on."""
    refreshed = [run.refresh_recording(number) for number in range(1, refreshes + 1)]
    return [Recording(path) for path in (run.recording, *refreshed)]


def _of_all_games(games: Iterable[Sequence[float] | None]) -> dict[str, Any] | None:
    """Interquartile mean over runs and median over games of human-normalised scores; none where no human's is known.

    Each game is a stratum of the bootstrap.
    """
    strata = [np.asarray(scores, dtype=np.float64) for scores in games if scores is not None]
    if not strata:
        return None

    def median(runs: Values) -> Values:
        of_games = runs.reshape(*runs.shape[:-1], len(strata), -1).mean(axis=-1)
        return np.asarray(np.median(of_games, axis=-1))

    return {
        "games": len(strata),
        "iqm": float(iqm(np.concatenate(strata))),
        "iqm_ci95": list(bootstrap_interval(*strata)),
        "median": float(median(np.concatenate(strata))),
        "median_ci95": list(bootstrap_interval(*strata, statistic=median)),
    }


@cache
def _published() -> dict[str, Any]:
    """Scores that were published for 100,000 agent steps, by game and method, with their sources."""
    content: dict[str, Any] = json.loads((files("agentlab.bench") / "published.json").read_text())
    return content


def _methods(found: Mapping[str, Any]) -> list[str]:
    """The methods that have a published score for one of the games at least."""
    known = found["published"]["sources"]
    return [name for name in known if any(name in game["published"] for game in found["games"].values())]


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.1f}" if abs(value) < 1_000 else f"{value:,.0f}"


def _draw_game(axes: Axes, name: str, game: Mapping[str, Any], marks: Mapping[str, tuple[str, str]]) -> None:
    """The scores of one game on a scale of its own."""
    axes.plot(game["ci95"], (0, 0), color=BLUE, linewidth=6, alpha=0.3, solid_capstyle="butt")
    axes.plot(game["scores"], np.zeros(len(game["scores"])), **SEED)
    axes.plot(game["iqm"], 0, **IQM)
    for method, score in game["published"].items():
        axes.plot(score, 0, **_published_mark(*marks[method]))
    axes.axvline(game["random_mean"], **RANDOM)
    if game["human_mean"] is not None:
        axes.axvline(game["human_mean"], **HUMAN)
    axes.spines["left"].set_visible(False)
    axes.set(ylim=(-1, 1), yticks=[])
    axes.set_ylabel(name, rotation=0, ha="right", va="center")
    axes.margins(x=0.04)
    axes.locator_params(axis="x", nbins=8)
    axes.tick_params(axis="x", labelsize=8, length=2, pad=1)


def _draw_legend(axes: Axes, marks: Mapping[str, tuple[str, str]], *, has_human: bool) -> None:
    from matplotlib.lines import Line2D

    styles = {"ours, a seed": SEED, "ours, IQM": IQM}
    styles |= {method: _published_mark(*mark) for method, mark in marks.items()}
    styles |= {"random": RANDOM} | ({"human": HUMAN} if has_human else {})
    entries = [Line2D([], [], label=name, **style) for name, style in styles.items()]
    axes.legend(
        handles=entries,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=len(entries),
        fontsize=8,
        columnspacing=1.2,
        handletextpad=0.3,
        handlelength=1.5,
    )


def _published_mark(marker: str, colour: str) -> dict[str, Any]:
    return {"marker": marker, "color": colour, "markersize": 7, "markerfacecolor": "none", "linestyle": "none"}
