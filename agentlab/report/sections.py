"""The sections of a run's page, each from what the run's folder holds; an absent part is said to be absent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from agentlab.errors import InputError
from agentlab.inspection import describe
from agentlab.report import plots
from agentlab.report.markup import Html, definitions, duration, join, number, table, tag
from agentlab.report.player import PlayerData, player_elements
from agentlab.report.source import RunFiles
from agentlab.report.thoughts import Memory

ARTEFACTS = ("extractor", "head", "playback")
ORIGIN = (
    "sha256",
    "seed",
    "agentlab_version",
    "algorithm",
    "played_by",
    "ended_by",
    "created_at",
    "command",
    "versions",
)
"""The facts of a part that tell where it came from."""

SCORE_NAMES = {"r2": "R²", "accuracy": "accuracy", "f1": "F1"}


def headline(run: RunFiles) -> Html:
    """What the agent reached, beside a random policy and, where known, a human."""
    scores = run.scores
    if not scores:
        return section("Result", absent("This run has not been evaluated yet."), id_="result")
    low, high = scores["ci95"]
    marks = {"random": scores["random_mean"]}
    if scores.get("human_mean") is not None:
        marks["human"] = scores["human_mean"]
    lowest, highest = number(min(scores["returns"])), number(max(scores["returns"]))
    others = ", ".join(f"{name} {number(value)}" for name, value in marks.items())
    alt = f"Returns of {scores['episodes']} episodes from {lowest} to {highest}; {others}"
    tiles = [
        tile("Mean return", number(scores["mean"]), f"{scores['episodes']} episodes"),
        tile("Interquartile mean", number(scores["iqm"]), f"95% interval {number(low)} to {number(high)}"),
        tile("Random policy", number(scores["random_mean"]), "same game, same seeds"),
    ]
    if "human" in marks:
        tiles.append(tile("Human", number(scores["human_mean"]), _share_of_human(scores)))
    return section(
        "Result",
        tag("div", *tiles, class_="tiles"),
        figure(
            plots.returns_strip(scores["returns"], (low, high), marks, alt=alt),
            "A dot is an evaluation episode. The bar is the 95% bootstrap interval of the interquartile mean over "
            "these episodes; it says nothing about training again with another seed.",
        ),
        id_="result",
    )


def playback(run: RunFiles) -> Html:
    """An episode of the trained agent, to be played in the page."""
    if run.playback_recording is None:
        return section("Watch it play", absent("No episode of the trained agent has been recorded yet."), id_="play")
    recording, episode = run.playback_recording, run.playback_recording[0]
    try:
        data = join(*PlayerData(recording, [0], Memory(run.playback)).elements())
    except InputError as error:
        return section("Watch it play", absent(f"The recorded episode cannot be read: {error}"), id_="play")
    intro = f"One episode as the agent sees it, on the first evaluation seed ({episode.seed:,}), not a chosen one."
    return section("Watch it play", tag("p", intro), player_elements(), data, id_="play")


def learning(run: RunFiles) -> Html:
    """How return and loss went while the head and the extractor learned."""
    figures = [chart for chart in (_return_curve(run), _loss_curve(run, "fit"), _loss_curve(run, "train")) if chart]
    body = tag("div", *figures, class_="grid") if figures else absent("No measurements of a training were found.")
    return section("How it learned", body, id_="learning")


def labels(run: RunFiles) -> Html:
    """How well the extractor reads each label off the screen, on episodes that it was not fitted on."""
    scores = run.extractor.get("labels")
    if not scores:
        return section("What it sees", absent("No extractor has been fitted yet."), id_="labels")
    rows = [_label_row(name, score) for name, score in scores.items()]
    schema = run.extractor.get("label_schema") or {}
    scatters, confusions = [], []
    for name, pair in run.holdout.items():
        spec, both = schema.get(name, {}), _pairs_of_values(pair)
        if both and spec.get("kind") == "number":
            scatters.append(_scatter(name, spec, both))
        elif both:
            confusions.append(_confusion(name, spec.get("classes") or ["false", "true"], both))
    return section(
        "What it sees",
        table(
            ["Label", "Kind", "Measure", "Score", "Frames"], rows, "Labels read on held-out episodes", frozenset({3, 4})
        ),
        *(tag("div", *details, class_="grid") for details in (scatters, confusions) if details),
        id_="labels",
    )


def timings(run: RunFiles) -> Html:
    """How long each stage took, and what the training's time was spent on."""
    if not run.timings:
        return section("Where the time went", absent("No stage has finished yet."), id_="time")
    tables = [_bars(run.timings, f"Time per stage, {duration(sum(run.timings.values()))} in all")]
    split = (run.head.get("metrics") or {}).get("seconds")
    if split:
        tables.append(_bars(split, "What the head's training spent its time on; for the game, how long it waited"))
    return section("Where the time went", *tables, id_="time")


def _bars(seconds: Mapping[str, float], caption: str) -> Html:
    """A row with a bar for each part of the time."""
    longest = max(seconds.values()) or 1
    rows = [
        tag(
            "tr",
            tag("th", part, scope="row"),
            tag("td", tag("span", class_="bar", style=f"width:{100 * taken / longest:.1f}%"), class_="bars"),
            tag("td", duration(taken), class_="number"),
        )
        for part, taken in seconds.items()
    ]
    return tag("table", tag("caption", caption), tag("tbody", *rows), class_="timings")


def recipe(run: RunFiles) -> Html:
    """The resolved recipe."""
    body = tag("pre", tag("code", run.recipe), tabindex="0") if run.recipe else absent("The run holds no recipe.yaml.")
    return section("Recipe", body, id_="recipe")


def provenance(run: RunFiles) -> Html:
    """What each part was made by and from."""
    blocks = [_origin(run.path / part) for part in ARTEFACTS if (run.path / part).exists()]
    body = join(*blocks) if blocks else absent("No part of the run has been written yet.")
    return section("Provenance", body, id_="provenance")


def problems(run: RunFiles) -> Html | None:
    """The files that could not be read."""
    if not run.problems:
        return None
    return section("Not readable", tag("ul", *(tag("li", problem) for problem in run.problems)), id_="problems")


def section(title: str, *body: Any, id_: str) -> Html:
    return tag("section", tag("h2", title, id=f"{id_}-title"), *body, id=id_, aria_labelledby=f"{id_}-title")


def absent(message: str) -> Html:
    return tag("p", message, class_="absent")


def tile(name: str, value: str, note: str) -> Html:
    return tag("div", tag("h3", name), tag("p", value, class_="value"), tag("p", note, class_="note"), class_="tile")


def figure(picture: Html, caption: str) -> Html:
    return tag("figure", picture, tag("figcaption", caption))


def _share_of_human(scores: Mapping[str, Any]) -> str:
    share = scores.get("human_normalised")
    return "published mean" if share is None else f"published mean; the agent is {share:.0%} of the way from random"


def _return_curve(run: RunFiles) -> Html | None:
    points = _series(run, "train", "return")
    if not points:
        return None
    levels = {"random": run.scores["random_mean"]} if run.scores else {}
    alt = (
        f"Return while training: {number(points[0][1])} at first, {number(points[-1][1])} at step {points[-1][0]:,.0f}"
    )
    picture = plots.curve({"return": points}, x="agent steps", y="return", alt=alt, levels=levels)
    return figure(picture, "Mean return of the last training episodes, exploration included.")


def _loss_curve(run: RunFiles, stage: str) -> Html | None:
    names = sorted({name for line in run.metrics if line.get("stage") == stage for name in line if "loss" in name})
    series = {name: points for name in names if (points := _series(run, stage, name))}
    if not series:
        return None
    values = [value for points in series.values() for _, value in points]
    spans_decades = min(values) > 0 and max(values) / min(values) > 10
    alt = f"Loss of stage {stage}: " + ", ".join(
        f"{name} ends at {points[-1][1]:.3g}" for name, points in series.items()
    )
    x = {"fit": run.fit_stages, "train": "agent steps"}[stage]
    caption = {"fit": "Loss while the extractor was fitted.", "train": "Loss while the head was trained."}[stage]
    return figure(plots.curve(series, x=x, y="loss", alt=alt, log=spans_decades), caption)


def _series(run: RunFiles, stage: str, name: str) -> list[tuple[float, float]]:
    lines = [line for line in run.metrics if line.get("stage") == stage and isinstance(line.get(name), int | float)]
    return [(line["step"], line[name]) for line in lines if np.isfinite(line[name])]


def _label_row(name: str, score: Mapping[str, Any]) -> list[Any]:
    measure = next((key for key in SCORE_NAMES if key in score), None)
    value = score.get(measure) if measure else None
    return [
        name,
        score.get("kind", ""),
        SCORE_NAMES.get(measure or "", "–"),
        "–" if value is None else f"{value:.4f}",
        f"{score.get('frames', 0):,}",
    ]


def _pairs_of_values(pair: Mapping[str, Any]) -> list[tuple[float, float]]:
    """(true, predicted) of the held-out frames where both are there."""
    return [(t, p) for t, p in zip(pair["true"], pair["predicted"], strict=True) if t is not None and p is not None]


def _scatter(name: str, spec: Mapping[str, Any], both: list[tuple[float, float]]) -> Html:
    true, predicted = zip(*both, strict=True)
    alt = f"{name}: predicted over true values of {len(both)} held-out frames"
    return figure(plots.scatter(true, predicted, unit=spec.get("unit", ""), alt=alt), name)


def _confusion(name: str, classes: list[str], both: list[tuple[float, float]]) -> Html:
    """Counts of true (rows) against predicted (columns) classes, of those that occur; shaded by a row's share."""
    codes = np.array(both, dtype=int)
    occurring = np.unique(codes)
    counts = [[int(np.sum((codes == (true, predicted)).all(axis=1))) for predicted in occurring] for true in occurring]
    names = [classes[code] for code in occurring]
    rows = [[true, *(_shaded(count, sum(row)) for count in row)] for true, row in zip(names, counts, strict=True)]
    counted = table(["true \\ predicted", *names], rows, name, frozenset(range(1, len(names) + 1)))
    return tag("div", counted, class_="confusion")


def _shaded(count: int, total: int) -> Html:
    return tag("span", f"{count:,}", class_="heat", style=f"--share:{count / max(total, 1):.3f}")


def _origin(part: Path) -> Html:
    """What `agentlab inspect` says of a part of the run, but for what other sections show."""
    try:
        facts = describe(part)
    except InputError as error:
        return join(tag("h3", part.name), absent(str(error)))
    parents = [(f"from {parent['kind']}", _with_sha256(parent)) for parent in facts["parents"]]
    shown = [
        (name.replace("_", " "), tag("code", _brief(facts[name])))
        for name in ORIGIN
        if facts.get(name) not in (None, {}, "")
    ]
    return join(tag("h3", part.name), definitions(parents + shown))


def _with_sha256(parent: Mapping[str, Any]) -> Html:
    return join(parent.get("path"), tag("code", parent.get("sha256"), class_="line"))


def _brief(value: Any) -> str:
    return ", ".join(f"{key} {inner}" for key, inner in value.items()) if isinstance(value, Mapping) else str(value)
