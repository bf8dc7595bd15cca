"""What a run or an extractor makes of recorded frames: a value per action, and the labels it reads off them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from agentlab.artefact import META, read_json
from agentlab.errors import InputError
from agentlab.labels import LabelSchema

if TYPE_CHECKING:
    from agentlab.extractor import FrozenExtractor
    from agentlab.head import Agent
    from agentlab.recording import Episode, Recording

Percepts: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Thoughts:
    """Of one episode: `values` has a row a step, or none; `predicted` an encoded label a frame, `None` where absent,
    and `confidences`, where they are known, how sure each of these is, in percent."""

    values: list[list[float]] = field(default_factory=list)
    values_kind: str = "value"
    predicted: Mapping[str, list[float | None]] = field(default_factory=dict)
    confidences: Mapping[str, list[int]] = field(default_factory=dict)


class Nobody:
    """Looks at a recording and thinks nothing of it."""

    name = ""
    gives = "predictions"
    action_names: list[str] | None = None
    label_schema: Mapping[str, Any] = {}

    def see(self, frames: npt.NDArray[np.uint8]) -> Percepts:
        """What is kept of frames `(n, *frame_shape)` until `think`, `(n, n_percepts)`."""
        return np.empty((len(frames), 0), np.float32)

    def think(self, episode: Episode, percepts: Percepts) -> Thoughts:  # noqa: ARG002
        """The thoughts of an episode, from what was seen of all its frames."""
        return Thoughts()


class Memory(Nobody):
    """What a run thought while it played the one episode of a recording, as `playback.json` holds it."""

    def __init__(self, playback: Mapping[str, Any]) -> None:
        predicted = playback.get("predicted") or {}
        self.action_names = playback.get("action_names")
        self.label_schema = LabelSchema.from_dict(playback["label_schema"], "playback.json") if predicted else {}
        self._thoughts = Thoughts(playback.get("values") or [], playback.get("values_kind", "value"), predicted)

    def think(self, episode: Episode, percepts: Percepts) -> Thoughts:  # noqa: ARG002
        return self._thoughts


class Reminder(Nobody):
    """The predictions that are stored beside the episodes of a recording."""

    def __init__(self, recording: Recording) -> None:
        """Raises `InputError` where episodes have predictions of different extractors."""
        source = None
        for episode in recording:
            stored = episode.predictions
            if stored is None:
                continue
            if source is None:
                source, self.name, self.label_schema = stored.source, stored.source["path"], stored.schema
            elif stored.source["sha256"] != source["sha256"] or stored.schema != self.label_schema:
                raise InputError(
                    f"{recording.path}: expected predictions of one extractor, found those of {self.name} and, in "
                    f"episode {episode.index}, of {stored.source['path']}; "
                    f"make them anew with  agentlab label {recording.path} --from extractor RUN"
                )

    def think(self, episode: Episode, percepts: Percepts) -> Thoughts:  # noqa: ARG002
        stored = episode.predictions
        return Thoughts() if stored is None else _readings(stored.schema, stored.labels, stored.confidences)


class Onlooker(Nobody):
    """An extractor, and the head on it if there is one, looking at recorded episodes."""

    def __init__(self, name: str, extractor: FrozenExtractor, agent: Agent | None = None) -> None:
        self.name = name
        self.label_schema = extractor.label_schema
        if agent is not None:
            self.action_names, self.gives = agent.action_names, "values and predictions"
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

        if (run / META).exists() and read_json(run / META).get("kind") == "extractor":
            raise InputError(f"{run}: expected the folder of a run, found an extractor; name it with --extractor")
        agent = Agent.load(run)
        agent.extractor.require_frames(recording.frame_shape, str(recording.path))
        if agent.action_space != recording.action_space:
            raise InputError(
                f"{recording.path}: expected the actions {agent.action_space}, those of {run}, found "
                f"{recording.action_space}; name a run of {recording.env_id}, or only its --extractor"
            )
        return cls(str(run), agent.extractor, agent)

    def see(self, frames: npt.NDArray[np.uint8]) -> Percepts:
        return self._extractor.percepts(frames, "all")

    def think(self, episode: Episode, percepts: Percepts) -> Thoughts:  # noqa: ARG002
        readings = _readings(self._extractor.label_schema, *self._extractor.labels_with_confidence_of(percepts))
        if self._agent is None:
            return readings
        seen = percepts[:, : self._extractor.n_percepts(self._agent.meta["sees"])]
        values = self._agent.values_of_episode(seen)
        return readings if values is None else replace(readings, **values_and_kind(values[:-1]))


def values_and_kind(values: npt.NDArray[np.floating]) -> dict[str, Any]:
    """The fields of `Thoughts` for values `(n_steps, n_actions)`, or none, rounded to what a page shows."""
    rounded = [[float(f"{value:.6g}") for value in row] for row in values.tolist()]
    return {"values": rounded, "values_kind": "probability" if _are_probabilities(values) else "value"}


def encoded_columns(schema: Mapping[str, Any], rows: npt.NDArray[np.float32]) -> dict[str, list[float | None]]:
    """Encoded label rows `(n_frames, n_labels)` as a column of JSON a label, `None` where absent."""
    codes = rows.astype(float).round(3).astype(object)
    codes[np.isnan(rows)] = None
    return dict(zip(schema, codes.T.tolist(), strict=True))


def _readings(schema: LabelSchema, labels: npt.NDArray[np.float32], confidences: npt.NDArray[np.float32]) -> Thoughts:
    percent = (100 * confidences).round().astype(int).T.tolist()
    return Thoughts(predicted=encoded_columns(schema, labels), confidences=dict(zip(schema, percent, strict=True)))


def _are_probabilities(values: npt.NDArray[np.floating]) -> bool:
    return bool(values.size and (values >= 0).all() and np.allclose(values.sum(axis=-1), 1, atol=1e-3))
