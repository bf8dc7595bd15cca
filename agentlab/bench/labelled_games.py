"""Labelled frames to measure strategies on: recordings of several Atari games, made once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agentlab.play import record_episodes
from agentlab.progress import Progress
from agentlab.recipe import RecordConfig
from agentlab.recording import Recording

GAMES = ("Pong", "Breakout", "Freeway", "MsPacman", "Seaquest")
ENV_KWARGS = {"repeat_action_probability": 0.0}
LONGEST_EPISODE = 1_000
SEED = 7_000_000


def recorded(games: Sequence[str], n_frames: int, out: Path, progress: Progress) -> dict[str, Recording]:
    """A recording of about `n_frames` / len(games) frames of each game, in `out`/GAME; made unless it is there."""
    recordings = {}
    for game in games:
        path = out / game
        if not path.exists():
            progress.say(f"records {game}")
            enough = max(1, n_frames // len(games))
            config = RecordConfig(episodes=1_000, policy="wandering", max_steps=LONGEST_EPISODE, enough_steps=enough)
            record_episodes(f"ALE/{game}-v5", ENV_KWARGS, config, path, seed=SEED, progress=progress)
        recordings[game] = Recording(path)
    return recordings
