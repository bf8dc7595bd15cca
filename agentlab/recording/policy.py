"""Who chooses the actions of an episode: what recorders ask of a policy, and the two policies that need no training."""

from __future__ import annotations

from enum import Enum
from typing import Any, Protocol, runtime_checkable

import gymnasium as gym
import numpy as np

from agentlab.holding import hold_lengths
from agentlab.recording.frames import Frame

LONGEST_HOLD = 100
"""For how many steps a wandering policy holds an action at most."""


class Policy(Protocol):
    """What chooses the actions. An attribute `name`, if there is one, is stored with each episode."""

    def reset(self, seed: int) -> None:
        """Called before each episode."""

    def act(self, frame: Frame, info: dict[str, Any]) -> Any:
        """The action for one frame and the info that came with it, or an `Instead`."""


class Instead(Enum):
    """What a policy of a single environment may answer instead of an action."""

    DISCARD = "forget the running episode and begin it anew, with its seed"
    STOP = "record no more; the running episode is kept as one that was cut off"


@runtime_checkable
class Spectator(Protocol):
    """A policy that also sees what its actions led to."""

    def see(self, frame: Frame, reward: float, ended: bool) -> None:
        """Called after each step."""


class RandomPolicy:
    """Uniformly random actions, the same for the same seed."""

    name = "random"

    def __init__(self, action_space: gym.Space[Any]) -> None:
        self._action_space = action_space

    def reset(self, seed: int) -> None:
        independent_of_env = np.random.SeedSequence([seed, 0xAC7104]).generate_state(1)
        self._action_space.seed(int(independent_of_env[0]))

    def act(self, frame: Frame, info: dict[str, Any]) -> Any:  # noqa: ARG002
        return self._action_space.sample()


class WanderingPolicy:
    """Random actions, each held for a random number of steps up to 100 (see `holding`); the same for the same seed."""

    name = "wandering"

    def __init__(self, action_space: gym.Space[Any]) -> None:
        self._actions = RandomPolicy(action_space)

    def reset(self, seed: int) -> None:
        self._actions.reset(seed)
        self._lengths = np.random.default_rng([seed, 0x1E26])
        self._steps_left = 0

    def act(self, frame: Frame, info: dict[str, Any]) -> Any:
        if not self._steps_left:
            self._held = self._actions.act(frame, info)
            self._steps_left = int(hold_lengths(self._lengths, 1, LONGEST_HOLD)[0])
        self._steps_left -= 1
        return self._held
