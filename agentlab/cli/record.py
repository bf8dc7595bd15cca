"""`agentlab record`: episodes to disk, with labels where the environment knows them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from agentlab.cli.options import Common, parse
from agentlab.cli.result import Result
from agentlab.recipe import Count, EpisodeSteps, Positive, RecordConfig, Scalar, Seed

if TYPE_CHECKING:
    from agentlab.recording import Summary


@dataclass(frozen=True, kw_only=True)
class Options(Common):
    """Records episodes of an environment, losslessly, labels included; Ctrl-C keeps what was recorded.

    $ agentlab record ALE/Pong-v5 --out recordings/pong --episodes 20
    $ agentlab record ALE/Pong-v5 --out recordings/pong --append --policy runs/pong
    $ agentlab record ALE/Pong-v5 --out recordings/mine --policy human
    $ agentlab record ALE/Pong-v5 --out recordings/mixed --policy random:0.3,runs/pong:0.7 --n-envs 4
    $ agentlab record mymodule:Games/Mine-v0 --out mine --env-kwargs level=3
    """

    env: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ENV")]
    """Gymnasium id, `module:Namespace/Name-v0` for one of your own."""
    out: Path
    """Folder of the recording."""
    episodes: Count = 10
    """Episodes to record."""
    policy: str = RecordConfig().policy
    """Who plays: `random`, `wandering` (random actions held for a while), `human`, the folder of a trained run,
    `module:name` of a function or class, the zip of an SB3 model, or a mixture such as `random:0.3,runs/pong:0.7`."""
    trust: bool = False
    """Load an SB3 model: SB3 unpickles its file, which can run any code that is in it."""
    n_envs: Count = 1
    """Episodes played at once, each in a process of its own."""
    fps: Positive | None = None
    """Steps a second when a person plays; none takes the game's own speed."""
    max_steps: EpisodeSteps | None = None
    """Steps after which an episode is cut."""
    enough_steps: Count | None = None
    """Steps after which no further episode is begun, even if there are fewer than `episodes`."""
    env_kwargs: Mapping[str, Scalar] = field(default_factory=dict)
    """What the environment is made with."""
    append: bool = False
    """Add to an existing recording."""
    force: bool = False
    """Replace an existing recording, which stays until the new one has an episode."""
    seed: Seed = 0
    """Episode i is reset with seed + i."""
    device: str = "auto"
    """Where the networks of a trained run work."""


def read(args: Sequence[str]) -> Options:
    return parse(Options, args, "record")


def execute(options: Options, args: Sequence[str]) -> Result:
    from agentlab.errors import InputError
    from agentlab.play import record_episodes
    from agentlab.progress import on_stderr

    if options.append and options.force:
        raise InputError("record: expected --append or --force, found both")
    summary = record_episodes(
        options.env,
        options.env_kwargs,
        _config(options),
        options.out,
        seed=options.seed,
        device=options.device,
        append=options.append,
        force=options.force,
        command=shlex.join(["agentlab", "record", *args]),
        progress=on_stderr(),
    )
    values = {
        "recording": str(summary.path),
        "episodes": summary.episodes,
        "steps": summary.steps,
        "returns": summary.returns,
        "seconds": round(summary.seconds, 3),
        "recovered": summary.recovered,
    }
    return Result(values, f"{summary.path}: {_text(summary, more=options.append)}")


def _config(options: Options) -> RecordConfig:
    return RecordConfig(**{each.name: getattr(options, each.name) for each in fields(RecordConfig)})


def _text(summary: Summary, *, more: bool) -> str:
    if not summary.returns:
        return "nothing was recorded"
    mean = sum(summary.returns) / len(summary.returns)
    return f"{summary.episodes} {'more ' if more else ''}episodes, {summary.steps:,} steps, mean return {mean:.3g}"
