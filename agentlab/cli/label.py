"""`agentlab label`: labels for the frames of a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from agentlab.cli.options import Common, parse
from agentlab.cli.result import Result
from agentlab.recipe import Seed


@dataclass(frozen=True, kw_only=True)
class Options(Common):
    """Adds labels to a recording that has none, or too few.

    $ agentlab label recordings/pong --from env

    `--from env` steps the recorded episodes again and takes the environment's info["labels"]; an environment of your
    own needs only that and an attribute label_schema.
    """

    recording: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="REC")]
    """Folder of the recording."""
    source: Annotated[Literal["env"], tyro.conf.arg(name="from")]
    """Where the labels come from."""
    seed: Seed = 0
    """Unused: the recorded seeds are taken."""


def read(args: Sequence[str]) -> Options:
    return parse(Options, args, "label")


def execute(options: Options, args: Sequence[str]) -> Result:  # noqa: ARG001
    from agentlab.labels.from_env import label_from_env
    from agentlab.progress import on_stderr
    from agentlab.recording import Recording

    recording = Recording(options.recording)
    done = 0
    with on_stderr().task("label", recording.total_steps, "steps") as task:

        def on_step(_episodes: int, steps: int) -> None:
            nonlocal done
            task.advance(steps - done)
            done = steps

        frames = label_from_env(recording, on_step=on_step)
    return Result(
        {"recording": str(options.recording), "frames": frames}, f"{options.recording}: {frames:,} frames labelled"
    )
