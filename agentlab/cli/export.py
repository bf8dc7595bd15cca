"""`agentlab export`: a run as one model for other programs."""

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
    """Writes extractor and head of a run as one ONNX model from frames to actions, checked against PyTorch.

    $ agentlab export runs/pong --onnx pong.onnx
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""
    onnx: Path
    """File to write."""
    force: bool = False
    """Replace an existing file."""
    seed: Seed = 0
    """Seed of the play on whose frames the model is checked."""


def read(args: Sequence[str]) -> Options:
    return parse(Options, args, "export")


def execute(options: Options, args: Sequence[str]) -> Result:  # noqa: ARG001
    from agentlab.export import export_onnx

    values = export_onnx(options.run, options.onnx, seed=options.seed, force=options.force)
    return Result(
        values,
        f"{options.onnx}: differs from PyTorch by at most {values['max_difference']:.2g} on {values['frames_checked']} "
        f"states, equal actions on {values['action_agreement']:.0%}",
    )
