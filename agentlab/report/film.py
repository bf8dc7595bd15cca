"""Frames as pictures: strips of several in one PNG for a page, and single ones in colour for a video."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from agentlab.errors import InputError
from agentlab.recording import encode_png

if TYPE_CHECKING:
    from agentlab.recording import Episode

Frames: TypeAlias = npt.NDArray[np.uint8]

FRAMES_PER_STRIP = 25
"""Frames side by side in one PNG, where equal rows of neighbouring frames cost next to nothing."""
PIXELS_PER_STRIP = 2_000_000
"""Strips of large frames hold fewer, so that a browser decodes one at once."""
WIDEST_STRIP = 16_000
"""Browsers draw no picture that is much wider."""


def frames_per_strip(frame_shape: Sequence[int]) -> int:
    """How many frames of this shape stand side by side in a strip."""
    height, width = frame_shape[:2]
    return max(1, min(FRAMES_PER_STRIP, PIXELS_PER_STRIP // (height * width), WIDEST_STRIP // width))


def strip(frames: Frames) -> str:
    """The PNG, in base64, of frames `(n, h, w)` or `(n, h, w, channels)` side by side, lossless.

    Of channels that are no grey, RGB or RGBA the last one is shown, the newest of a stack.
    """
    picture = np.concatenate(list(_viewable(frames)), axis=1)
    return base64.b64encode(encode_png(picture)).decode()


def in_colour(frame: Frames) -> Frames:
    """A frame as RGB `(h, w, 3)`; what is transparent is black, as in a page."""
    picture: Frames = _viewable(frame[None])[0]
    if picture.ndim == 2 or picture.shape[2] == 1:
        return np.repeat(picture.reshape(*picture.shape[:2], 1), 3, axis=2)
    if picture.shape[2] == 4:
        picture = (picture[..., :3] * (picture[..., 3:] / 255)).round().astype(np.uint8)
    return picture


def frames_or_black(episode: Episode, ts: Sequence[int]) -> tuple[Frames, list[int]]:
    """The frames at `ts`, black where damaged, and which of them are."""
    frames = np.zeros((len(ts), *episode.recording.frame_shape), np.uint8)
    damaged = []
    for position, t in enumerate(ts):
        try:
            frames[position] = episode.frame(t)
        except InputError:
            damaged.append(t)
    return frames, damaged


def _viewable(frames: Frames) -> Frames:
    """Frames `(n, ...)` with channels that a picture can have."""
    return frames[..., -1] if frames.ndim == 4 and frames.shape[-1] not in (1, 3, 4) else frames
