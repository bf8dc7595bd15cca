"""`agentlab search`: runs a recipe again and again with other values, and keeps the best."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from agentlab import recipe as recipes
from agentlab.cli.options import Common, parse, recipe_named
from agentlab.cli.result import Result
from agentlab.errors import InputError
from agentlab.recipe import Count, Positive, Recipe


@dataclass(frozen=True, kw_only=True)
class Folder(Common):
    """Searches values of recipe fields: runs the recipe again and again, scores each run on validation data.

    RECIPE is a built-in one or a YAML file, and its fields are options as those of `agentlab run`, such as --seed 1.

    $ agentlab search pong --space architecture --trials 20
    $ agentlab search pong --space architecture --with random-patience
    $ agentlab search pong --space learning-rate --method rates --with fixnorm --trials 8
    $ agentlab search pong --space my_ranges.yaml --objective score --trials 10

    The same command goes on with a search that was stopped, also with more trials.

    A space is `architecture`, `learning-rate` or a YAML file of lines such as
      extractor.learning_rate: {low: 1.0e-4, high: 1.0e-1, log: true}
      head.dqn.n_steps: {choices: [1, 3, 5]}
    """

    out: Path = Path("search/RECIPE-SPACE")
    """Folder of the search."""
    space: str = "architecture"
    """What is varied: a built-in space or a YAML file."""
    objective: Literal["eye", "score"] = "eye"
    """`eye` fits alone and takes the share of labels read on validation episodes; `score` runs everything and takes the
    mean return on validation seeds."""
    method: Literal["tpe", "random", "rates"] = "tpe"
    """`tpe` and `random` are Optuna's; `rates`: few rates far apart on a third of the budget, then a parabola's top."""
    trials: Count | None = None
    """Trials in all; none goes on until time or patience is out."""
    timeout: Positive | None = None
    """Seconds after which no further trial is begun."""
    storage: str | None = None
    """URL of any Optuna storage; none is an SQLite file in the folder."""


@dataclass(frozen=True, kw_only=True)
class Options(Folder):
    """Searches values of the fields of this recipe, but for the fields that are given here."""

    recipe: Annotated[Recipe, tyro.conf.arg(name="")]


def read(args: Sequence[str]) -> Options:
    """The options, with the recipe that is named first as the default of every field."""
    name, base, rest = recipe_named("search", Folder, args)
    default = Options(out=Path("search") / Path(name).stem, recipe=base)
    options = parse(Options, rest, f"search {name}", default, compact=True)
    if options.trials is None and options.timeout is None and "random-patience" not in options.recipe.strategies:
        raise InputError("agentlab search: expected an end: --trials, --timeout or --with random-patience, found none")
    if options.out == default.out:
        options = dataclasses.replace(options, out=Path(f"{options.out}-{Path(options.space).stem}"))
    return dataclasses.replace(options, recipe=recipes.resolve(options.recipe, base))


def execute(options: Options, args: Sequence[str]) -> Result:  # noqa: ARG001
    from agentlab import pipeline, space
    from agentlab.progress import on_stderr
    from agentlab.report import write_search_report

    found = pipeline.search(
        options.recipe,
        space.load(options.space, options.recipe),
        options.out,
        objective=options.objective,
        method=options.method,
        trials=options.trials,
        timeout_s=options.timeout,
        storage=options.storage,
        progress=on_stderr(),
    )
    page = write_search_report(options.out)
    return Result(found, f"{_summary(found)}\n{page} shows it")


def _summary(found: Mapping[str, Any]) -> str:
    best, trials = found["best"], found["trials"]
    failed = sum(trial["error"] is not None for trial in trials)
    values = ", ".join(f"{field} {value}" for field, value in best["values"].items())
    return (
        f"best of {len(trials)} trials{f', {failed} of which failed' if failed else ''}: "
        f"number {best['number']}, score {best['score']:.4f}: {values}\n{best['folder']} holds it"
    )
