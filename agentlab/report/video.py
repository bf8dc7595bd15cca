"""A recording as an mp4 that browsers play: H.264, at the game's own speed, whole pixels."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from agentlab.artefact import new_file
from agentlab.errors import MissingExtraError
from agentlab.progress import NoProgress, Progress
from agentlab.report.film import Frames, in_colour

if TYPE_CHECKING:
    from agentlab.recording import Recording

LONGER_SIDE = 480
"""At least so many pixels."""
QUALITY = {"crf": "18", "preset": "veryfast"}
"""Nearly lossless to the eye; the flat colours of games compress well at any preset."""
COLOURS = {"colorspace": "smpte170m", "color_primaries": "smpte170m", "color_trc": "smpte170m", "color_range": "tv"}
"""As frames are converted; players guess otherwise by the height."""


def write_video(
    recording: Recording, file: Path, episodes: Sequence[int] | None = None, *, progress: Progress | None = None
) -> dict[str, Any]:
    """Writes the episodes of these numbers, or all, one after the other, to `file`, and says what it holds.

    Every frame is shown once, scaled by a whole number without blur. Raises `MissingExtraError` without PyAV,
    `InputError` for a damaged frame, naming it, and when the file cannot be written.
    """
    require_video_encoder()
    import av

    shown = list(range(len(recording)) if episodes is None else episodes)
    n_frames = sum(recording[index].n_frames for index in shown)
    rate = Fraction(recording.steps_per_second).limit_denominator(1001)
    height, width = _enlarged(in_colour(np.zeros(recording.frame_shape, np.uint8))).shape[:2]
    with (
        new_file(file) as temporary,
        av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as container,
        (progress or NoProgress()).task("video", n_frames, "frames") as task,
    ):
        stream = container.add_stream("libx264", rate=rate, options=QUALITY | COLOURS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in _frames(recording, shown):
            picture = av.VideoFrame.from_ndarray(_enlarged(in_colour(frame)), format="rgb24")
            container.mux(stream.encode(picture))
            task.advance()
        container.mux(stream.encode())
    return {
        "file": str(file),
        "bytes": file.stat().st_size,
        "episodes": len(shown),
        "frames": n_frames,
        "frames_per_s": round(float(rate), 4),
        "height": height,
        "width": width,
    }


def require_video_encoder() -> None:
    """Raises `MissingExtraError` where PyAV is not installed."""
    if importlib.util.find_spec("av") is None:
        raise MissingExtraError("av", "video")


def _frames(recording: Recording, episodes: Sequence[int]) -> Iterator[Frames]:
    for index in episodes:
        episode = recording[index]
        yield from (episode.frame(t) for t in range(episode.n_frames))


def _enlarged(frame: Frames) -> Frames:
    """A frame with its pixels as squares of a whole number of pixels, and an even height and width, as H.264 needs."""
    height, width = frame.shape[:2]
    scale = ceil(LONGER_SIDE / max(height, width))
    larger = cv2.resize(frame, (scale * width, scale * height), interpolation=cv2.INTER_NEAREST)
    odd = [(0, side % 2) for side in larger.shape[:2]] + [(0, 0)] * (larger.ndim - 2)
    return np.pad(larger, odd, mode="edge")
