"""Records one episode of a trained agent, with what it thought of each frame, for its report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from agentlab.artefact import require_absent, write_json
from agentlab.evaluate import first_evaluation_seed
from agentlab.report.source import PLAYBACK_FILE, PLAYBACK_FOLDER
from agentlab.report.thoughts import encoded_columns, values_and_kind

if TYPE_CHECKING:
    from agentlab.extractor import FrozenExtractor
    from agentlab.head import Agent
    from agentlab.recording import Episode, Policy

FRAMES_PER_BATCH = 1024


class Observed:
    """Plays as the agent's policy does and keeps the agent's value per action at each step."""

    name = "agent"

    def __init__(self, policy: Policy, agent: Agent) -> None:
        self.values: list[npt.NDArray[np.float32]] = []
        self._policy, self._agent = policy, agent

    def reset(self, seed: int) -> None:
        self._policy.reset(seed)

    def act(self, frame: npt.NDArray[np.uint8], info: dict[str, Any]) -> Any:
        action = self._policy.act(frame, info)
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
    from agentlab.head import AgentPolicy
    from agentlab.recording import Recording, record

    require_absent(run / PLAYBACK_FILE)
    policy = Observed(AgentPolicy(agent, "agent"), agent)
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
    written = {
        "format_version": 1,
        "action_names": agent.action_names,
        **values_and_kind(np.asarray(policy.values, dtype=np.float64)),
        "label_schema": agent.extractor.label_schema.to_dict(),
        "predicted": _predicted(agent.extractor, Recording(run / PLAYBACK_FOLDER)[0]),
    }
    write_json(run / PLAYBACK_FILE, written)


def _predicted(extractor: FrozenExtractor, episode: Episode) -> dict[str, list[float | None]]:
    """Each label's predictions over the episode, encoded as in `LabelSchema`, `None` where predicted absent."""
    batches = [
        extractor.predict_labels(episode.frames(range(first, min(first + FRAMES_PER_BATCH, episode.n_frames))))
        for first in range(0, episode.n_frames, FRAMES_PER_BATCH)
    ]
    return encoded_columns(extractor.label_schema, np.concatenate(batches))
