"""`agentlab replay`: does a recording still happen as recorded?"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from agentlab.cli.options import Common, parse
from agentlab.cli.result import Result
from agentlab.recipe import Seed

if TYPE_CHECKING:
    from agentlab.recording import Recording, Verification


@dataclass(frozen=True, kw_only=True)
class Options(Common):
    """Makes a recording's environment anew and steps it with the recorded seeds and actions.

    $ agentlab replay recordings/pong --verify

    --verify compares every frame, reward, end and label: exit code 0, or 1 with the first difference.
    Without it the episodes are listed.
    """

    recording: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="REC")]
    """Folder of the recording."""
    verify: bool = False
    """Step again and compare."""
    seed: Seed = 0
    """Unused: a replay takes the recorded seeds."""


def read(args: Sequence[str]) -> Options:
    return parse(Options, args, "replay")


def execute(options: Options, args: Sequence[str]) -> Result:  # noqa: ARG001
    from agentlab.recording import Recording

    recording = Recording(options.recording)
    recording.require_episodes()
    return _verified(recording) if options.verify else _listed(recording)


def _listed(recording: Recording) -> Result:
    episodes = [
        {"episode": e.index, "seed": e.seed, "steps": e.n_steps, "return": float(e.rewards.sum())} for e in recording
    ]
    lines = [f"episode {e['episode']}: seed {e['seed']}, {e['steps']} steps, return {e['return']:g}" for e in episodes]
    return Result({"recording": str(recording.path), "env": recording.env_id, "episodes": episodes}, "\n".join(lines))


def _verified(recording: Recording) -> Result:
    from agentlab.progress import on_stderr
    from agentlab.recording import verify

    done = 0
    with on_stderr().task("verify", recording.total_steps, "steps") as task:

        def on_step(_episodes: int, steps: int) -> None:
            nonlocal done
            task.advance(steps - done)
            done = steps

        found = verify(recording, on_step=on_step)
    return Result(_values(recording, found), _text(recording, found), exit_code=0 if found.difference is None else 1)


def _values(recording: Recording, found: Verification) -> dict[str, Any]:
    difference = found.difference
    plain = (
        {}
        if difference is None
        else {field.name: getattr(difference, field.name) for field in dataclasses.fields(difference)}
    )
    told = {
        name: value if isinstance(value, int | None) else str(value)
        for name, value in plain.items()
        if "frame" not in name
    }
    return {
        "recording": str(recording.path),
        "holds": difference is None,
        "episodes": found.episodes,
        "steps": found.steps,
        "seconds": round(found.seconds, 3),
        "difference": told or None,
        "changed_setup": found.changed_setup,
    }


def _text(recording: Recording, found: Verification) -> str:
    if found.difference is None:
        pace = found.steps / max(found.seconds, 1e-9)
        return f"{recording.path}: {found.episodes} episodes, {found.steps:,} steps equal ({pace:,.0f} steps/s)"
    return "\n".join([f"{recording.path}: differs at {found.difference}", *found.changed_setup])
