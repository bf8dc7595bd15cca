"""`agentlab fit`: recordings to a frozen extractor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from agentlab.cli.options import Common, parse, strategies_named
from agentlab.cli.result import Result
from agentlab.cli.resuming import checkpoint_beside
from agentlab.recipe import (
    ExtractorConfig,
    FixNormConfig,
    HardClustersConfig,
    ModeChoiceConfig,
    Seed,
    Strategies,
    Strategy,
    require_no_rounds,
)


@dataclass(frozen=True, kw_only=True)
class Options(Common):
    """Fits a feature extractor on the labelled frames of recordings and freezes it.

    $ agentlab fit recordings/pong --out runs/mine/extractor
    $ agentlab fit rec1 rec2 --out runs/mine/extractor --epochs 20

    Scores per label are taken on held-out episodes. Stopped by Ctrl-C, the same command with --resume goes on.
    """

    recordings: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="REC...")]
    """Labelled recordings."""
    out: Path
    """Folder of the extractor."""
    resume: bool = False
    """Go on where an interrupted fit stopped."""
    force: bool = False
    """Replace an existing extractor."""
    seed: Seed = 0
    """Seed of weights, split and order."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`."""
    threads: int = 0
    """Threads; 0 takes one per core."""
    config: Annotated[ExtractorConfig, tyro.conf.arg(name="")] = field(default_factory=ExtractorConfig)
    strategies: tuple[Strategy, ...] = ()
    """Training strategies; `--with hard-clusters,fixnorm` says the same."""
    hard_clusters: HardClustersConfig = field(default_factory=HardClustersConfig)
    mode_choice: ModeChoiceConfig = field(default_factory=ModeChoiceConfig)
    fixnorm: FixNormConfig = field(default_factory=FixNormConfig)


def read(args: Sequence[str]) -> Options:
    return parse(Options, strategies_named(args), "fit", compact=True)


def execute(options: Options, args: Sequence[str]) -> Result:  # noqa: ARG001
    from agentlab.extractor import StrategicSeams, fit, require_sound
    from agentlab.progress import on_stderr
    from agentlab.recording import Recording

    strategies = Strategies(options.strategies, options.hard_clusters, options.mode_choice, options.fixnorm)
    require_no_rounds(strategies.use)
    require_sound(strategies, options.config)
    with checkpoint_beside(options.out, resume=options.resume, force=options.force) as checkpoint:
        extractor = fit(
            [Recording(path) for path in options.recordings],
            options.config,
            options.out,
            seed=options.seed,
            device=options.device,
            threads=options.threads,
            checkpoint=checkpoint,
            force=options.force,
            progress=on_stderr(),
            seams=StrategicSeams(strategies),
        )
    labels = extractor.meta["labels"]
    lines = [f"{name:<20}{_score(found)}" for name, found in labels.items()]
    return Result(
        {"extractor": str(options.out), "labels": labels}, "\n".join([f"{options.out}: on held-out episodes", *lines])
    )


def _score(found: Mapping[str, Any]) -> str:
    from agentlab.extractor.scores import quality

    measure, value = quality(found)
    unknown = "not defined: it never changes" if found["frames"] else "not defined: it has no value"
    score = unknown if value is None else f"{value:.3f}"
    return f"{measure} {score} on {found['frames']:,} frames"
