"""`agentlab bench`: measurements that users can run themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from agentlab.cli.options import Common, parse
from agentlab.cli.result import Result
from agentlab.fields import from_plain
from agentlab.recipe import Seed


@dataclass(frozen=True, kw_only=True)
class Options(Common):
    """Measures a trained run on this machine; keep it quiet meanwhile.

    $ agentlab bench throughput runs/pong
    $ agentlab bench memory runs/pong

    throughput: agent steps a second of the game alone, seen through the extractor, and training both heads.
    memory: bytes a transition of the replay memory of features, and of SB3's of images.
    """

    name: Annotated[tyro.conf.Positional[Literal["throughput", "memory"]], tyro.conf.arg(metavar="NAME")]
    """What to measure."""
    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Folder of the run whose extractor, environment and head are measured."""
    seed: Seed = 0
    """Seed of environments and weights."""


def read(args: Sequence[str]) -> Options:
    return parse(Options, args, "bench")


def execute(options: Options, args: Sequence[str]) -> Result:  # noqa: ARG001
    from agentlab.head import Agent

    agent = Agent.load(options.run, "cpu")
    if options.name == "memory":
        from agentlab.bench import memory

        found = memory.measure(agent.extractor, agent.meta["sees"], agent.meta["stack"], seed=options.seed)
        return Result(found, memory.table(found))
    from agentlab.bench import throughput
    from agentlab.progress import on_stderr
    from agentlab.recipe import HeadConfig

    config = from_plain(HeadConfig, agent.meta["recipe"], str(options.run / "head" / "meta.json"))
    found = throughput.measure(
        agent.extractor, agent.env_id, agent.env_kwargs, config, seed=options.seed, progress=on_stderr()
    )
    return Result(found, throughput.table(found))
