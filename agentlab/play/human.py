"""A person as a policy."""

from __future__ import annotations

from typing import Any

from agentlab.play.keys import DISCARD, PAUSE, STOP, Keys
from agentlab.play.window import Window
from agentlab.recording import Instead
from agentlab.recording.frames import Frame

END_SHOWN_S = 1.0
"""How long the last frame of an episode stays."""


class HumanPolicy:
    """Plays as a person presses keys, `fps` steps a second; each episode begins with the first key.

    The person may pause, discard the episode, which then begins anew, or stop.
    """

    name = "human"

    def __init__(self, window: Window, keys: Keys, fps: float) -> None:
        self._window, self._keys, self._fps = window, keys, fps
        self._seed: int | None = None
        self._episode = 0
        self._has_stopped = False

    def reset(self, seed: int) -> None:
        self._episode += seed != self._seed
        self._seed = seed
        self._n_steps, self._return = 0, 0.0
        self._has_begun = self._is_paused = False

    def act(self, frame: Frame, info: dict[str, Any]) -> Any:  # noqa: ARG002
        answer = Instead.STOP if self._has_stopped else None
        while answer is None:
            self._window.show(frame, self._status())
            answer = self._answer()
        return answer

    def see(self, frame: Frame, reward: float, ended: bool) -> None:
        self._n_steps += 1
        self._return += reward
        for _ in range(int(ended and END_SHOWN_S * self._fps)):
            self._window.show(frame, self._status("over"))
            self._has_stopped |= STOP in self._window.tick(self._fps).pressed

    def _answer(self) -> Any | None:
        """What the person does in the time of a step; `None` while the game waits."""
        done = self._window.tick(self._fps)
        if STOP in done.pressed:
            return Instead.STOP
        if DISCARD in done.pressed:
            return Instead.DISCARD
        if self._has_begun and PAUSE in done.pressed:
            self._is_paused = not self._is_paused
        self._has_begun |= bool(done.pressed)
        stands_still = self._is_paused or not self._has_begun or (self._keys.waits and not done.pressed)
        return None if stands_still else self._keys.action(done.held)

    def _status(self, state: str = "") -> str:
        if self._is_paused:
            state = "paused"
        elif not self._has_begun:
            state = "press a key to begin"
        told = f"episode {self._episode}, step {self._n_steps}, return {self._return:g}"
        return f"{told}, {state}" if state else told
