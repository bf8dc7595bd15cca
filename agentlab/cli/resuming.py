"""The checkpoint of a single stage, beside the artefact that it is becoming."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentlab.artefact import IDENTITY
from agentlab.errors import InputError, InterruptedWorkError
from agentlab.runfolder import require_writable


@contextmanager
def checkpoint_beside(out: Path, *, resume: bool, force: bool) -> Iterator[Path]:
    """The folder in which a stage keeps what it reached: removed when the stage is done, kept when it is interrupted.

    A stage that fails before it reached anything leaves none behind.

    Raises `InputError` when one is there from an interruption and neither `resume` nor `force` is given.
    """
    checkpoint = out.with_name(f".{out.name}.checkpoint")
    if checkpoint.exists() and not (resume or force):
        raise InputError(
            f"{checkpoint}: an interrupted one is there: add --resume to go on with it, or --force to begin anew"
        )
    require_writable(out)
    if not resume:
        shutil.rmtree(checkpoint, ignore_errors=True)
    try:
        yield checkpoint
    except KeyboardInterrupt as interrupt:
        raise InterruptedWorkError(
            "interrupted; the same command with --resume goes on from what was reached"
        ) from interrupt
    except BaseException:
        if not any(file.name != IDENTITY for file in checkpoint.glob("*")):
            shutil.rmtree(checkpoint, ignore_errors=True)
        raise
    shutil.rmtree(checkpoint, ignore_errors=True)
