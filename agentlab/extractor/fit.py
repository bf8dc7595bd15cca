"""Fitting: from recordings to a frozen extractor, in one round of stages of steps (see `learner` for its seams)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from agentlab import device as devices
from agentlab import weights
from agentlab.artefact import META, claim, new_folder, read_json, require_room, sha256, write_json
from agentlab.errors import InputError
from agentlab.extractor.counters import counters
from agentlab.extractor.dataset import FrameDataset, Indices, split, split_three, spread
from agentlab.extractor.eye import Eye
from agentlab.extractor.frozen import FORMAT_VERSION, KIND, WEIGHTS, FrozenExtractor
from agentlab.extractor.learner import Learner, Seams, StageRunner, StageSampler
from agentlab.extractor.network import N_COMPONENTS, dropout_probabilities
from agentlab.extractor.scoreboard import scoreboard
from agentlab.extractor.scores import rightness, scores
from agentlab.fields import to_plain
from agentlab.labels import LabelSchema, Number
from agentlab.metrics import MetricsLog, NoMetrics
from agentlab.progress import NoProgress, Progress
from agentlab.strategies.ledger import Ledger

if TYPE_CHECKING:
    from agentlab.recipe import ExtractorConfig
    from agentlab.recording import Recording

CHECKPOINT = "fit.safetensors"
HOLDOUT = "holdout.json"
LEDGER = "ledger.json"
FRAMES_LOOKED_AT = 1_000
BYTES_LOOKED_AT = 2**25
"""How many frames, and bytes of them, are at most held at once to take statistics and the held-out loss from."""
PLOTTED_VALUES = 2_000
FEW_UPDATES, ENOUGH_UPDATES = 200, 500
"""Fewer than the first are warned of, and the second advised."""

Watched: TypeAlias = tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]
"""Frames and their label rows."""


def fit(
    recordings: Sequence[Recording],
    config: ExtractorConfig,
    out: Path,
    *,
    seed: int = 0,
    device: str = "auto",
    threads: int = 0,
    checkpoint: Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
    metrics: MetricsLog | None = None,
    seams: Seams | None = None,
    start: FrozenExtractor | None = None,
) -> FrozenExtractor:
    """Fits an extractor on the labelled frames of `recordings`, freezes it and writes it to the folder `out`.

    The network begins at the weights of `start`, if given; its predictions stay on their scale but for numbers that
    range much further. With a `checkpoint` folder it goes on from the last whole stage kept there. Scores per label are
    taken on held-out episodes. Raises `InputError` for recordings without labels, of different schemas or frame shapes,
    or with only one episode, for a checkpoint of another fit, when the fit diverges, and when `out` exists.
    """
    require_room(out, force=force)
    check_recordings(recordings)
    with devices.computing(threads):
        picked = devices.pick(device)
        trained_on, validated_on, held_out = _datasets(recordings, config, seed)
        seams = seams or Seams()
        watched = _watched(trained_on)
        looked_at = torch.from_numpy(watched[0])
        schema = recordings[0].require_labels()
        counting = counters(schema, trained_on.labels_by_episode())
        described = start.eye.architecture if start else architecture(recordings, schema, counting, config, seed)
        torch.manual_seed(seed)
        learner = begin(Eye(described, schema), trained_on, looked_at, config, picked, seams, start)
        if checkpoint is not None:
            sources = [recording.fingerprint() for recording in recordings]
            claim(checkpoint, {"recordings": sources, "seed": seed, **to_plain(config), **seams.settings()})
        progress = progress or NoProgress()
        if any(described["scoreboard"]):
            top, bottom = described["scoreboard"]
            progress.say(f"fit: {top} rows at the top and {bottom} at the bottom only keep the score: seen apart")
        for recording in recordings:
            n_labelled = sum(int(episode.labelled.sum()) for episode in recording)
            progress.say(f"fit: learns from {recording.path}, {n_labelled:,} labelled frames of {recording.env_id}")
        if config.frames is not None and len(trained_on) < config.frames:
            progress.say(f"fit: {config.frames:,} frames were asked for; takes the {len(trained_on):,} there are")
        _warn_of_few_updates(len(trained_on), config, progress)
        run_round(learner, trained_on, validated_on, held_out, config, seed, seams, checkpoint, progress, metrics)
        seams.finish(learner.eye)
        learner.eye.eval()
        _settle(learner.eye, watched, _watched(held_out), picked)
        found = {"counters": counting, "frames": len(trained_on), **seams.settings()}
        if validated_on is not None:
            read = rightness(schema, validated_on.labels, predict(learner.eye, validated_on)).mean()
            found["validation"] = {"read": float(read), "frames": len(validated_on)}
        ledger = learner.ledger.entry(seed, seams.entries()) | {"earlier": _ledgers(start)}
        return _freeze(
            learner.eye, recordings, held_out, found, ledger, config, out, seed=seed, device=device, force=force
        )


def _warn_of_few_updates(n_frames: int, config: ExtractorConfig, progress: Progress) -> None:
    each = math.ceil(n_frames / config.batch_size)
    if each * config.epochs < FEW_UPDATES:
        progress.say(
            f"fit: {config.epochs} epochs of {n_frames:,} frames are {each * config.epochs:,} updates, too few to "
            f"learn much; {math.ceil(ENOUGH_UPDATES / each):,} epochs are {ENOUGH_UPDATES:,}"
        )


def _datasets(
    recordings: Sequence[Recording], config: ExtractorConfig, seed: int
) -> tuple[FrameDataset, FrameDataset | None, FrameDataset]:
    """The frames to train on, those to choose by, if any are asked for, and those held out."""
    if config.validation:
        return split_three(recordings, config.holdout, config.validation, seed, config.frames)
    trained_on, held_out = split(recordings, config.holdout, seed, config.frames)
    return trained_on, None, held_out


def begin(
    eye: Eye,
    trained_on: FrameDataset,
    looked_at: torch.Tensor,
    config: ExtractorConfig,
    device: torch.device,
    seams: Seams,
    start: FrozenExtractor | None,
) -> Learner:
    """A learner for a fresh `eye`, with an optimiser; its schedule is still to be settled.

    Without a `start` it takes the scale of pixels from the frames `looked_at`.
    """
    eye.network.fit_in_bfloat16(devices.uses_bfloat16(config.precision, device))
    if start is None:
        eye.network.normalise(looked_at)
        eye.predictors.begin_at(trained_on.labels)
    else:
        eye.load_state_dict(start.eye.state_dict())
        eye.predictors.widen(trained_on.labels)
    eye.predictors.weigh(trained_on.change_rates())
    eye.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    seams.prepare(eye)
    return Learner(eye, seams.optimizer(eye, config, looked_at.to(device)), config, device, Ledger())


def run_round(
    learner: Learner,
    trained_on: FrameDataset,
    validated_on: FrameDataset | None,
    held_out: FrameDataset,
    config: ExtractorConfig,
    seed: int,
    seams: Seams,
    checkpoint: Path | None,
    progress: Progress,
    metrics: MetricsLog | None,
) -> None:
    """Runs the stages that the learner has not done yet, until the sampler ends them, and keeps it after each."""
    sampler = seams.sampler(trained_on, learner, config, seed)
    learner.total_steps = sampler.n_stages * math.ceil(len(sampler) / config.batch_size)
    stages = seams.stages(trained_on, learner)
    _restore(learner, sampler, stages, checkpoint)
    watched = _watched(held_out)
    validated = None if validated_on is None else _watched(validated_on)
    metrics = metrics or NoMetrics()
    done = learner.stages_done
    with progress.task("fit", sampler.n_stages * len(sampler), "frames", done * len(sampler)) as task:
        for stage in range(done, sampler.n_stages):
            torch.manual_seed(seed * 1_000_003 + stage)
            sampler.begin_stage(stage)
            batches = trained_on.batches(np.fromiter(sampler, np.int64), config.batch_size)
            loss = _finite(stages.run(learner, batches, task), "loss", config)
            learner.stages_done += 1
            numbers = {"loss": loss, **seams.measured(learner.eye)}
            if _ends_a_pass(stage, sampler, trained_on):
                numbers["holdout_loss"] = _finite(float(learner.losses(*watched).mean()), "held-out loss", config)
                task.advance(0, note=f"loss {loss:.4f}, held out {numbers['holdout_loss']:.4f}")
                if validated is not None:
                    numbers["validation_read"] = learner.share_read(*validated)
                    if sampler.after_stage(numbers["validation_read"]):
                        learner.stages_done = sampler.n_stages
            metrics.write(stage + 1, **numbers)
            _keep(learner, sampler, stages, checkpoint)
            if learner.stages_done == sampler.n_stages:
                break


def _finite(loss: float, name: str, config: ExtractorConfig) -> float:
    if not math.isfinite(loss):
        raise InputError(
            f"fit: the {name} became {loss}: the fit diverged; take a learning rate lower than {config.learning_rate:g}"
        )
    return loss


def _watched(data: FrameDataset) -> Watched:
    """Some frames and their label rows, few enough to be held at once."""
    at = _looked_at(data)
    return data.frames(at), data.labels[at]


@torch.inference_mode()
def _settle(eye: Eye, trained_on: Watched, held_out: Watched, device: torch.device) -> None:
    """Standardises the features of a fitted eye, and lets it learn how sure it can be."""
    seen = [tuple(torch.from_numpy(column).to(device) for column in some) for some in (trained_on, held_out)]
    eye.standardise_features(eye.network(seen[0][0]))
    known, checked = ((eye.network(frames), rows) for frames, rows in seen)
    eye.predictors.learn_certainty(known, checked)


def _ends_a_pass(stage: int, sampler: StageSampler, trained_on: FrameDataset) -> bool:
    """Whether as many frames as there are have been trained on since another stage ended so, or at last."""
    passes_before, passes = (n * len(sampler) // len(trained_on) for n in (stage, stage + 1))
    return passes > passes_before or stage == sampler.n_stages - 1


def _ledgers(start: FrozenExtractor | None) -> list[Any]:
    """What the fits cost that an extractor came from, the first one first."""
    if start is None or not (start.folder / LEDGER).exists():
        return []
    ledger = dict(read_json(start.folder / LEDGER))
    earlier: list[Any] = ledger.pop("earlier", [])
    return [*earlier, ledger]


def check_recordings(recordings: Sequence[Recording]) -> None:
    """Raises `InputError` unless the recordings have two episodes with labels of one schema on frames of one shape."""
    if not recordings:
        raise InputError("recordings: expected at least one recording, found none")
    first = recordings[0]
    for recording in recordings:
        recording.require_episodes(2 if len(recordings) == 1 else 1)
        if recording.require_labels() != first.label_schema:
            raise InputError(
                f"{recording.path}: expected the labels {first.label_schema!r} as in {first.path}, "
                f"found {recording.label_schema!r}"
            )
        if tuple(recording.frame_shape) != tuple(first.frame_shape):
            raise InputError(
                f"{recording.path}: expected frames of shape {first.frame_shape} as in {first.path}, "
                f"found {recording.frame_shape}"
            )
    if (n := sum(bool(episode.labelled.any()) for recording in recordings for episode in recording)) < 2:
        raise InputError(
            f"{first.path}: expected labelled frames in at least 2 episodes, found them in {n}; "
            "label more, see  agentlab label --help"
        )


def architecture(
    recordings: Sequence[Recording],
    schema: LabelSchema,
    counting: Sequence[str],
    config: ExtractorConfig,
    seed: int,
) -> dict[str, Any]:
    """The arguments of `Eye` for recordings and a configuration, as they are kept in `meta.json`."""
    points = {name for name, label in schema.items() if isinstance(label, Number) and label.counts_points}
    episodes = (episode for recording in recordings for episode in recording)
    generator = torch.Generator().manual_seed(seed)
    return {
        "frame_shape": list(recordings[0].frame_shape),
        "n_features": config.features,
        "channels": config.channels,
        "keypoints": config.keypoints,
        "dropout": dropout_probabilities(config.dropout, N_COMPONENTS, generator),
        "scoreboard": list(scoreboard(episodes)) if config.scoreboard else [0, 0],
        "board_labels": [name for name in schema if name in points.union(counting)],
    }


def _looked_at(data: FrameDataset) -> Indices:
    """Evenly spread frames to take statistics from, few enough to be held at once."""
    frame_bytes = data.frames(np.zeros(1, np.int64)).nbytes
    return spread(len(data), min(FRAMES_LOOKED_AT, max(2, BYTES_LOOKED_AT // frame_bytes)))


def _keep(learner: Learner, sampler: StageSampler, stages: StageRunner, checkpoint: Path | None) -> None:
    if checkpoint is not None:
        checkpoint.mkdir(parents=True, exist_ok=True)
        kept = weights.prefixed("sampler", sampler.state()) | weights.prefixed("stages", stages.state())
        weights.save(checkpoint / CHECKPOINT, learner.state() | kept)


def _restore(learner: Learner, sampler: StageSampler, stages: StageRunner, checkpoint: Path | None) -> None:
    """Brings back what the checkpoint keeps, if there is one."""
    if checkpoint is not None and (checkpoint / CHECKPOINT).exists():
        kept = weights.load(checkpoint / CHECKPOINT)
        learner.restore(kept, checkpoint / CHECKPOINT)
        sampler.restore(weights.under("sampler", kept))
        stages.restore(weights.under("stages", kept))


def _freeze(
    eye: Eye,
    recordings: Sequence[Recording],
    held_out: FrameDataset,
    found: Mapping[str, Any],
    ledger: Mapping[str, Any],
    config: ExtractorConfig,
    out: Path,
    *,
    seed: int,
    device: str,
    force: bool,
) -> FrozenExtractor:
    """Writes the fitted eye, its scores, what else was `found` in the recordings and the ledger as an artefact."""
    from agentlab import __version__

    schema = eye.predictors.schema
    predicted = predict(eye, held_out)
    meta = {
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "agentlab_version": __version__,
        "seed": seed,
        "recipe": to_plain(config),
        "architecture": eye.architecture,
        "preprocessing": {"pixels": "(value - mean image) / spread, both part of the weights"},
        "label_schema": schema.to_dict(),
        "labels": scores(schema, held_out.labels, predicted),
        "read": float(rightness(schema, held_out.labels, predicted).mean()),
        **found,
        "env": recordings[0].env_id,
        "env_kwargs": dict(recordings[0].env_kwargs),
        "parents": [{"kind": "recording", "path": str(r.path), "sha256": r.fingerprint()} for r in recordings],
    }
    with new_folder(out, force=force) as folder:
        weights.save(folder / WEIGHTS, eye.state_dict())
        write_json(folder / HOLDOUT, _plotted(schema, held_out.labels, predicted))
        write_json(folder / LEDGER, ledger)
        write_json(folder / META, meta | {"sha256": sha256(folder / WEIGHTS)})
    return FrozenExtractor.load(out, device)


@torch.inference_mode()
def predict(eye: Eye, data: FrameDataset) -> Any:
    """The predicted label rows of all frames of a dataset, in evaluation mode."""
    eye.eval()
    device = eye.predictors.mean.device
    parts = []
    for frames, _ in data.batches(np.arange(len(data)), 256):
        parts.append(eye.label_rows(torch.from_numpy(frames).to(device)).cpu())
    return torch.cat(parts).numpy()


def _plotted(schema: Any, true: Any, predicted: Any) -> dict[str, Any]:
    """True and predicted values of each label on evenly spread held-out frames that have one, for the report."""
    plotted = {}
    for column, name in enumerate(schema):
        present = np.flatnonzero(~np.isnan(true[:, column]))
        at = present[spread(len(present), PLOTTED_VALUES)] if len(present) else present
        found = predicted[at, column]
        plotted[name] = {
            "true": true[at, column].tolist(),
            "predicted": [None if np.isnan(value) else float(value) for value in found],
        }
    return plotted
