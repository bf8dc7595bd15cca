"""Numbers for the frames of several episodes, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from agentlab.recording.episode import Episode
from agentlab.recording.frames import Frame

Indices = npt.NDArray[np.int64]


class FrameIndex:
    """All frames of some episodes, numbered in their order."""

    def __init__(self, episodes: Sequence[Episode]) -> None:
        self.episodes = episodes
        lengths = np.array([episode.n_frames for episode in episodes], dtype=np.int64)
        self._ends = np.cumsum(lengths)
        self.starts: Indices = self._ends - lengths

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def locate(self, numbers: Indices) -> tuple[Indices, Indices]:
        """Which of the episodes each numbered frame is of, and at which step."""
        of_episode: Indices = np.searchsorted(self._ends, numbers, side="right")
        return of_episode, numbers - self.starts[of_episode]

    def frames(self, numbers: Indices) -> Frame:
        """The frames with these numbers, uint8 `(n, *frame_shape)`; each episode's file is opened once."""
        of_episode, ts = self.locate(numbers)
        frames = np.empty((len(numbers), *self.episodes[0].recording.frame_shape), dtype=np.uint8)
        order = np.argsort(of_episode, kind="stable")
        firsts = np.flatnonzero(np.diff(of_episode[order], prepend=-1))
        for chosen in np.split(order, firsts[1:]):
            if len(chosen):
                frames[chosen] = self.episodes[of_episode[chosen[0]]].frames(ts[chosen])
        return frames
