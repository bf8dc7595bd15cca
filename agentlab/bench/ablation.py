"""What each part of the DQN head is worth: scores without it, and with parts that are off, seed by seed on one eye."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from agentlab.artefact import new_folder, read_json
from agentlab.bench.drawing import BLUE, GREY, drawn
from agentlab.bench.runs import Runner, finished, recipes_of, settings, unrefreshed
from agentlab.errors import InputError
from agentlab.progress import Progress
from agentlab.recipe import Recipe
from agentlab.runfolder import RunFolder
from agentlab.statistics import iqm, mean_interval

COMPLETE = "complete"
PARTS: dict[str, dict[str, Any]] = {
    "3-step returns all along": {"head.dqn.n_steps": 3, "head.dqn.n_steps_final": 3},
    "10-step returns all along": {"head.dqn.n_steps": 10, "head.dqn.n_steps_final": 10},
    "not double": {"head.dqn.without": ("double",)},
    "not dueling": {"head.dqn.without": ("dueling",)},
    "no layer normalisation": {"head.dqn.without": ("layer_norm",)},
    "numbers, not histograms": {"head.dqn.without": ("histogram",)},
    "target network follows at once": {"head.dqn.tau": 0.999},
    "an update in 4 steps, not each": {"head.dqn.updates_per_step": 0.25},
    "updates in float32": {"head.dqn.precision": "float32"},
    "random actions not held": {"head.dqn.longest_hold": 1},
    "newest frame only": {"head.stack": 1},
    "features too": {"head.sees": "all"},
    "no advantage learning": {"head.dqn.advantage_learning": 0.0},
    "no start on recorded play": {"head.dqn.recorded_updates": 0},
    "eye refreshed": {"refresh.at": (0.4,)},
}
"""What is changed in the complete recipe, by name: fields and their values."""
NOTE = (
    "all runs of a game see through the eye of its first run, which is not refreshed; differences are to the complete "
    "recipe with the same seed, their mean with its 95% interval by Student's t; of so many parts one or the other is "
    "expected to lie beyond it by chance"
)


def measure(
    games: Sequence[str],
    out: Path,
    *,
    run: Runner,
    progress: Progress,
    recipe: Recipe,
    seeds: int = 5,
    parts: Mapping[str, Mapping[str, Any]] = PARTS,
) -> dict[str, Any]:
    """Runs the recipe, without refreshes, complete and with each part changed, with the seeds 0 to `seeds` - 1.

    A part that the recipe is without is left out, and that is said. The run of a game, a part and a seed is in
    `out`/GAME/PART/SEED; finished runs are read and not repeated. Raises `InputError` before the first run for an
    unknown game, a recipe that names recordings or whose head is not `dqn`, and fewer than one seed; later for a run in
    `out` that was made with other settings.
    """
    recipes = recipes_of(games, recipe, seeds)
    if recipe.head.algorithm != "dqn":
        raise InputError(f"head.algorithm: expected 'dqn', whose parts these are, found {recipe.head.algorithm!r}")
    recipe = unrefreshed(recipe, progress)
    idle = [part for part, change in parts.items() if changed(recipe, change) == recipe]
    if idle:
        progress.say(f"ablation: the recipe is as in {', '.join(map(repr, idle))}: left out")
    parts = {part: change for part, change in parts.items() if part not in idle}
    found: dict[str, dict[str, list[float]]] = {game: {} for game in recipes}
    places = list(itertools.product(recipes, (COMPLETE, *parts), range(seeds)))
    for number, (game, part, seed) in enumerate(places, 1):
        progress.say(f"ablation: {game}, {part}, seed {seed} (run {number} of {len(places)})")
        first, folder = (
            RunFolder(out / game / name.replace(" ", "-") / str(n)) for name, n in ((COMPLETE, 0), (part, seed))
        )
        of_run = replace(recipes[game], refresh=recipe.refresh, seed=seed)
        if part != COMPLETE:
            of_run = changed(of_run, parts[part])
        if folder != first:
            of_run = replace(of_run, recordings=(str(first.recording),))
            if not folder.path.exists():
                _lend_eye(first, folder, of_run)
        score = float(read_json(finished(of_run, folder.path, run, progress).scores)["mean"])
        found[game].setdefault(part, []).append(score)
    return {
        "note": NOTE,
        "steps": recipe.head.total_steps,
        "seeds": seeds,
        "settings": settings(recipe),
        "env_kwargs": {game: dict(of_game.env_kwargs) for game, of_game in recipes.items()},
        "episodes": recipe.evaluate.episodes,
        "parts": {
            part: {field: list(value) if isinstance(value, tuple) else value for field, value in change.items()}
            for part, change in parts.items()
        },
        "games": {
            game: {part: _of_part(scores, of_game[COMPLETE]) for part, scores in of_game.items()}
            for game, of_game in found.items()
        },
    }


def changed(recipe: Recipe, change: Mapping[str, Any]) -> Recipe:
    """A recipe with the fields at dotted paths changed; what is in `without` stays there."""
    for path, value in change.items():
        recipe = _with(recipe, path, value)
    return recipe


def _with(config: Any, path: str, value: Any) -> Any:
    name, _, rest = path.partition(".")
    if name == "without":
        value = tuple(dict.fromkeys((*config.without, *value)))
    return replace(config, **{name: _with(getattr(config, name), rest, value) if rest else value})


def table(found: dict[str, Any]) -> str:
    """The measurement as lines for people."""
    games = found["games"]
    lines = [
        f"{found['steps']:,} agent steps, seeds: {found['seeds']}; interquartile mean of the scores over seeds, and "
        "how far the mean is from that of the complete recipe",
        " " * 32 + "".join(f"{game:>36}" for game in games),
    ]
    for part in (COMPLETE, *found["parts"]):
        line = f"{part:<32}"
        for of_game in games.values():
            line += f"{of_game[part]['iqm']:>10.1f}" + (" " * 26 if part == COMPLETE else _difference(of_game[part]))
        lines.append(line)
    return "\n".join([*lines, f"note: {found['note']}"])


def plot(found: dict[str, Any], path: Path) -> None:
    """Draws, a panel a game, the difference that each change makes with its interval into an SVG."""
    games, parts = found["games"], list(found["parts"])
    with drawn(path, 3.2 + 2.6 * len(games), 1.0 + 0.3 * len(parts)) as axes:
        axes.set_axis_off()
        for place, (game, of_game) in enumerate(games.items()):
            panel = axes.inset_axes((place / len(games) + 0.02, 0.0, 0.94 / len(games), 1.0))
            panel.axvline(0, color=GREY, linewidth=1)
            for row, part in enumerate(reversed(parts)):
                if of_game[part]["difference_ci95"]:
                    panel.plot(of_game[part]["difference_ci95"], (row, row), color=BLUE, linewidth=5, alpha=0.35)
                panel.plot(of_game[part]["difference"], row, "o", color=BLUE, markersize=5)
            panel.set_yticks(range(len(parts)), list(reversed(parts)) if place == 0 else [""] * len(parts))
            panel.set(title=f"{game} (complete: {of_game[COMPLETE]['iqm']:,.1f})", xlabel="score against complete")


def _lend_eye(owner: RunFolder, borrower: RunFolder, recipe: Recipe) -> None:
    """Begins a run with the eye of another one."""
    with new_folder(borrower.path) as folder:
        RunFolder(folder).begin(recipe, force=True)
        shutil.copytree(owner.extractor, RunFolder(folder).extractor)


def _difference(part: Mapping[str, Any]) -> str:
    interval = part["difference_ci95"]
    shown = "(one seed)" if interval is None else f"({interval[0]:+.1f} to {interval[1]:+.1f})"
    return f"{part['difference']:>+9.1f}{shown:>17}"


def _of_part(scores: Sequence[float], complete: Sequence[float]) -> dict[str, Any]:
    differences = np.subtract(scores, complete)
    interval = mean_interval(differences)
    return {
        "scores": list(scores),
        "iqm": float(iqm(scores)),
        "difference": float(differences.mean()),
        "difference_ci95": None if interval is None else list(interval),
    }
