"""How the score depends on the number of labelled frames that the eye is fitted on: a run for each number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from agentlab.artefact import META, read_json
from agentlab.bench.drawing import BLUE, GREY, drawn
from agentlab.bench.runs import Runner, finished, in_game, settings, unrefreshed
from agentlab.errors import InputError
from agentlab.extractor.scores import quality
from agentlab.progress import Progress
from agentlab.recipe import Recipe
from agentlab.runfolder import RunFolder

COUNTS = (100, 300, 1_000, 3_000, 10_000, 35_000)
AS_MANY = 3_000
"""Fits on fewer frames are of as many updates as one on so many."""
SPARE = 1.1
"""How many times the frames wanted are recorded: episodes are held out whole."""
ORANGE = "#c45500"

NOTE = (
    f"fewer than {AS_MANY:,} frames are passed over so much more often that updates are as many: what is short is "
    "labels, not training; the eye's score is the mean over its labels of R², at least 0, accuracy or F1; one training "
    "seed; the interval is over evaluation episodes; held-out frames, which are labelled too, come on top of those "
    "counted and only score the eye; all runs share one recording, larger than other measurements', from which each "
    "head learns first, without labels, if the settings say so (recorded_updates)"
)


def measure(
    env_id: str,
    out: Path,
    *,
    seed: int,
    recipe: Recipe,
    run: Runner,
    progress: Progress,
    counts: Sequence[int] = COUNTS,
) -> dict[str, Any]:
    """Runs the recipe in `out`/COUNT for each number of labelled frames, and gives the scores of game and eye.

    Finished runs are read and not repeated. Unless the recipe names recordings, the first run records enough for the
    largest count, and all others learn from that. Refreshes, which would label more frames, are left out. Raises
    `InputError` before the first run for an unknown environment and counts that are not different and positive.
    """
    recipe = in_game(recipe, env_id)
    if not counts or min(counts) < 1 or len(set(counts)) < len(counts):
        raise InputError(f"counts: expected different positive numbers, found {', '.join(map(str, counts)) or 'none'}")
    recipe = with_enough_frames(unrefreshed(recipe, progress), max(counts))
    shared = recipe.recordings or (str(RunFolder(out / str(min(counts))).recording),)
    points = []
    for number, count in enumerate(sorted(counts), 1):
        progress.say(f"labels: {count:,} labelled frames (run {number} of {len(counts)})")
        extractor = replace(recipe.extractor, frames=count, epochs=_epochs(recipe, count))
        of_count = replace(recipe, seed=seed, extractor=extractor)
        if number > 1:
            of_count = replace(of_count, recordings=shared)
        points.append(_point(finished(of_count, out / str(count), run, progress)))
        if points[-1]["frames"] < count:
            progress.say(f"labels: fitted on {points[-1]['frames']:,} frames, all there are, instead of {count:,}")
    scores = read_json(RunFolder(out / str(max(counts))).scores)
    return {
        "note": NOTE,
        "env": env_id,
        "seed": seed,
        "settings": settings(recipe),
        "env_kwargs": dict(recipe.env_kwargs),
        "steps": recipe.head.total_steps,
        "points": points,
        "random_mean": scores["random_mean"],
        "human_mean": scores["human_mean"],
    }


def _epochs(recipe: Recipe, count: int) -> int:
    """Passes over `count` frames: as the recipe says, and so many more over few frames that updates are as many."""
    return math.ceil(recipe.extractor.epochs * max(1.0, AS_MANY / count))


def with_enough_frames(recipe: Recipe, count: int) -> Recipe:
    """The recipe, recording so many steps that `count` frames are left when others are held out."""
    steps = math.ceil(SPARE * count / (1 - recipe.extractor.holdout))
    enough = max(steps, recipe.record.enough_steps or 0)
    return replace(recipe, record=replace(recipe.record, episodes=enough, enough_steps=enough))


def table(found: dict[str, Any]) -> str:
    """The measurement as lines for people."""
    human = "" if found["human_mean"] is None else f", human {found['human_mean']:,.1f}"
    setting = f"{found['env']}, seed {found['seed']}, {found['steps']:,} agent steps"
    lines = [
        f"{setting}; random {found['random_mean']:,.1f}{human}",
        f"{'labelled frames':>15}{'eye, held out':>16}{'mean score':>12}{'IQM':>10}{'95% interval':>20}",
    ]
    for point in found["points"]:
        low, high = point["ci95"]
        eye = "-" if point["eye"] is None else f"{point['eye']:.3f}"
        lines.append(
            f"{point['frames']:>15,}{eye:>16}{point['mean']:>12,.1f}{point['iqm']:>10,.1f}"
            f"{f'{low:,.1f} to {high:,.1f}':>20}"
        )
    return "\n".join([*lines, f"note: {found['note']}"])


def plot(found: dict[str, Any], path: Path) -> None:
    """Draws the score of the game and that of the eye over the number of labelled frames into an SVG."""
    points = found["points"]
    frames = [point["frames"] for point in points]
    seen = [(point["frames"], point["eye"]) for point in points if point["eye"] is not None]
    with drawn(path, 6.4, 3.6) as axes:
        axes.vlines(frames, *zip(*(point["ci95"] for point in points), strict=True), color=BLUE, alpha=0.3, linewidth=5)
        axes.plot(frames, [point["iqm"] for point in points], marker="o", color=BLUE)
        for name, level in (("random", found["random_mean"]), ("human", found["human_mean"])):
            if level is not None:
                axes.axhline(level, color=GREY, linewidth=1, linestyle="--")
                axes.annotate(name, (0, level), xycoords=("axes fraction", "data"), va="bottom", color=GREY)
        axes.set(xlabel="labelled frames", xscale="log", title=found["env"])
        axes.set_xticks(frames, [f"{count:,}" for count in frames], minor=False)
        axes.set_xticks([], minor=True)
        axes.set_ylabel("score, IQM over episodes", color=BLUE)
        eye = axes.twinx()
        if seen:
            eye.plot(*zip(*seen, strict=True), marker="s", markerfacecolor="none", color=ORANGE)
        eye.set_ylim(0, 1.03)
        eye.set_ylabel("eye, mean score on held-out frames", color=ORANGE)


def _point(run: RunFolder) -> dict[str, Any]:
    """What a run reached, and the number of labelled frames that its eye was fitted on."""
    scores, eye = read_json(run.scores), read_json(run.extractor / META)
    labels = {name: quality(label)[1] for name, label in eye["labels"].items()}
    defined = [max(0.0, score) for score in labels.values() if score is not None]
    return {
        "frames": eye["frames"],
        "mean": scores["mean"],
        "iqm": scores["iqm"],
        "ci95": scores["ci95"],
        "human_normalised": scores["human_normalised"],
        "eye": float(np.mean(defined)) if defined else None,
        "labels": labels,
    }
