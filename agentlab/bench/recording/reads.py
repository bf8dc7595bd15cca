"""How fast frames are read at random, one by one and for training, and in how much memory: each in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agentlab.bench.recording.large import recorded, repeated
from agentlab.progress import Progress
from agentlab.recording import Recording

FRAMES = 100_000
LARGER_THAN = 1_100_000_000
"""Bytes on disk of the recording that is trained on: more than the memory that is allowed for it, 1 GB."""


def measure(
    out: Path, *, seed: int, progress: Progress, frames: int = FRAMES, larger_than: int = LARGER_THAN
) -> dict[str, Any]:
    """Milliseconds a frame of a recording of so many frames, read at random; frames a second of a training's batches
    from a recording of more bytes than `larger_than`; the most memory that either took."""
    recording = recorded(frames, out, seed=seed, progress=progress)
    larger = repeated(recording, larger_than, out, progress)
    progress.say("reads frames at random, then a training's batches")
    single, training = (_in_a_process(what, of, seed) for what, of in (("single", recording), ("training", larger)))
    return {
        "single": {"frames": recording.total_frames, **single},
        "training": {"frames": larger.total_frames, "bytes": larger_than, **training},
        "rates": {"Pong, read for training": training["frames_per_s"]},
    }


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The measurement as lines for people."""
    single, training = found["single"], found["training"]
    yield (
        f"a random frame of {single['frames']:,}: {single['median_ms']:.2f} ms, at most {single['max_ms']:.2f} ms; "
        f"the process takes at most {single['peak_mb']:,.0f} MB"
    )
    yield (
        f"training reads, shuffled, of {training['frames']:,} frames in {training['bytes'] / 1e9:.1f} GB: "
        f"{training['frames_per_s']:,.0f} frames/s; the process takes at most {training['peak_mb']:,.0f} MB"
    )


def _in_a_process(what: str, recording: Recording, seed: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "agentlab.bench.recording.reader_process", what, str(recording.path), str(seed)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(run.stdout)
    return found
