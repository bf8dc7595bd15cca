"""What a trained run makes of recorded frames: a value per action, and the labels it reads off them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from agentlab.errors import InputError
from agentlab.labels import LabelSchema

if TYPE_CHECKING:
    from agentlab.extractor import FrozenExtractor
    from agentlab.head import Agent
    from agentlab.recording import Recording

Percepts: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Thoughts:
    """Of one episode: `values` has a row a step, or none; `predicted` an encoded label a frame, `None` where absent."""

    values: list[list[float]] = field(default_factory=list)
    values_kind: str = "value"
    predicted: Mapping[str, list[float | None]] = field(default_factory=dict)


class Nobody:
    """Looks at a recording and thinks nothing of it."""

    name = ""
    action_names: list[str] | None = None
    label_schema: Mapping[str, Any] = {}

    def see(self, frames: npt.NDArray[np.uint8]) -> Percepts:
        """What is kept of frames `(n, *frame_shape)` until `think`, `(n, n_percepts)`."""
        return np.empty((len(frames), 0), np.float32)

    def think(self, percepts: Percepts) -> Thoughts:  # noqa: ARG002
        """The thoughts of an episode, from what was seen of all its frames."""
        return Thoughts()


class Memory(Nobody):
    """What a run thought while it played the one episode of a recording, as `playback.json` holds it."""

    def __init__(self, playback: Mapping[str, Any]) -> None:
        predicted = playback.get("predicted") or {}
        self.action_names = playback.get("action_names")
        self.label_schema = LabelSchema.from_dict(playback["label_schema"], "playback.json") if predicted else {}
        self._thoughts = Thoughts(playback.get("values") or [], playback.get("values_kind", "value"), predicted)

    def think(self, percepts: Percepts) -> Thoughts:  # noqa: ARG002
        return self._thoughts


class Onlooker(Nobody):
    """An extractor, and the head on it if there is one, looking at recorded episodes."""

    def __init__(self, name: str, extractor: FrozenExtractor, agent: Agent | None = None) -> None:
        self.name = name
        self.label_schema = extractor.label_schema
        self.action_names = agent.action_names if agent else None
        self._extractor, self._agent = extractor, agent

    @classmethod
    def of_extractor(cls, folder: Path, recording: Recording) -> Onlooker:
        """The extractor in `folder`; `InputError` when it was fitted on other frames than the recording's."""
        from agentlab.extractor import FrozenExtractor

        extractor = FrozenExtractor.load(folder)
        extractor.require_frames(recording.frame_shape, str(recording.path))
        return cls(str(folder), extractor)

    @classmethod
    def of_run(cls, run: Path, recording: Recording) -> Onlooker:
        """The agent in the folder of a run; `InputError` when it was trained on other frames or actions."""
        from agentlab.head import Agent

        agent = Agent.load(run)
        agent.extractor.require_frames(recording.frame_shape, str(recording.path))
        if agent.action_space != recording.action_space:
            raise InputError(
                f"{recording.path}: expected the actions {agent.action_space}, those of {run}, found "
                f"{recording.action_space}; name a run of {recording.env_id}, or only its --extractor"
            )
        return cls(str(run), agent.extractor, agent)

    def see(self, frames: npt.NDArray[np.uint8]) -> Percepts:
        return self._extractor.percepts(frames, self._agent.meta["sees"] if self._agent else "labels")

    def think(self, percepts: Percepts) -> Thoughts:
        values = self._agent.values_of_episode(percepts) if self._agent else None
        predicted = encoded_columns(self.label_schema, self._extractor.labels_of(percepts))
        return Thoughts(predicted=predicted) if values is None else thoughts_of(values[:-1], predicted)


def thoughts_of(values: npt.NDArray[np.floating], predicted: Mapping[str, list[float | None]]) -> Thoughts:
    """Thoughts with values `(n_steps, n_actions)`, or none, rounded to what a page shows."""
    rounded = [[float(f"{value:.6g}") for value in row] for row in values.tolist()]
    return Thoughts(rounded, "probability" if _are_probabilities(values) else "value", predicted)


def encoded_columns(schema: Mapping[str, Any], rows: npt.NDArray[np.float32]) -> dict[str, list[float | None]]:
    """Encoded label rows `(n_frames, n_labels)` as a column of JSON a label, `None` where absent."""
    codes = rows.astype(float).round(3).astype(object)
    codes[np.isnan(rows)] = None
    return dict(zip(schema, codes.T.tolist(), strict=True))


def _are_probabilities(values: npt.NDArray[np.floating]) -> bool:
    return bool(values.size and (values >= 0).all() and np.allclose(values.sum(axis=-1), 1, atol=1e-3))
