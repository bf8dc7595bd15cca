"""`agentlab run`: the whole pipeline from one recipe."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from agentlab import recipe as recipes
from agentlab.cli.evaluate import summary
from agentlab.cli.options import Common, parse, recipe_named
from agentlab.cli.result import Result
from agentlab.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Folder(Common):
    """Runs the whole pipeline: record, fit, freeze, train, evaluate, report.

    RECIPE is catch, pong, breakout, freeway, carracing, atari100k or a YAML file. Any field of the recipe is an option
    too, such as --env, --seed, --head.total-steps: agentlab run RECIPE --help lists them all, with the values of that
    recipe.

    $ agentlab run pong
    $ agentlab run pong --env ALE/Seaquest-v5 --head.total-steps 50000 --out runs/seaquest
    $ agentlab run pong --resume

    --resume goes on after an interruption, finished stages are not repeated. Without it or --force an existing folder
    is refused.
    """

    out: Path = Path("runs/RECIPE")
    """Folder of the run."""
    resume: bool = False
    """Go on with an interrupted run."""
    force: bool = False
    """Replace an existing run."""


@dataclass(frozen=True, kw_only=True)
class Options(Folder):
    """Runs the whole pipeline with this recipe, but for the fields that are given here."""

    recipe: Annotated[Recipe, tyro.conf.arg(name="")]


def read(args: Sequence[str]) -> Options:
    """The options, with the recipe that is named first as the default of every field."""
    name, base, rest = recipe_named("run", Folder, args)
    default = Options(out=Path("runs") / Path(name).stem, recipe=base)
    options = parse(Options, rest, f"run {name}", default, compact=True)
    return dataclasses.replace(options, recipe=recipes.resolve(options.recipe, base))


def execute(options: Options, args: Sequence[str]) -> Result:  # noqa: ARG001
    from agentlab import pipeline, progress

    scores = pipeline.run(
        options.recipe,
        options.out,
        resume=options.resume,
        force=options.force,
        progress=progress.on_stderr(),
    )
    return Result(scores, f"{summary(scores)}\n{options.out / 'report.html'} shows it")
