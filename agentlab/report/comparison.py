"""A recording beside the same steps taken again, for looking at where they part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from agentlab.recording import make_env, replay
from agentlab.report.film import Frames

if TYPE_CHECKING:
    from agentlab.recording import Difference, Recording, Replayed, Verification

COUNTED_IN_FRAMES = ("frame", "action")
"""The fields whose differences name a frame; others, but for labels, name the step that leads to the next one."""


class Comparison:
    """What a verification found, and the episode that differs, stepped again as far as it goes.

    Episodes before it are equal, those after it were not compared. `frames_unlike` must be asked about all frames of
    the episode in order before `data` is.
    """

    def __init__(self, difference: Difference | None, again: Iterator[Replayed]) -> None:
        self._difference = difference
        self._again = again
        self._rewards: list[float] = []
        self._n_frames = 0
        self._size: tuple[int, ...] = ()

    def differs(self, episode: int) -> bool:
        """Whether it is this episode that differs."""
        return self._difference is not None and self._difference.episode == episode

    def header(self) -> dict[str, Any]:
        """Which episode differs, and at which frame; `None` for neither, and for a difference of the whole file."""
        if self._difference is None:
            return {"episode": None, "frame": None}
        return {"episode": self._difference.episode, "frame": frame_to_look_at(self._difference)}

    def frames_unlike(self, recorded: Frames) -> Frames | None:
        """The frames of the next steps in place of `recorded`, as far as there are any; `None` if they are equal."""
        steps = list(islice(self._again, len(recorded)))
        if not steps:
            return None
        frames = np.stack([self._frame(step) for step in steps])
        self._n_frames += len(frames)
        self._size = frames.shape[1:3]
        self._rewards += [round(step.reward, 6) for step in steps if step.t > 0]
        return None if np.array_equal(frames, recorded[: len(frames)]) else frames

    def data(self) -> dict[str, Any]:
        """How many frames there were, of which size, and the reward of each step."""
        height, width = self._size
        return {"frames": self._n_frames, "height": height, "width": width, "rewards": self._rewards}

    def _frame(self, step: Replayed) -> Frames:
        """The frame of a step; at the first difference the one that was found there, should chance give another now."""
        first = self._difference
        if first is not None and first.found_frame is not None and step.t == frame_to_look_at(first):
            return first.found_frame
        return step.frame


@contextmanager
def comparison(recording: Recording, found: Verification) -> Iterator[Comparison]:
    """What `found` says of the recording, with an environment for as long as the block needs it."""
    if found.difference is None:
        yield Comparison(None, iter(()))
        return
    with make_env(recording) as env:
        yield Comparison(found.difference, _until_it_ends(replay(recording[found.difference.episode], env)))


def frame_to_look_at(difference: Difference) -> int | None:
    """The frame where a difference shows; `None` for one of the file as a whole."""
    if difference.step is None:
        return None
    names_a_frame = difference.field in COUNTED_IN_FRAMES or difference.field.startswith("labels.")
    return difference.step if names_a_frame else difference.step + 1


def _until_it_ends(steps: Iterator[Replayed]) -> Iterator[Replayed]:
    """The steps up to the one that ends the episode, which may come sooner than it did when recorded."""
    for step in steps:
        yield step
        if step.terminated or step.truncated:
            return
