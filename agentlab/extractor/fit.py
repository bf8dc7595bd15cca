"""Fitting: the loop with its seams, from recordings to a frozen extractor.

The seams, for training strategies to stand in: *data* (which frames a stage trains on: a sampler), *stage* (one pass
of steps over them), *round* (one network fitted to the end of its schedule: one call of `fit`), *step* (one update:
the optimiser).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from agentlab import device as devices
from agentlab import weights
from agentlab.artefact import META, new_folder, require_room, sha256, write_json
from agentlab.errors import InputError
from agentlab.extractor.dataset import Batch, FrameDataset, Indices, split
from agentlab.extractor.eye import Eye
from agentlab.extractor.frozen import FORMAT_VERSION, KIND, WEIGHTS, FrozenExtractor
from agentlab.extractor.network import dropout_probabilities
from agentlab.extractor.predictors import scores
from agentlab.metrics import MetricsLog, NoMetrics
from agentlab.progress import NoProgress, Progress, Task

if TYPE_CHECKING:
    from agentlab.recipe import ExtractorConfig
    from agentlab.recording import Recording

CHECKPOINT = "fit.safetensors"
HOLDOUT = "holdout.json"
N_COMPONENTS = 5
FRAMES_LOOKED_AT = 1_000
BYTES_LOOKED_AT = 2**25
"""How many frames, and bytes of them, are at most held at once to take statistics and the held-out loss from."""
PLOTTED_VALUES = 2_000


class ShuffledFrames(torch.utils.data.Sampler[int]):
    """The data seam's default: every frame once a stage, in an order drawn from the seed and the stage."""

    def __init__(self, n_frames: int, seed: int) -> None:
        self._n_frames, self._seed, self._stage = n_frames, seed, 0

    def begin_stage(self, stage: int) -> None:
        self._stage = stage

    def __iter__(self) -> Any:
        return iter(np.random.default_rng((self._seed, self._stage)).permutation(self._n_frames))

    def __len__(self) -> int:
        return self._n_frames


class Learner:
    """A network with its optimiser and schedule: what a step changes and a checkpoint holds."""

    def __init__(self, eye: Eye, config: ExtractorConfig, total_steps: int, device: torch.device) -> None:
        self.eye = eye.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(eye.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        self.steps_done = 0
        self._highest_rate, self._total_steps, self._device = config.learning_rate, total_steps, device

    def step(self, frames: Any, rows: Any) -> Tensor:
        """One update on uint8 frames and their label rows; gives the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._highest_rate * one_cycle(self.steps_done / self._total_steps)
        loss = self.loss(frames, rows)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.eye.parameters(), 1.0)
        self.optimizer.step()
        self.steps_done += 1
        return loss.detach()

    def loss(self, frames: Any, rows: Any) -> Tensor:
        outputs = self.eye.predictors(self.eye.network(torch.from_numpy(frames).to(self._device)))
        loss: Tensor = self.eye.predictors.loss(outputs, torch.from_numpy(rows).to(self._device))
        return loss

    def state(self) -> dict[str, Tensor]:
        return {
            **weights.prefixed("eye", self.eye.state_dict()),
            **weights.prefixed("optimizer", weights.optimizer_state(self.optimizer)),
            "steps_done": torch.tensor(self.steps_done),
        }

    def restore(self, tensors: dict[str, Tensor], path: Path) -> None:
        weights.fill(self.eye, weights.under("eye", tensors), path)
        weights.restore_optimizer(self.optimizer, weights.under("optimizer", tensors))
        self.steps_done = int(tensors["steps_done"])


def one_cycle(share_done: float) -> float:
    """The learning rate as a share of the highest: up over the first tenth, then down to nearly nothing (cosine)."""
    if share_done < 0.1:
        return 0.04 + 0.96 * share_done / 0.1
    return 0.5 * (1 + math.cos(math.pi * (share_done - 0.1) / 0.9)) + 1e-4


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
) -> FrozenExtractor:
    """Fits an extractor on the labelled frames of `recordings`, freezes it and writes it to the folder `out`.

    With a `checkpoint` folder it goes on from the last whole stage kept there. Scores per label are taken on held-out
    episodes. Raises `InputError` for recordings without labels, of different schemas or frame shapes, or with only one
    episode, and when `out` exists.
    """
    progress, metrics = progress or NoProgress(), metrics or NoMetrics()
    require_room(out, force=force)
    check_recordings(recordings)
    picked = devices.pick(device)
    devices.use_threads(threads)
    trained_on, held_out = split(recordings, config.holdout, seed)

    torch.manual_seed(seed)
    eye = Eye(architecture(recordings[0].frame_shape, config, seed), recordings[0].label_schema)  # type: ignore[arg-type]
    eye.network.use_bfloat16(uses_bfloat16(config, picked))
    looked_at = trained_on.frames(_looked_at(trained_on))
    eye.network.normalise(torch.from_numpy(looked_at))
    eye.predictors.standardise(trained_on.labels)
    n_batches = math.ceil(len(trained_on) / config.batch_size)
    learner = Learner(eye, config, config.epochs * n_batches, picked)

    sampler = ShuffledFrames(len(trained_on), seed)
    watched = held_out.frames(at := _looked_at(held_out)), held_out.labels[at]
    done = _restore(learner, checkpoint) // n_batches
    total = config.epochs * len(trained_on)
    with progress.task("fit", total, "frames", done * len(trained_on)) as task:
        for stage in range(done, config.epochs):
            torch.manual_seed(seed * 1_000_003 + stage)
            sampler.begin_stage(stage)
            loss = _run_stage(learner, trained_on.batches(np.fromiter(sampler, np.int64), config.batch_size), task)
            with torch.inference_mode():
                holdout_loss = float(learner.loss(*watched))
            metrics.write(stage + 1, loss=loss, holdout_loss=holdout_loss)
            task.advance(0, note=f"loss {loss:.4f}, held out {holdout_loss:.4f}")
            _keep(learner, checkpoint)
    eye.eval()
    with torch.inference_mode():
        eye.standardise_features(eye.network(torch.from_numpy(looked_at).to(picked)))
    return _freeze(eye, recordings, held_out, config, out, seed=seed, device=device, force=force)


def check_recordings(recordings: Sequence[Recording]) -> None:
    """Raises `InputError` unless the recordings have two episodes, and labels of one schema on frames of one shape."""
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


def architecture(frame_shape: Sequence[int], config: ExtractorConfig, seed: int) -> dict[str, Any]:
    """The arguments of `ExtractorNetwork` for a configuration, as they are kept in `meta.json`."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "frame_shape": list(frame_shape),
        "n_features": config.features,
        "channels": config.channels,
        "keypoints": config.keypoints,
        "dropout": dropout_probabilities(config.dropout, N_COMPONENTS, generator),
    }


def uses_bfloat16(config: ExtractorConfig, device: torch.device) -> bool:
    return devices.bfloat16_is_fast(device) if config.precision == "auto" else config.precision == "bfloat16"


def _run_stage(learner: Learner, batches: Iterable[Batch], task: Task) -> float:
    """Trains on the batches of one stage and leaves the network in evaluation mode; gives the mean loss."""
    losses = []
    learner.eye.train()
    for frames, rows in batches:
        losses.append(learner.step(frames, rows))
        task.advance(len(frames))
    learner.eye.eval()
    return float(torch.stack(losses).mean())


def _looked_at(data: FrameDataset) -> Indices:
    """Evenly spread frames to take statistics from, few enough to be held at once."""
    frame_bytes = data.frames(np.zeros(1, np.int64)).nbytes
    return _spread(len(data), min(FRAMES_LOOKED_AT, max(2, BYTES_LOOKED_AT // frame_bytes)))


def _spread(n: int, wanted: int) -> Indices:
    """At most `wanted` numbers below `n`, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, wanted)).astype(np.int64))


def _keep(learner: Learner, checkpoint: Path | None) -> None:
    if checkpoint is not None:
        checkpoint.mkdir(parents=True, exist_ok=True)
        weights.save(checkpoint / CHECKPOINT, learner.state())


def _restore(learner: Learner, checkpoint: Path | None) -> int:
    """Brings back the learner kept in the checkpoint, if there is one; gives the steps it has done."""
    if checkpoint is not None and (checkpoint / CHECKPOINT).exists():
        learner.restore(weights.load(checkpoint / CHECKPOINT), checkpoint / CHECKPOINT)
    return learner.steps_done


def _freeze(
    eye: Eye,
    recordings: Sequence[Recording],
    held_out: FrameDataset,
    config: ExtractorConfig,
    out: Path,
    *,
    seed: int,
    device: str,
    force: bool,
) -> FrozenExtractor:
    from agentlab import __version__
    from agentlab.fields import to_plain

    schema = eye.predictors.schema
    predicted = predict(eye, held_out)
    meta = {
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "agentlab_version": __version__,
        "seed": seed,
        "config": to_plain(config),
        "architecture": architecture(recordings[0].frame_shape, config, seed),
        "preprocessing": {"pixels": "(value - mean image) / spread, both part of the weights"},
        "label_schema": schema.to_dict(),
        "labels": scores(schema, held_out.labels, predicted),
        "env": recordings[0].env_id,
        "env_kwargs": dict(recordings[0].env_kwargs),
        "parents": [{"kind": "recording", "path": str(r.path), "sha256": r.fingerprint()} for r in recordings],
    }
    with new_folder(out, force=force) as folder:
        weights.save(folder / WEIGHTS, eye.state_dict())
        write_json(folder / HOLDOUT, _plotted(schema, held_out.labels, predicted))
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
        at = present[_spread(len(present), PLOTTED_VALUES)] if len(present) else present
        found = predicted[at, column]
        plotted[name] = {
            "true": true[at, column].tolist(),
            "predicted": [None if np.isnan(value) else float(value) for value in found],
        }
    return plotted
