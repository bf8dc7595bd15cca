"""An episode as data for the page's player: frames in strips, and what happened at each of them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from agentlab.labels import Category, Label, LabelSchema, Number

if TYPE_CHECKING:
    from agentlab.recording import Episode

FRAMES_PER_STRIP = 25
"""Frames stacked in one PNG, where equal rows of neighbouring frames cost next to nothing (5 to 9 times smaller)."""


def player_data(episode: Episode, playback: Mapping[str, Any], *, frames_per_s: float) -> dict[str, Any]:
    """The JSON that `player.js` plays.

    `playback` holds what `record_playback` wrote beside the recording and may be empty. Actions, rewards and values
    have one entry a step, labels one a frame; numbers are rounded to what a page shows.
    """
    recording = episode.recording
    height, width = recording.frame_shape[:2]
    return {
        "frames": episode.n_frames,
        "height": height,
        "width": width,
        "framesPerSecond": frames_per_s,
        "framesPerStrip": FRAMES_PER_STRIP,
        "strips": list(_strips(episode)),
        "actions": np.asarray(episode.actions).reshape(episode.n_steps, -1).round(4).tolist(),
        "rewards": np.asarray(episode.rewards, dtype=float).round(6).tolist(),
        "terminated": bool(episode.n_steps and episode.terminations[-1]),
        "actionNames": recording.action_names or playback.get("action_names") or [],
        "values": playback.get("values") or [],
        "valuesKind": playback.get("values_kind", "value"),
        "labels": _labels(episode, playback),
    }


def _strips(episode: Episode) -> Iterator[str]:
    import cv2

    for first in range(0, episode.n_frames, FRAMES_PER_STRIP):
        frames = episode.frames(range(first, min(first + FRAMES_PER_STRIP, episode.n_frames)))
        strip = np.concatenate(list(frames))
        if strip.ndim == 3 and strip.shape[-1] == 3:
            strip = cv2.cvtColor(strip, cv2.COLOR_RGB2BGR)
        encoded = cv2.imencode(".png", strip, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1]
        yield base64.b64encode(encoded.tobytes()).decode()


def _labels(episode: Episode, playback: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One entry a label that is known, predicted or both."""
    predicted: Mapping[str, list[float | None]] = playback.get("predicted") or {}
    predicted_schema = LabelSchema.from_dict(playback["label_schema"], "playback.json") if predicted else {}
    schema: Mapping[str, Label] = episode.recording.label_schema or {}
    true = {name: _column(codes) for name, codes in zip(schema, episode.labels.T, strict=True)} if schema else {}
    labels = {**predicted_schema, **schema}
    return [
        {"name": name, **_kind(label), "true": true.get(name), "predicted": predicted.get(name)}
        for name, label in labels.items()
    ]


def _kind(label: Label) -> dict[str, Any]:
    if isinstance(label, Number):
        return {"kind": "number", "span": label.high - label.low, "unit": label.unit}
    if isinstance(label, Category):
        return {"kind": "category", "classes": list(label.classes)}
    return {"kind": "flag"}


def _column(codes: npt.NDArray[np.float32]) -> list[float | None]:
    """A column of encoded labels as JSON: `None` where absent."""
    return [None if np.isnan(code) else round(float(code), 2) for code in codes]
