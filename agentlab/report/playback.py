"""Records one episode of a trained agent, with what it thought of each frame, for its report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from agentlab.artefact import require_absent, write_json
from agentlab.evaluate import first_evaluation_seed
from agentlab.head import Agent, AgentPolicy
from agentlab.report.source import PLAYBACK_FILE, PLAYBACK_FOLDER

if TYPE_CHECKING:
    from agentlab.extractor import FrozenExtractor
    from agentlab.recording import Episode

FRAMES_PER_BATCH = 1024


class Observed(AgentPolicy):
    """Plays as the agent does and keeps its value per action at each step."""

    def __init__(self, agent: Agent) -> None:
        super().__init__(agent, "agent")
        self.values: list[npt.NDArray[np.float32]] = []

    def act(self, frame: npt.NDArray[np.uint8], info: dict[str, Any]) -> Any:
        action = super().act(frame, info)
        values = self._agent.values()
        if values is not None:
            self.values.append(values[0].copy())
        return action


def record_playback(agent: Agent, run: Path, *, seed: int = 0, max_steps: int = 10_000) -> None:
    """Writes `run/playback`, a recording of one episode, and `run/playback.json`, values per step and labels predicted.

    The episode is played on the first evaluation seed for `seed`, not chosen; it is cut after `max_steps`. An episode
    left by an interruption is replaced. Raises `InputError` when a whole one exists already.
    """
    import agentlab_envs
    from agentlab.recording import Recording, record

    require_absent(run / PLAYBACK_FILE)
    policy = Observed(agent)
    env = agentlab_envs.make(agent.env_id, **agent.env_kwargs)
    try:
        record(
            env,
            run / PLAYBACK_FOLDER,
            policy,
            episodes=1,
            seed=first_evaluation_seed(seed),
            env_id=agent.env_id,
            env_kwargs=agent.env_kwargs,
            max_steps=max_steps,
            force=True,
        )
    finally:
        env.close()
    values = np.asarray(policy.values, dtype=np.float64)
    thoughts = {
        "format_version": 1,
        "action_names": agent.action_names,
        "values": [[float(f"{value:.4g}") for value in row] for row in values],
        "values_kind": "probability" if _are_probabilities(values) else "value",
        "label_schema": agent.extractor.label_schema.to_dict(),
        "predicted": _predicted(agent.extractor, Recording(run / PLAYBACK_FOLDER)[0]),
    }
    write_json(run / PLAYBACK_FILE, thoughts)


def _predicted(extractor: FrozenExtractor, episode: Episode) -> dict[str, list[float | None]]:
    """Each label's predictions over the episode, encoded as in `LabelSchema`, `None` where predicted absent."""
    batches = [
        extractor.predict_labels(episode.frames(range(first, min(first + FRAMES_PER_BATCH, episode.n_frames))))
        for first in range(0, episode.n_frames, FRAMES_PER_BATCH)
    ]
    columns = np.concatenate(batches).T
    return {
        name: [None if np.isnan(code) else round(float(code), 2) for code in codes]
        for name, codes in zip(extractor.label_schema, columns, strict=True)
    }


def _are_probabilities(values: npt.NDArray[np.float64]) -> bool:
    return bool(values.size and (values >= 0).all() and np.allclose(values.sum(axis=-1), 1, atol=1e-3))
