"""`agentlab bench`: measurements that users can run themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from agentlab.cli.options import Common, parse
from agentlab.cli.result import Result
from agentlab.errors import InputError, InterruptedWorkError
from agentlab.recipe import Count, Recipe, Seed

Name = Literal["throughput", "memory", "scaling", "atari100k", "labels", "ablation", "strategies", "recording"]


@dataclass(frozen=True, kw_only=True)
class Options(Common):
    """Measures agentlab on this machine, beside others; keep it quiet meanwhile.

    $ agentlab bench throughput runs/pong
    $ agentlab bench scaling runs/pong
    $ agentlab bench memory runs/pong
    $ agentlab bench atari100k Pong Breakout Freeway --seeds 5
    $ agentlab bench labels Pong
    $ agentlab bench ablation Pong Breakout --steps 50000
    $ agentlab bench strategies
    $ agentlab bench strategies fixnorm random-patience
    $ agentlab bench recording

    throughput: agent steps a second of the raw game, of ours and of Stable-Baselines3's algorithms; the eye by runtime.
    scaling: the same for 1 to 256 environments, and as a training grows to a million steps; its memory.
    memory: bytes a transition of the replay memory of features, and of SB3's of images.
    atari100k: scores after 100,000 agent steps, over several seeds, beside published ones.
    labels: the score against the number of labelled frames.
    ablation: what each part of the DQN head is worth, over several seeds.
    strategies: what training strategies are worth beside the best known ways to the same end, on equal terms; by name
    or, with `together`, what fits with several cost.
    recording: what recordings cost and survive, on Atari games; all of it or by name: pace, size, reads, page, crashes.
    """

    name: Annotated[tyro.conf.Positional[Name], tyro.conf.arg(metavar="NAME")]
    """What to measure."""
    subjects: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="RUN|GAME|STRATEGY|PART...")]
    """The run whose extractor, environment and head are measured, the games to train on, or the strategies or parts,
    all if none is named."""
    out: Path = Path("bench")
    """Folder for the figures as JSON, the plot as SVG and the runs; those that are finished there are kept."""
    seeds: Count = 5
    """Number of seeds of atari100k, ablation and strategies."""
    recipe: str = "atari100k"
    """Recipe of the runs of atari100k, labels and ablation; recordings that it names are made anew, and for labels and
    ablation its refreshes left out."""
    steps: Count | None = None
    """Agent steps of training of each of these runs; none takes the recipe's."""
    frames: Count = 100_000
    """Frames of five Atari games that strategies are measured on."""
    seed: Seed = 0
    """Seed of environments and weights; atari100k and ablation take several."""


ON_FRAMES = ("mode-choice", "together", "hard-clusters")
"""The strategies that are measured on frames of games."""
OF_GAMES = ("atari100k", "labels", "ablation")
"""The measurements that train on games."""
TAKES: dict[str, tuple[str, ...]] = {
    "throughput": ("seed",),
    "memory": (),
    "scaling": ("seed",),
    "atari100k": ("seeds", "recipe", "steps"),
    "labels": ("seed", "recipe", "steps"),
    "ablation": ("seeds", "recipe", "steps"),
    "strategies": ("seeds", "frames"),
    "recording": ("seed",),
}
"""Which of the options that not all measurements take each of them does."""


def read(args: Sequence[str]) -> Options:
    options = parse(Options, args, "bench")
    takes = TAKES[options.name]
    for option in ("seeds", "recipe", "steps", "frames", "seed"):
        if option not in takes and getattr(options, option) != getattr(Options, option):
            others = f"it takes --{', --'.join(takes)}" if takes else "it takes no such option"
            raise InputError(f"bench {options.name}: --{option} changes nothing here; {others}")
    sees_no_frames = options.subjects and not {*ON_FRAMES} & {*options.subjects}
    if options.name == "strategies" and options.frames != Options.frames and sees_no_frames:
        raise InputError(f"bench strategies: --frames changes nothing here; {', '.join(ON_FRAMES)} take it")
    return options


def execute(options: Options, args: Sequence[str]) -> Result:  # noqa: ARG001
    from importlib import import_module

    from agentlab.artefact import require_writable, write_json
    from agentlab.bench import machine

    require_writable(options.out)
    bench = import_module(f"agentlab.bench.{options.name}")
    others = {
        "strategies": _measure_strategies,
        "recording": _measure_recording,
        **dict.fromkeys(OF_GAMES, _measure_games),
    }
    found = others.get(options.name, _measure_run)(options, bench)
    found["machine"] = on = machine.describe()
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / f"{options.name}.json", found)
    bench.plot(found, options.out / f"{options.name}.svg")
    versions = ", ".join(f"{name} {version}" for name, version in on["versions"].items())
    where = f"measured on {on['cores']} cores of {on['processor']}, with {versions}"
    return Result(
        found, f"{bench.table(found)}\n{where}\n{options.out / options.name}.json and the plots beside it show it"
    )


def _measure_run(options: Options, bench: Any) -> dict[str, Any]:
    from agentlab.bench.subject import Subject
    from agentlab.fields import to_plain
    from agentlab.progress import on_stderr

    subject = Subject.of_run(Path(_only(options, "the folder of a run")))
    settings = {} if options.name == "memory" else {"seed": options.seed, "progress": on_stderr()}
    return {**bench.measure(subject, **settings), "head": to_plain(subject.head)}


def _measure_strategies(options: Options, bench: Any) -> dict[str, Any]:
    from agentlab.progress import on_stderr

    out = options.out / "strategies"
    return dict(bench.measure(options.subjects, out, seeds=options.seeds, frames=options.frames, progress=on_stderr()))


def _measure_recording(options: Options, bench: Any) -> dict[str, Any]:
    from agentlab.progress import on_stderr

    out = options.out / "recording"
    return dict(bench.measure(options.subjects, out, seed=options.seed, progress=on_stderr()))


def _measure_games(options: Options, bench: Any) -> dict[str, Any]:
    from agentlab import recipe as recipes
    from agentlab.bench.runs import id_of
    from agentlab.progress import on_stderr

    recipe, progress = replace(recipes.load(recipes.find(options.recipe)), recordings=()), on_stderr()
    if options.steps is not None:
        recipe = replace(recipe, head=replace(recipe.head, total_steps=options.steps))
    run: Callable[[Recipe, Path], Mapping[str, Any]] = _runner(progress)
    if options.name == "labels":
        env_id = id_of(_only(options, "a game, such as Pong, or the id of an environment"))
        out = options.out / "labels"
        return dict(bench.measure(env_id, out, seed=options.seed, recipe=recipe, run=run, progress=progress))
    if not options.subjects:
        raise InputError(f"bench {options.name}: expected games, such as Pong, found none")
    out = options.out / options.name
    found = bench.measure(options.subjects, out, seeds=options.seeds, recipe=recipe, run=run, progress=progress)
    return dict(found)


def _runner(progress: Any) -> Callable[[Recipe, Path], Mapping[str, Any]]:
    """Runs a recipe in a folder, going on where it was interrupted."""
    from agentlab import pipeline

    def run(recipe: Recipe, out: Path) -> Mapping[str, Any]:
        try:
            return pipeline.run(recipe, out, resume=out.exists(), progress=progress)
        except InterruptedWorkError as interrupt:
            raise InterruptedWorkError(
                f"interrupted; {out} keeps what was reached; the same command goes on"
            ) from interrupt

    return run


def _only(options: Options, expected: str) -> str:
    if len(options.subjects) != 1:
        raise InputError(f"bench {options.name}: expected {expected}, found {len(options.subjects)} of them")
    return options.subjects[0]
