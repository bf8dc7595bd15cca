"""Labels a recording from its own environment: replays it and keeps the labels that the environment gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from agentlab.environment import open_environment, require_labels
from agentlab.errors import InputError
from agentlab.labels.schema import LabelSchema
from agentlab.recording import (
    Episode,
    Make,
    OnStep,
    Recording,
    Replayed,
    add_labels,
    first_difference,
    make_env,
    silent,
)

SOURCE = "env"


def label_from_env(
    recording: Recording,
    *,
    make: Make = open_environment,
    on_step: OnStep = silent,
) -> int:
    """Adds the environment's labels to every frame and returns the number of frames.

    Raises `InputError`, and adds nothing, when the environment gives no labels or the replay differs.
    """
    recording.require_episodes()
    labels: dict[int, npt.NDArray[np.float32]] = {}
    n_steps = 0
    for episode in recording:
        with make_env(recording, make) as env:
            schema = require_labels(env, recording.env_id)
            labels[episode.index] = _episode_labels(episode, env, schema)
        n_steps += episode.n_steps
        on_step(episode.index + 1, n_steps)
    return add_labels(recording.path, schema, labels, source=SOURCE)


def _episode_labels(episode: Episode, env: gym.Env[Any, Any], schema: LabelSchema) -> npt.NDArray[np.float32]:
    rows: list[npt.NDArray[np.float32]] = []

    def keep(replayed: Replayed) -> None:
        values: Mapping[str, Any] = replayed.info.get("labels", {})
        rows.append(schema.encode(values, f"{episode.recording.env_id}: frame {replayed.t}"))

    difference = first_difference(episode, env, keep)
    if difference is not None:
        raise InputError(
            f"{episode.recording.path}: replay differs from the recording, so its labels would be wrong: {difference}"
        )
    return np.stack(rows)
