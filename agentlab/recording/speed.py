"""How fast a recorded game goes when a person plays it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from statistics import mean
from typing import TYPE_CHECKING, Any

from agentlab.environment import ATARI_NAMESPACE

if TYPE_CHECKING:
    from agentlab.recording.header import Header

ATARI_HZ = 60.0
"""Frames a second of the console."""
UNKNOWN_HZ = 30.0
"""Steps a second of a game that does not say how fast it goes."""
ATARI_FRAMES_PER_STEP = 4
"""Where a recording does not say otherwise."""


def steps_per_second(header: Header) -> float:
    """The game's own speed: that of the console, or the `render_fps` of its metadata, by the frames that a step skips.

    30 where neither is known.
    """
    spec = json.loads(header.env_spec or "{}")
    wrapped = prod(_frames_per_step(wrapper.get("kwargs") or {}) for wrapper in spec.get("additional_wrappers") or ())
    if not header.env_id.rpartition(":")[2].startswith(ATARI_NAMESPACE):
        return (header.render_fps or UNKNOWN_HZ) / wrapped
    if header.env_spec is None:
        return ATARI_HZ / float(header.env_kwargs.get("frame_skip", ATARI_FRAMES_PER_STEP))
    frameskip = (spec.get("kwargs") or {}).get("frameskip", ATARI_FRAMES_PER_STEP)
    return ATARI_HZ / wrapped / (mean(range(*frameskip)) if isinstance(frameskip, list) else frameskip)


def _frames_per_step(wrapper: Mapping[str, Any]) -> float:
    """How many frames a step of a wrapper takes, made with these arguments."""
    found = wrapper.get("frame_skip", wrapper.get("skip", 1))
    return found if isinstance(found, int) and found > 0 else 1
