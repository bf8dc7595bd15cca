"""START HERE: the stages in order, each handed what it works on.

Each stage reads the artefacts of those before it in the run's folder and leaves its own there; a stage whose artefact
is there already is skipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentlab import __version__, environment
from agentlab import device as devices
from agentlab.artefact import META, read_json, sha256, write_json
from agentlab.errors import InputError, InterruptedWorkError, as_input_errors
from agentlab.evaluate import evaluate
from agentlab.extractor import FrozenExtractor, StrategicSeams, check_recordings, fit, require_sound
from agentlab.fields import to_plain
from agentlab.head import Agent, find_reward_function, require_learning_from_recordings, train
from agentlab.labels import LabelSchema
from agentlab.play import Casting, cast, record_episodes
from agentlab.progress import NoProgress, Progress
from agentlab.recipe import (
    MOST_EVALUATION_SEED,
    Recipe,
    RecordConfig,
    recording_path,
    require_no_rounds,
    require_sample,
)
from agentlab.recording import Recording
from agentlab.refresh import EyeRefresh
from agentlab.report import record_playback, write_run_report
from agentlab.runfolder import RunFolder
from agentlab.search import Method, Search
from agentlab.seeds import first_seed
from agentlab.space import Space
from agentlab.strategies import RandomPatience

if TYPE_CHECKING:
    from gymnasium import Env

OF_THE_RECORDING = ("record.", "recordings", "env", "seed")
"""Where the fields begin that recordings depend on."""
OF_THE_EYE = ("extractor.", "hard_clusters.", "mode_choice.", "fixnorm.", "strategies", *OF_THE_RECORDING)
"""Where the fields begin that an eye depends on."""
VALIDATION = 0.2
"""Share of the episodes that eyes are compared on, unless the recipe has one."""
VALIDATION_SEEDS = 15_000_000
"""How far the seeds that runs are compared on are from those of evaluations."""


def run(
    recipe: Recipe, out: Path, *, resume: bool = False, force: bool = False, progress: Progress | None = None
) -> dict[str, Any]:
    """Runs the recipe in the folder `out`: records if it must, fits, trains, evaluates and reports; gives the scores.

    With `resume` finished stages are kept and the interrupted one goes on. Raises `InputError` for what is wrong with
    recipe, environment, recordings or folder before anything is written, `InterruptedWorkError` on Ctrl-C.
    """
    progress = progress or NoProgress()
    folder = RunFolder(out)
    require_no_rounds(recipe.strategies)
    folder.check(recipe, resume=resume, force=force)
    if resume and not out.exists():
        progress.say(f"{out}: nothing to resume there, so it begins anew")
    check(recipe)
    folder.begin(recipe, force=force)
    try:
        recordings = _record(recipe, folder, progress)
        extractor = _fit(recipe, recordings, folder, progress)
        _train(recipe, recordings, extractor, folder, progress)
        scores = _evaluate(recipe, folder, progress)
        _report(recipe, folder, progress)
    except InputError:
        folder.abandon()
        raise
    except KeyboardInterrupt as interrupt:
        raise InterruptedWorkError(
            f"interrupted; {folder.kept()}; the same command with --resume goes on"
        ) from interrupt
    folder.finish(_meta(recipe, recordings, folder, scores))
    return scores


def search(
    recipe: Recipe,
    space: Space,
    out: Path,
    *,
    objective: str = "eye",
    method: Method = "tpe",
    trials: int | None = None,
    timeout_s: float | None = None,
    storage: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Runs the recipe with values of the space in the folder `out`, and gives the trials and the best of them.

    The objective `eye` fits alone and takes the share of labels read on validation episodes, `score` runs everything
    and takes the mean return on seeds that are neither trained nor evaluated on. Episodes are recorded once for all
    trials. The strategy random-patience ends the search, others go into each fit. Errors as those of `run`, and
    `InputError` for a field that the objective does not depend on.
    """
    progress = progress or NoProgress()
    if objective == "eye":
        recipe = replace(
            recipe, extractor=replace(recipe.extractor, validation=recipe.extractor.validation or VALIDATION)
        )
    check(recipe)
    useless = [field for field in space if objective == "eye" and not field.startswith(OF_THE_EYE)]
    if useless:
        raise InputError(f"space: field {useless[0]!r} changes nothing about the eye; add --objective score")
    patience = _patience(recipe)
    recipe = replace(recipe, strategies=tuple(name for name in recipe.strategies if name != "random-patience"))
    out.mkdir(parents=True, exist_ok=True)
    searched = Search(recipe, space, out, storage=storage, method=method, objective=objective)
    if not any(field.startswith(OF_THE_RECORDING) for field in space):
        recordings = _record(recipe, RunFolder(out), progress)
        recipe = replace(recipe, recordings=tuple(str(recording.path) for recording in recordings))
    score = partial(_score_of_eye if objective == "eye" else _score_of_run, progress=progress)
    return searched.run(recipe, score, trials=trials, timeout_s=timeout_s, patience=patience, progress=progress)


def _patience(recipe: Recipe) -> RandomPatience | None:
    if "random-patience" not in recipe.strategies:
        return None
    config = recipe.random_patience
    with as_input_errors("random_patience"):
        return RandomPatience(
            config.rounds,
            config.ratio,
            recipe.seed,
            config.max_rounds,
            ties_count_as_misses=config.ties_count_as_misses,
        )


def _score_of_eye(recipe: Recipe, path: Path, progress: Progress) -> float:
    """The share of labels that the recipe's eye reads rightly on validation episodes; fits it unless it is there."""
    folder = RunFolder(path)
    if not folder.extractor.exists():
        path.mkdir(parents=True, exist_ok=True)
        _fit(recipe, _record(recipe, folder, progress), folder, progress)
    return float(read_json(folder.extractor / META)["validation"]["read"])


def _score_of_run(recipe: Recipe, path: Path, progress: Progress) -> float:
    """The mean return of the recipe's agent, on seeds that no evaluation takes; runs it unless it is there."""
    folder = RunFolder(path)
    if not folder.scores.exists():
        validation = (recipe.evaluate.seed + VALIDATION_SEEDS) % (MOST_EVALUATION_SEED + 1)
        config = replace(recipe.evaluate, seed=validation)
        run(replace(recipe, evaluate=config), path, resume=path.exists(), progress=progress)
    return float(read_json(folder.scores)["mean"])


def check(recipe: Recipe) -> None:
    """Raises `InputError` for what in recipe, environment or recordings would stop a stage later."""
    devices.pick(recipe.device)
    find_reward_function(recipe.head.reward)
    require_learning_from_recordings(recipe.head, recipe.env)
    require_sound(recipe.fit_strategies, recipe.extractor)
    if list(recipe.refresh.at) != sorted(set(recipe.refresh.at)):
        raise InputError(f"refresh.at: expected rising shares of the training, found {list(recipe.refresh.at)}")
    env = environment.open_environment(recipe.env, recipe.env_kwargs)
    try:
        frame_shape = environment.require_images(env, recipe.env)
        environment.require_actions(env, recipe.env, recipe.head.algorithm)
        if recipe.head.true_labels or recipe.refresh.at:
            environment.require_labels(env, recipe.env)
        if recipe.recordings:
            _check_recordings(recipe, frame_shape, environment.offered_labels(env, recipe.env))
        else:
            environment.require_labels(env, recipe.env)
            _require_episodes(recipe)
            _check_policy(recipe, env)
    finally:
        env.close()


def _check_policy(recipe: Recipe, env: Env[Any, Any]) -> None:
    config = recipe.record
    with cast(config.policy, Casting(env, recipe.env, config.n_envs, "cpu", config.trust, config.fps)):
        """Whoever can be cast can play."""


def _require_episodes(recipe: Recipe) -> None:
    apart = ["one of them to hold out"] + (["one to choose by"] if recipe.extractor.validation else [])
    if recipe.record.episodes <= len(apart):
        raise InputError(
            f"record.episodes: expected at least {len(apart) + 1} episodes, {' and '.join(apart)}, found "
            f"{recipe.record.episodes}"
        )


def _check_recordings(recipe: Recipe, frame_shape: tuple[int, ...], labels: LabelSchema | None) -> None:
    for name in recipe.recordings:
        require_sample(name)
    recordings = [Recording(recording_path(name)) for name in recipe.recordings]
    check_recordings(recordings)
    if recipe.head.recorded_updates:
        require_learning_from_recordings(recipe.head, recipe.env, recordings)
    found = tuple(recordings[0].frame_shape)
    if found != frame_shape:
        raise InputError(
            f"{recordings[0].path}: expected frames of shape {frame_shape} as {recipe.env} has, found {found}"
        )
    schema = recordings[0].require_labels()
    if labels not in (None, schema):
        raise InputError(
            f"{recordings[0].path}: expected the labels of {recipe.env}: {', '.join(labels or ())}; "
            f"found those of {recordings[0].env_id}: {', '.join(schema)}"
        )


def _record(recipe: Recipe, folder: RunFolder, progress: Progress) -> list[Recording]:
    """The recordings that the recipe names, or the one that is made here, gone on with where it was interrupted."""
    if recipe.recordings:
        return [Recording(recording_path(name)) for name in recipe.recordings]
    left = _left_to_record(recipe.record, folder.recording)
    if left is None:
        progress.say(f"record: skipped, {folder.recording} is there already")
    else:
        progress.say(f"record: plays {recipe.env}, policy {recipe.record.policy}")
        with folder.timed("record"):
            record_episodes(
                recipe.env,
                recipe.env_kwargs,
                left,
                folder.recording,
                seed=first_seed(recipe.seed, "record"),
                device=recipe.device,
                append=True,
                progress=progress,
            )
    return [Recording(folder.recording)]


def _left_to_record(config: RecordConfig, path: Path) -> RecordConfig | None:
    """What is still to be played beyond the recording at `path`, if there is one; none when that is enough."""
    if not path.exists():
        return config
    there = Recording(path)
    episodes = config.episodes - len(there)
    steps = None if config.enough_steps is None else config.enough_steps - there.total_steps
    if episodes <= 0 or (steps is not None and steps <= 0):
        return None
    return replace(config, episodes=episodes, enough_steps=steps)


def _fit(recipe: Recipe, recordings: Sequence[Recording], folder: RunFolder, progress: Progress) -> FrozenExtractor:
    if _is_done("fit", folder.extractor, progress):
        return FrozenExtractor.load(folder.extractor, recipe.device)
    with folder.timed("fit"):
        return fit(
            recordings,
            recipe.extractor,
            folder.extractor,
            seed=recipe.seed,
            device=recipe.device,
            threads=recipe.threads,
            checkpoint=folder.checkpoint("fit"),
            progress=progress,
            metrics=folder.metrics("fit"),
            seams=StrategicSeams(recipe.fit_strategies),
        )


def _train(
    recipe: Recipe, recordings: Sequence[Recording], extractor: FrozenExtractor, folder: RunFolder, progress: Progress
) -> None:
    if _is_done("train", folder.head, progress):
        return
    with folder.timed("train"):
        train(
            extractor,
            recipe.env,
            recipe.env_kwargs,
            recipe.head,
            folder.head,
            seed=recipe.seed,
            device=recipe.device,
            threads=recipe.threads,
            checkpoint=folder.checkpoint("train"),
            recordings=recordings if recipe.head.recorded_updates else (),
            refresh=EyeRefresh(recipe, recordings, folder, progress) if recipe.refresh.at else None,
            progress=progress,
            metrics=folder.metrics("train"),
            tensorboard=folder.tensorboard,
        )


def _evaluate(recipe: Recipe, folder: RunFolder, progress: Progress) -> dict[str, Any]:
    if _is_done("evaluate", folder.scores, progress):
        return read_json(folder.scores)
    with folder.timed("evaluate"), devices.computing(recipe.threads):
        agent = Agent.load(folder.path, recipe.device)
        config = recipe.evaluate
        scores = evaluate(
            agent, recipe.env, recipe.env_kwargs, episodes=config.episodes, seed=config.seed, progress=progress
        )
        write_json(folder.scores, scores.to_dict())
        return scores.to_dict()


def _report(recipe: Recipe, folder: RunFolder, progress: Progress) -> None:
    if _is_done("report", folder.report, progress):
        return
    progress.say("report: an episode to look at, and the page")
    with folder.timed("report"), devices.computing(recipe.threads):
        if not folder.playback.exists():
            record_playback(Agent.load(folder.path, recipe.device), folder.path, seed=recipe.evaluate.seed)
    write_run_report(folder.path)


def _is_done(stage: str, artefact: Path, progress: Progress) -> bool:
    if artefact.exists():
        progress.say(f"{stage}: skipped, {artefact} is there already")
    return artefact.exists()


def _meta(
    recipe: Recipe, recordings: Sequence[Recording], folder: RunFolder, scores: Mapping[str, Any]
) -> dict[str, Any]:
    """What `meta.json` says of the whole run."""
    parents = [{"kind": "recording", "path": str(r.path), "sha256": r.fingerprint()} for r in recordings]
    for part in (folder.extractor, folder.head):
        parents.append({"kind": part.name, "path": str(part), "sha256": sha256(part / "weights.safetensors")})
    return {
        "agentlab_version": __version__,
        "recipe": to_plain(recipe),
        "seed": recipe.seed,
        "parents": parents,
        "metrics": {name: scores[name] for name in ("mean", "iqm", "ci95", "random_mean")},
    }
