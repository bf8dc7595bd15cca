"""The player of a page, and a recording as its data: episodes, what happened at each frame, and the frames in strips.

Each is a script element that the browser does not look into until the player asks for it. `player.js` is handed

- `recording`: what is true of all episodes, and a line for each;
- `episode-3`: what happened in episode 3, with an entry for each step or frame;
- `strip-3-0`, `strip-3-1`, ...: its frames, PNG in base64, so many side by side;
- `restepped-3-0`, ...: those that came out otherwise when the episode was stepped again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from agentlab.labels import Category, Label, Number
from agentlab.report.film import Frames, frames_or_black, frames_per_strip, strip
from agentlab.report.markup import Html, asset, json_script, tag
from agentlab.report.thoughts import Nobody, Percepts, encoded_columns

if TYPE_CHECKING:
    from agentlab.recording import Episode, Recording
    from agentlab.report.comparison import Comparison

PLAYER_STYLE = "player.css"
PLAYER_SCRIPTS = (
    "words.js",
    "film.js",
    "drawing.js",
    "readings.js",
    "timeline.js",
    "label_chart.js",
    "screens.js",
    "player.js",
)
"""In an order in which each uses only those before it."""

STRIPS_AT_ONCE = 10
"""How many strips are in memory together, and as many frames seen at once by a run."""

ENDINGS = {"max_steps": "cut off", "interruption": "interrupted"}
"""What is said of an episode that the environment did not end."""


class PlayerData:
    """The elements for the episodes of these numbers; `damaged` has the frames that were, by episode, afterwards."""

    def __init__(
        self,
        recording: Recording,
        episodes: Sequence[int],
        onlooker: Nobody | None = None,
        comparison: Comparison | None = None,
    ) -> None:
        self.damaged: dict[int, list[int]] = {}
        self._recording, self._episodes = recording, episodes
        self._onlooker, self._comparison = onlooker or Nobody(), comparison
        self._per_strip = frames_per_strip(recording.frame_shape)
        self._labels: Mapping[str, Label] = {**self._onlooker.label_schema, **(recording.label_schema or {})}

    def elements(self, on_frames: Callable[[int], None] = lambda _: None) -> Iterator[Html]:
        """The elements one after the other; frames of a few strips are in memory. `on_frames` counts those done."""
        yield json_script("recording", self._header())
        for index in self._episodes:
            comparison = self._comparison if self._comparison and self._comparison.differs(index) else None
            yield from self._episode(self._recording[index], comparison, on_frames)

    def _header(self) -> dict[str, Any]:
        recording = self._recording
        height, width = recording.frame_shape[:2]
        return {
            "height": height,
            "width": width,
            "framesPerSecond": round(recording.steps_per_second, 4),
            "framesPerStrip": self._per_strip,
            "actionNames": recording.action_names or self._onlooker.action_names or [],
            "firstAction": _first_action(recording.action_space),
            "labels": [{"name": name, **_kind(label)} for name, label in self._labels.items()],
            "episodes": [
                {"index": index, "frames": recording[index].n_frames, "ending": ending(recording[index])}
                for index in self._episodes
            ],
            "comparison": self._comparison and self._comparison.header(),
        }

    def _episode(
        self, episode: Episode, comparison: Comparison | None, on_frames: Callable[[int], None]
    ) -> Iterator[Html]:
        """The strips of an episode, then what happened in it, which is known only when all frames have been seen."""
        percepts: list[Percepts] = []
        damaged: list[int] = []
        at_once = self._per_strip * STRIPS_AT_ONCE
        for first in range(0, episode.n_frames, at_once):
            ts = range(first, min(first + at_once, episode.n_frames))
            frames, missing = frames_or_black(episode, ts)
            damaged += missing
            percepts.append(self._onlooker.see(frames))
            yield from self._strips(episode.index, first, frames, comparison)
            on_frames(len(ts))
        if damaged:
            self.damaged[episode.index] = damaged
        happenings = self._happenings(episode, np.concatenate(percepts))
        restepped = comparison and comparison.data()
        yield json_script(f"episode-{episode.index}", {**happenings, "damaged": damaged, "restepped": restepped})

    def _strips(self, index: int, first: int, frames: Frames, comparison: Comparison | None) -> Iterator[Html]:
        for start in range(0, len(frames), self._per_strip):
            number, recorded = (first + start) // self._per_strip, frames[start : start + self._per_strip]
            yield _strip(f"strip-{index}-{number}", recorded)
            again = comparison.frames_unlike(recorded) if comparison else None
            if again is not None:
                yield _strip(f"restepped-{index}-{number}", again)

    def _happenings(self, episode: Episode, percepts: Percepts) -> dict[str, Any]:
        """Actions, rewards and values have one entry a step, labels one a frame; numbers are rounded for a page."""
        thoughts = self._onlooker.think(episode, percepts)
        schema = self._recording.label_schema
        true = encoded_columns(schema, episode.labels) if schema else {}
        unlabelled = np.flatnonzero(~episode.labelled).tolist() if schema else []
        return {
            "actions": np.asarray(episode.actions).reshape(episode.n_steps, -1).round(4).tolist(),
            "rewards": [reward if math.isfinite(reward) else None for reward in episode.rewards.round(6).tolist()],
            "values": thoughts.values,
            "valuesKind": thoughts.values_kind,
            "unlabelled": unlabelled,
            "labels": [
                {
                    "true": true.get(name),
                    "predicted": thoughts.predicted.get(name),
                    "confidences": thoughts.confidences.get(name),
                }
                for name in self._labels
            ],
        }


def player_elements(episodes: Html | None = None) -> Html:
    """What a person sees of the player, with a list of episodes to choose from where there are several."""
    return Html(Template(asset("player.html")).substitute(episodes=episodes or ""))


def ending(episode: Episode) -> str:
    """How an episode ended, in a word or two."""
    by = episode.provenance.get("ended_by", "environment")
    if by != "environment":
        return ENDINGS.get(by, str(by))
    return "terminated" if episode.n_steps and episode.terminations[-1] else "truncated"


def _strip(element_id: str, frames: Frames) -> Html:
    return tag("script", Html(strip(frames)), type="text/plain", id=element_id)


def _first_action(space: spaces.Space[Any]) -> int:
    """The number of the first of the actions that have names."""
    return int(space.start) if isinstance(space, spaces.Discrete) else 0


def _kind(label: Label) -> dict[str, Any]:
    if isinstance(label, Number):
        return {"kind": "number", "span": label.high - label.low, "tolerance": label.tolerance, "unit": label.unit}
    if isinstance(label, Category):
        return {"kind": "category", "classes": list(label.classes)}
    return {"kind": "flag"}
