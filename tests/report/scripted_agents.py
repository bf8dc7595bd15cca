"""Agents whose play a test knows beforehand."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import agentlab_envs
from agentlab.labels import LabelSchema

ENV = "agentlab/Catch-v0"


class ScriptedExtractor:
    """Predicts every label as absent."""

    def __init__(self, schema: LabelSchema) -> None:
        self.label_schema = schema

    def predict_labels(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return np.full((len(frames), len(self.label_schema)), np.nan, dtype=np.float32)


class ScriptedAgent:
    """Takes the actions in turn, one after the other, and values the one it takes most."""

    env_id = ENV
    env_kwargs: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self) -> None:
        env = agentlab_envs.make(ENV)
        self.action_names = [f"action {i}" for i in range(int(env.action_space.n))]  # type: ignore[attr-defined]
        self.extractor = ScriptedExtractor(LabelSchema.from_dict(env.get_wrapper_attr("label_schema"), ENV))
        self.resets: list[int] = []

    def reset(self, n: int) -> None:
        self.resets.append(n)
        self._steps = 0

    def act(self, frames: npt.NDArray[np.uint8], starts: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:  # noqa: ARG002
        action = self._steps % len(self.action_names)
        self._steps += 1
        self._values = np.full((len(frames), len(self.action_names)), -10.0, dtype=np.float32)
        self._values[:, action] = -9.5
        return np.full(len(frames), action)

    def values(self) -> npt.NDArray[np.float32]:
        return self._values
