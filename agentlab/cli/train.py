"""`agentlab train`: a frozen extractor and an environment to a head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from agentlab.cli.options import Common, parse
from agentlab.cli.result import Result
from agentlab.cli.resuming import checkpoint_beside
from agentlab.recipe import HeadConfig, Scalar, Seed


@dataclass(frozen=True, kw_only=True)
class Options(Common):
    """Trains a head that chooses actions from the features of a frozen extractor.

    $ agentlab train runs/mine/extractor --env ALE/Pong-v5 --out runs/mine/head

    A folder with extractor/ and head/ is a run: agentlab evaluate runs/mine. Stopped by Ctrl-C, --resume goes on.
    """

    extractor: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="EXTRACTOR")]
    """Folder of the extractor."""
    env: str
    """Gymnasium id."""
    out: Path
    """Folder of the head."""
    recordings: tuple[Path, ...] = ()
    """Recordings that the head learns from first; see --dqn.recorded-updates and --ppo.recorded-updates."""
    env_kwargs: Mapping[str, Scalar] = field(default_factory=dict)
    """What the environment is made with."""
    resume: bool = False
    """Go on where an interrupted training stopped."""
    force: bool = False
    """Replace an existing head."""
    seed: Seed = 0
    """Seed of weights, environments and exploration."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`."""
    threads: int = 0
    """Threads for the networks; 0 takes one, which leaves the other cores to the game."""
    config: Annotated[HeadConfig, tyro.conf.arg(name="")] = field(default_factory=HeadConfig)


def read(args: Sequence[str]) -> Options:
    return parse(Options, args, "train", compact=True)


def execute(options: Options, args: Sequence[str]) -> Result:  # noqa: ARG001
    from agentlab.artefact import read_json
    from agentlab.environment import check_environment
    from agentlab.extractor import FrozenExtractor
    from agentlab.head import train
    from agentlab.progress import on_stderr
    from agentlab.recording import Recording

    extractor = FrozenExtractor.load(options.extractor, options.device)
    check_environment(
        options.env,
        options.env_kwargs,
        algorithm=options.config.algorithm,
        frame_shape=extractor.frame_shape,
        schema=extractor.label_schema,
    )
    with checkpoint_beside(options.out, resume=options.resume, force=options.force) as checkpoint:
        train(
            extractor,
            options.env,
            options.env_kwargs,
            options.config,
            options.out,
            seed=options.seed,
            device=options.device,
            threads=options.threads,
            checkpoint=checkpoint,
            force=options.force,
            recordings=[Recording(path) for path in options.recordings],
            progress=on_stderr(),
        )
    meta = read_json(options.out / "meta.json")
    return Result(meta, f"{options.out}: trained for {meta['metrics']['steps']:,} agent steps")
