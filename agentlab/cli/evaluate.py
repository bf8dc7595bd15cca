"""`agentlab evaluate`: how good a trained run is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from agentlab.cli.options import Common, parse
from agentlab.cli.result import Result
from agentlab.recipe import Count, EvaluationSeed


@dataclass(frozen=True, kw_only=True)
class Options(Common):
    """Scores a run on fixed seeds: mean, IQM with its 95% interval, and the random and, where known, human score.

    Episodes of Atari games begin with up to 30 no-ops; one action in 200 is random, or two players may rally for hours.

    $ agentlab evaluate runs/pong
    $ agentlab evaluate runs/pong --episodes 100 --json
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""
    episodes: Count = 30
    """Episodes to play."""
    seed: EvaluationSeed = 0
    """Which evaluation episodes; none of them is ever trained on."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`."""


def read(args: Sequence[str]) -> Options:
    return parse(Options, args, "evaluate")


def execute(options: Options, args: Sequence[str]) -> Result:  # noqa: ARG001
    from agentlab import device as devices
    from agentlab.evaluate import evaluate
    from agentlab.head import Agent
    from agentlab.progress import on_stderr

    with devices.computing(threads=0):
        agent = Agent.load(options.run, options.device)
        scores = evaluate(
            agent, agent.env_id, agent.env_kwargs, episodes=options.episodes, seed=options.seed, progress=on_stderr()
        )
    return Result(scores.to_dict(), summary(scores.to_dict()))


def summary(scores: Mapping[str, Any]) -> str:
    """Scores in a line."""
    low, high = scores["ci95"]
    others = {"random": scores["random_mean"], "human": scores["human_mean"]}
    beside = ", ".join(f"{name} {mean:.3g}" for name, mean in others.items() if mean is not None)
    return (
        f"mean return {scores['mean']:.3g}, IQM {scores['iqm']:.3g} (95% interval {low:.3g} to {high:.3g}) "
        f"over {scores['episodes']} episodes of {scores['env']}; {beside}"
    )
