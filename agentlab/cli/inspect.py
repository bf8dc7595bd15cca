"""`agentlab inspect`: what an artefact is and where it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from agentlab.cli.options import Common, parse
from agentlab.cli.result import Result
from agentlab.recipe import Seed


@dataclass(frozen=True, kw_only=True)
class Options(Common):
    """Says what a recording, extractor, head or run is, what it was made from, and how well it does.

    $ agentlab inspect runs/pong
    $ agentlab inspect recordings/pong --json
    """

    path: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="PATH")]
    """Folder of the artefact."""
    seed: Seed = 0
    """Unused: nothing here is random."""


def read(args: Sequence[str]) -> Options:
    return parse(Options, args, "inspect")


def execute(options: Options, args: Sequence[str]) -> Result:  # noqa: ARG001
    from agentlab.inspection import describe, render

    description = describe(options.path)
    return Result(description, render(description))
