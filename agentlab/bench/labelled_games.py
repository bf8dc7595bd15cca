"""Labelled frames to measure strategies on: recordings of several Atari games, made once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agentlab.artefact import new_folder
from agentlab.play import record_episodes
from agentlab.progress import Progress
from agentlab.recipe import RecordConfig
from agentlab.recording import Recording

GAMES = ("Pong", "Breakout", "Freeway", "MsPacman", "Seaquest")
ENV_KWARGS = {"repeat_action_probability": 0.0}
LONGEST_EPISODE = 1_000
EPISODES = 5
"""Episodes that are at least recorded of a game, so that some can be held out."""
SEED = 7_000_000


def recorded(games: Sequence[str], n_frames: int, out: Path, progress: Progress) -> dict[str, Recording]:
    """A recording of about `n_frames` / len(games) frames of each game, in `out`, made unless it is there."""
    recordings = {}
    for game in games:
        enough = max(1, n_frames // len(games))
        path = out / f"{game}-{enough}"
        if not path.exists():
            progress.say(f"records {game}")
            longest = max(1, min(LONGEST_EPISODE, enough // EPISODES))
            config = RecordConfig(episodes=1_000, policy="wandering", max_steps=longest, enough_steps=enough)
            with new_folder(path) as folder:
                record_episodes(
                    f"ALE/{game}-v5", ENV_KWARGS, config, folder / "recording", seed=SEED, progress=progress
                )
        recordings[game] = Recording(path / "recording")
    return recordings
