"""How much smaller recordings of Atari's own frames are than their pixels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gymnasium as gym

from agentlab.environment import require_known
from agentlab.errors import InputError
from agentlab.inspection import describe
from agentlab.progress import Progress
from agentlab.recording import Recording, WanderingPolicy, damages, record

GAMES = ("Pong", "Breakout", "Freeway", "MsPacman", "Seaquest", "SpaceInvaders", "Qbert", "Hero")
STEPS = 2_000


def measure(
    out: Path, *, seed: int, progress: Progress, games: tuple[str, ...] = GAMES, steps: int = STEPS
) -> dict[str, Any]:
    """Bytes a frame on disk of 210x160 frames in colour, with all that is stored with them, and how often they go into
    the bytes of the pixels; every frame is decoded and compared with its hash."""
    compression, each = {}, {}
    with TemporaryDirectory(dir=out) as folder, progress.task("size", len(games), "games") as task:
        for game in games:
            env_id, path = f"ALE/{game}-v5", Path(folder) / game
            require_known(env_id)
            with gym.make(env_id) as env:
                policy = WanderingPolicy(env.action_space)
                record(env, path, policy, episodes=steps, enough_steps=steps, max_steps=steps, seed=seed)
            facts = describe(path)
            if found := damages(Recording(path)):
                raise InputError(found[0])
            compression[game], each[game] = facts["compression"], facts["bytes_per_frame"]
            task.advance(note=f"{game}: 1/{compression[game]:.0f}")
    return {"frame_shape": facts["frame_shape"], "bytes_per_frame": each, "compression": compression}


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The measurement as lines for people."""
    games = ", ".join(f"{game} 1/{times:.0f}" for game, times in found["compression"].items())
    yield f"210x160 frames in colour, lossless, of their pixels' bytes: {games}"
