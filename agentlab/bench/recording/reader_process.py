"""The process that reads frames for `reads`: `python -m agentlab.bench.recording.reader_process HOW RECORDING SEED`."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from agentlab.recording import Recording

SINGLE_FRAMES = 5_000
TRAINING_S = 15.0
BATCH_SIZE = 256


def single(recording: Recording, seed: int) -> dict[str, Any]:
    """Frames of random episodes, one by one."""
    rng = np.random.default_rng(seed)
    spent_ms = []
    for index in rng.integers(0, len(recording), SINGLE_FRAMES):
        episode = recording[int(index)]
        t = int(rng.integers(0, episode.n_frames))
        started_s = time.perf_counter()
        episode.frame(t)
        spent_ms.append(1000 * (time.perf_counter() - started_s))
    return {"median_ms": median(spent_ms), "p99_ms": float(np.percentile(spent_ms, 99)), "max_ms": max(spent_ms)}


def training(recording: Recording, seed: int) -> dict[str, Any]:
    """Shuffled batches of a `DataLoader` without processes of its own, for some seconds after the first; the recording
    is on disk alone when they begin."""
    import torch
    from torch.utils.data import DataLoader

    forget(recording)
    generator = torch.Generator().manual_seed(seed)
    batches = iter(DataLoader(recording.to_torch(), BATCH_SIZE, shuffle=True, generator=generator))
    next(batches)
    n_frames, started_s, spent_s = 0, time.perf_counter(), 0.0
    for batch in batches:
        n_frames += len(batch["frame"])
        spent_s = time.perf_counter() - started_s
        if spent_s > TRAINING_S:
            break
    return {"frames_per_s": n_frames / spent_s, "batch_size": BATCH_SIZE}


def forget(recording: Recording) -> None:
    """Lets the system drop what it keeps in memory of the recording's files."""
    for file in recording.path.rglob("*.arrow"):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def peak_bytes() -> int:
    """The most memory that this process has taken since it began; Linux counts what its parent took in `ru_maxrss`."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    how, path, seed = sys.argv[1:]
    found = {"single": single, "training": training}[how](Recording(path), int(seed))
    print(json.dumps({**found, "peak_mb": peak_bytes() / 1e6}))
