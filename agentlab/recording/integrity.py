"""Whether a recording's files are as they were written, without its environment."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from agentlab.artefact import sha256
from agentlab.errors import InputError
from agentlab.recording.episode import Episode
from agentlab.recording.frames import frame_hash
from agentlab.recording.header import episode_file
from agentlab.recording.progress import OnStep, silent
from agentlab.recording.reader import Recording


def damages(recording: Recording, on_step: OnStep = silent) -> list[str]:
    """A line for each thing that is not as it was written; every row is read, every frame decoded and hashed."""
    found: list[str] = []
    n_steps = 0
    for episode in recording:
        try:
            found += list(_damages_of(episode))
            n_steps += episode.n_steps
        except (InputError, OSError) as error:
            found.append(str(error))
        on_step(episode.index + 1, n_steps)
    if not found and n_steps != recording.total_steps:
        found.append(f"{recording.path}: expected {recording.total_steps} steps in all, found {n_steps}")
    return found


def _damages_of(episode: Episode) -> Iterator[str]:
    where = f"{episode.recording.path}: episode {episode.index}"
    recorded, found = episode.provenance.get("sha256"), sha256(episode_file(episode.recording.path, episode.index))
    if recorded != found:
        yield f"{where}: expected a file with sha256 {str(recorded)[:12]}, found {found[:12]}"
    damaged = [t for t, hashed in enumerate(episode.frame_hashes) if not _is_as_hashed(episode, t, hashed.tobytes())]
    if damaged:
        more = f" and {len(damaged) - 1} more" if len(damaged) > 1 else ""
        yield f"{where}: frame {damaged[0]}{more}: expected the pixels that were hashed, found others or garbled ones"
    if not np.isfinite(episode.rewards).all():
        yield f"{where}: expected finite rewards, found {episode.rewards[~np.isfinite(episode.rewards)][0]}"
    for t in range(episode.n_frames):
        episode.info(t)
    if episode.recording.label_schema is not None:
        _ = episode.labels
    _ = episode.predictions


def _is_as_hashed(episode: Episode, t: int, hashed: bytes) -> bool:
    frame = episode.undamaged_frame(t)
    return frame is not None and frame_hash(frame) == hashed
