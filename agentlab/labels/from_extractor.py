"""Predicts the labels of a recording's frames with an extractor, and how sure it is of each; they stay predictions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from agentlab.artefact import META
from agentlab.progress import NoProgress, Progress, Task
from agentlab.recording import Episode, Recording, store_predictions

if TYPE_CHECKING:
    import numpy.typing as npt

    from agentlab.extractor import FrozenExtractor

    Floats = npt.NDArray[np.float32]

FRAMES_PER_BATCH = 256


def extractor_folder(run: Path) -> Path:
    """The folder of the extractor of a run, or the folder itself where it is an extractor's."""
    return run / "extractor" if (run / "extractor" / META).exists() else run


def predict_labels(recording: Recording, extractor: FrozenExtractor, *, progress: Progress | None = None) -> int:
    """Stores what the extractor sees in every frame beside the episodes and returns the number of frames.

    Holds 8 bytes for each frame and label. Raises `InputError`, and stores nothing, for frames of another shape than
    the extractor's.
    """
    recording.require_episodes()
    extractor.require_frames(recording.frame_shape, str(recording.path))
    with (progress or NoProgress()).task("predict", recording.total_frames, "frames") as task:
        predicted = {episode.index: _of_episode(episode, extractor, task) for episode in recording}
    store_predictions(
        recording.path, extractor.label_schema, predicted, path=extractor.folder, sha256=extractor.fingerprint
    )
    return recording.total_frames


def _of_episode(episode: Episode, extractor: FrozenExtractor, task: Task) -> tuple[Floats, Floats]:
    """The label rows and confidences of an episode's frames."""
    labels, confidences = [], []
    for first in range(0, episode.n_frames, FRAMES_PER_BATCH):
        frames = episode.frames(range(first, min(first + FRAMES_PER_BATCH, episode.n_frames)))
        rows, sure = extractor.predict_labels_with_confidence(frames)
        labels.append(rows)
        confidences.append(sure)
        task.advance(len(frames))
    return np.concatenate(labels), np.concatenate(confidences)
