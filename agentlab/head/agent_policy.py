"""A trained agent as one who plays episodes to be recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from agentlab.head.agent import Agent


class AgentPolicy:
    """A recorder's policy that plays one game as an agent does."""

    def __init__(self, agent: Agent, name: str) -> None:
        self.name = name
        self._agent = agent
        self._is_start = True

    def reset(self, seed: int) -> None:  # noqa: ARG002
        self._agent.reset(1)
        self._is_start = True

    def act(self, frame: npt.NDArray[np.uint8], info: dict[str, Any]) -> Any:  # noqa: ARG002
        action = self._agent.act(frame[None], np.array([self._is_start]))[0]
        self._is_start = False
        return action
