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
    """Says what a recording, extractor, head or run is, what it was made from, and how well it does; or a recipe, an
    exported model, and exported frames.

    $ agentlab inspect runs/pong
    $ agentlab inspect recordings/pong --json
    $ agentlab inspect recordings/pong --check

    --check reads every row of a recording and compares every frame with its hash: exit code 0, or 1 with what is
    damaged.
    """

    path: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="PATH")]
    """Folder of the artefact."""
    check: bool = False
    """Of a recording: whether all of it is as it was written."""
    seed: Seed = 0
    """Unused: nothing here is random."""


def read(args: Sequence[str]) -> Options:
    return parse(Options, args, "inspect")


def execute(options: Options, args: Sequence[str]) -> Result:  # noqa: ARG001
    from agentlab.errors import InputError
    from agentlab.inspection import describe, looks_like_recording, render

    found: list[str] = []
    try:
        description = describe(options.path)
    except InputError as error:
        if not (options.check and looks_like_recording(options.path)):
            raise
        description = {"path": str(options.path), "kind": "recording, damaged"}
        found.append(str(error))
    if not options.check:
        return Result(description, render(description))
    if not description["kind"].startswith("recording"):
        raise InputError(f"{options.path}: --check is for recordings, found: {description['kind']}")
    found = _damages(options.path) or found
    verdict = "\n".join(found) or f"{options.path}: every row and frame is as it was written"
    return Result({**description, "damages": found}, f"{render(description)}\n{verdict}", exit_code=1 if found else 0)


def _damages(path: Path) -> list[str]:
    from agentlab.progress import by_steps, on_stderr
    from agentlab.recording import Recording, damages

    recording = Recording(path)
    with on_stderr().task("check", recording.total_steps, "steps") as task:
        return damages(recording, by_steps(task))
