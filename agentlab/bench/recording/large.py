"""Large recordings of Pong to read from, made once."""

from __future__ import annotations

import shutil
from pathlib import Path

from agentlab.artefact import new_folder, read_json, write_json
from agentlab.play import record_episodes
from agentlab.progress import Progress, Task
from agentlab.recipe import RecordConfig
from agentlab.recording import Recording

ENV = "ALE/Pong-v5"
LONGEST_EPISODE = 1_000


def recorded(n_frames: int, out: Path, *, seed: int, progress: Progress) -> Recording:
    """A recording of at least so many frames of Pong in `out`, made unless it is there."""
    path = out / f"pong-{n_frames}-{seed}"
    if not path.exists():
        config = RecordConfig(episodes=n_frames, policy="wandering", max_steps=LONGEST_EPISODE, enough_steps=n_frames)
        with new_folder(path) as folder:
            record_episodes(ENV, {}, config, folder / "recording", seed=seed, progress=progress)
    return Recording(path / "recording")


def repeated(recording: Recording, n_bytes: int, out: Path, progress: Progress) -> Recording:
    """A recording of the episodes of another one again and again, until they take so many bytes; made unless there."""
    path = out / f"{recording.path.parent.name}-repeated-{n_bytes}"
    if not path.exists():
        with new_folder(path) as folder, progress.task("copy", n_bytes, "bytes") as task:
            _repeat(recording, n_bytes, folder / "recording" / "data", task)
    return Recording(path / "recording")


def _repeat(recording: Recording, n_bytes: int, data: Path, task: Task) -> None:
    data.mkdir(parents=True)
    metadata = read_json(recording.path / "data" / "metadata.json")
    size, index, n_steps = 0, 0, 0
    while size < n_bytes:
        episode = recording[index % len(recording)]
        copy = data / str(index)
        shutil.copytree(recording.path / "data" / str(episode.index), copy)
        written = sum(file.stat().st_size for file in copy.iterdir())
        task.advance(written)
        size, index, n_steps = size + written, index + 1, n_steps + episode.n_steps
    write_json(data / "metadata.json", metadata | {"total_episodes": index, "total_steps": n_steps})
