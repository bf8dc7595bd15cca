"""Labels a recording from its own environment: replays it and keeps the labels that the environment gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym

from agentlab.environment import open_environment, require_labels
from agentlab.errors import InputError
from agentlab.labels.adding import Added, add
from agentlab.labels.schema import LabelSchema
from agentlab.recording import (
    SOURCE_ENV,
    Episode,
    FrameLabels,
    Make,
    OnStep,
    Recording,
    Replayed,
    first_difference,
    make_env,
    silent,
)


def label_from_env(
    recording: Recording,
    *,
    make: Make = open_environment,
    on_step: OnStep = silent,
    strict: bool = False,
) -> Added:
    """Adds the environment's labels to every frame.

    Raises `InputError`, and adds nothing, when the environment gives no labels or others than the recording has, when
    the replay differs, and with `strict` when another source said otherwise.
    """
    recording.require_episodes()
    labels: list[FrameLabels] = []
    n_steps = 0
    for episode in recording:
        with make_env(recording, make) as env:
            schema = require_labels(env, recording.env_id)
            if recording.label_schema not in (None, schema):
                raise InputError(
                    f"{recording.path}: label schema: expected the recording's {recording.label_schema!r}, found "
                    f"{schema!r} in the environment"
                )
            labels += _episode_labels(episode, env, schema)
        n_steps += episode.n_steps
        on_step(episode.index + 1, n_steps)
    return add(recording, schema, labels, strict=strict)


def _episode_labels(episode: Episode, env: gym.Env[Any, Any], schema: LabelSchema) -> list[FrameLabels]:
    labels: list[FrameLabels] = []

    def keep(replayed: Replayed) -> None:
        given: Mapping[str, Any] = replayed.info.get("labels", {})
        where = f"{episode.recording.env_id}: frame {replayed.t}"
        values = {**dict.fromkeys(schema), **schema.plain(given, where)}
        if any(value is not None for value in values.values()):
            labels.append(FrameLabels(episode.index, replayed.t, values, SOURCE_ENV))

    difference = first_difference(episode, env, keep)
    if difference is not None:
        raise InputError(
            f"{episode.recording.path}: replay differs from the recording, so its labels would be wrong: {difference}"
        )
    return labels
