"""Environments whose observations are no images, seen as they are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from gymnasium.wrappers import AddRenderObservation, ResizeObservation

SIZE = (84, 84)
"""Height and width in which they are seen: those of Atari's frames."""


def shows_images(space: gym.Space[Any]) -> bool:
    """Whether observations are images: uint8, height x width, with or without channels."""
    return isinstance(space, Box) and space.dtype == np.uint8 and len(space.shape) in (2, 3)


def seen_as_drawn(env: gym.Env[Any, Any], env_id: str, kwargs: Mapping[str, Any]) -> gym.Env[Any, Any]:
    """The environment with what it draws, in colour and in `SIZE`, as its observation; unchanged if it draws nothing.

    `env_id` and `kwargs` are what `gymnasium.make` was given: who draws is told so there.
    """
    if env.render_mode is not None or "rgb_array" not in env.metadata.get("render_modes", ()):
        return env
    env.close()
    return ResizeObservation(AddRenderObservation(gym.make(env_id, render_mode="rgb_array", **kwargs)), SIZE)
