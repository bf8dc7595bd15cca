"""A recorder of Pong that is killed at random moments, again and again: what is left each time."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agentlab.errors import InputError
from agentlab.progress import Progress
from agentlab.recording import Recording, damages

ENV = "ALE/Pong-v5"
KILLS = 200
LONGEST_EPISODE = 150
"""Short, so that many of the kills fall into the end of an episode."""
LATEST_S = 2.0
"""How long after its start a recorder is killed at the latest."""


def measure(out: Path, *, seed: int, progress: Progress, kills: int = KILLS) -> dict[str, Any]:
    """Starts the command that records, kills it with SIGKILL at a random moment, and looks at what is there; so often.

    A finished episode is lost when fewer are there than were a moment before the kill, and torn when a row, a frame or
    a checksum of it does not hold; a start that fails would need a repair.
    """
    moments = random.Random(seed)
    lost = failed_starts = counted = 0
    with TemporaryDirectory(dir=out) as folder, progress.task("crashes", kills, "kills") as task:
        path = Path(folder) / "recording"
        for _ in range(kills):
            before, failed = _killed(path, moments.uniform(0.0, LATEST_S))
            counted, failed_starts = _n_episodes(path), failed_starts + failed
            lost += max(0, before - counted)
            task.advance(note=f"{counted} episodes")
        failed_starts += subprocess.run(_command(path, episodes=1), capture_output=True, check=False).returncode != 0
        recording = Recording(path)
        torn = damages(recording)
        ended = [episode.provenance["ended_by"] for episode in recording]
    return {
        "kills": kills,
        "episodes": len(ended),
        "recovered": ended.count("interruption"),
        "lost": lost,
        "torn": torn,
        "failed_starts": failed_starts,
    }


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The measurement as lines for people."""
    yield (
        f"{found['kills']} times SIGKILL while recording Pong: {found['episodes']:,} episodes, {found['recovered']} of "
        f"them recovered; {found['lost']} lost, {len(found['torn'])} torn, {found['failed_starts']} starts failed"
    )


def _killed(path: Path, after_s: float) -> tuple[int, bool]:
    """Kills a recorder so long after it began to write; how many episodes there were just before, and whether it had
    ended by itself."""
    known = _n_episodes(path)
    recorder = subprocess.Popen(_command(path, episodes=10_000), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not _is_written_by(recorder.pid, path) and recorder.poll() is None:
            time.sleep(0.005)
        deadline_s = time.perf_counter() + after_s
        while time.perf_counter() < deadline_s and recorder.poll() is None:
            time.sleep(0.001)
        known = max(known, _n_episodes(path))
        return known, recorder.poll() is not None
    finally:
        recorder.kill()
        recorder.wait()


def _command(path: Path, episodes: int) -> list[str]:
    options = ["--append", "--episodes", str(episodes), "--max-steps", str(LONGEST_EPISODE)]
    return [sys.executable, "-m", "agentlab", "record", ENV, "--out", str(path), *options]


def _is_written_by(process_id: int, path: Path) -> bool:
    """Whether this recorder has begun; the lock file of the one killed before may still be there."""
    lock = path / "writer.lock"
    return lock.exists() and lock.read_text().partition(" ")[0] == str(process_id)


def _n_episodes(path: Path) -> int:
    try:
        return len(Recording(path))
    except InputError:
        return 0
