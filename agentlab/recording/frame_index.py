"""Numbers for the frames of several episodes, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from agentlab.recording.episode import Episode
from agentlab.recording.frame_file import FrameReader
from agentlab.recording.frames import Frame

READ_AT_ONCE = 128
"""Frames that are read together: as many files may be open, of the 256 that a process on macOS may have."""

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
        """The frames with these numbers, uint8 `(n, *frame_shape)`; the disk reads many of them at once."""
        of_episode, ts = self.locate(numbers)
        frames = np.empty((len(numbers), *self.episodes[0].recording.frame_shape), dtype=np.uint8)
        for first in range(0, len(numbers), READ_AT_ONCE):
            part = slice(first, first + READ_AT_ONCE)
            self._read(of_episode[part].tolist(), ts[part].tolist(), frames[part])
        return frames

    def _read(self, of_episode: list[int], ts: list[int], frames: Frame) -> None:
        with FrameReader() as reader:
            episodes = [self.episodes[index] for index in of_episode]
            asked_for = [reader.ask_for(episode.frame_file, t) for episode, t in zip(episodes, ts, strict=True)]
            for episode, t, span, frame in zip(episodes, ts, asked_for, frames, strict=True):
                episode.decode(t, reader.read(span), frame)
