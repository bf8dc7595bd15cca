"""Which frames of a recording are worth a person's time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from agentlab.errors import InputError
from agentlab.labels.names import FrameKey
from agentlab.progress import NoProgress, Progress
from agentlab.recording import SOURCE_ENV, Recording

How: TypeAlias = Literal["uniform", "uncertain", "diverse"]

THUMBNAIL = 16
"""Pixels a side of the grey pictures by which frames are compared: 1 kB a frame as float32."""
MOST_COMPARED = 50_000
"""Frames that are compared at most, evenly spread over all: 51 MB."""
POOL = 5
"""How many times as many uncertain frames as are wanted the different ones are chosen from."""

CHOSEN = -1.0
"""The distance of a frame that is not to be chosen again."""

Pictures = npt.NDArray[np.float32]
Frames = npt.NDArray[np.int64]
"""Shape (n, 2): the numbers of an episode and of a frame in it."""


def choose_frames(
    recording: Recording, n: int, how: How, *, seed: int = 0, progress: Progress | None = None
) -> list[FrameKey]:
    """At most `n` frames that no person has labelled, in the order of the recording.

    - `uniform`: as many of each episode, evenly spread over it.
    - `uncertain`: of the frames whose least sure predicted label is least sure, `POOL` times as many as wanted, those
      that look most different. Raises `InputError` where there are no predictions.
    - `diverse`: those that look most different from one another and from the frames that a person labelled (k-center
      greedy, Sener & Savarese 2018, arXiv 1708.00489), begun with a frame drawn by `seed`.
    """
    recording.require_episodes()
    progress = progress or NoProgress()
    labelled = _labelled_by_people(recording)
    free = _without(_all_frames(recording), labelled)
    if not len(free):
        raise InputError(f"{recording.path}: expected frames that no person has labelled, found none")
    if how == "uniform":
        chosen = _evenly(free, n)
    elif how == "uncertain":
        sure = _confidences(recording, free)
        pool = free[np.argsort(sure, kind="stable")[: POOL * n]]
        chosen = _different(recording, pool, np.empty((0, 2), np.int64), n, 0, progress)
    else:
        candidates = _spread(free, MOST_COMPARED)
        first = int(np.random.default_rng(seed).integers(len(candidates)))
        chosen = _different(recording, candidates, labelled, n, first, progress)
    return [(int(episode), int(frame)) for episode, frame in sorted(chosen.tolist())]


def all_frames(recording: Recording) -> list[FrameKey]:
    """Every frame, in the order of the recording."""
    return [(episode.index, frame) for episode in recording for frame in range(episode.n_frames)]


def _all_frames(recording: Recording) -> Frames:
    return np.array(all_frames(recording), np.int64).reshape(-1, 2)


def _labelled_by_people(recording: Recording) -> Frames:
    """The frames with labels that were added by anybody but the environment."""
    found = {
        (said.episode, said.frame)
        for episode in recording
        for said in episode.added_labels
        if said.source != SOURCE_ENV
    }
    return np.array(sorted(found), np.int64).reshape(-1, 2)


def _without(frames: Frames, others: Frames) -> Frames:
    taken = set(map(tuple, others.tolist()))
    return frames[[tuple(key) not in taken for key in frames.tolist()]]


def _spread(frames: Frames, n: int) -> Frames:
    """At most `n` of the frames, the middles of as many equal parts."""
    if len(frames) <= n:
        return frames
    return frames[((np.arange(n) + 0.5) * len(frames) / n).astype(np.int64)]


def _evenly(frames: Frames, n: int) -> Frames:
    """As many of each episode, as far as it has so many; what does not divide is of the longest."""
    parts = [frames[frames[:, 0] == episode] for episode in _spread(np.unique(frames[:, 0]), n)]
    shares = _shares([len(part) for part in parts], n)
    return np.concatenate([frames[:0], *(_spread(part, share) for part, share in zip(parts, shares, strict=True))])


def _shares(sizes: Sequence[int], n: int) -> list[int]:
    """`n` divided as evenly as the sizes allow."""
    shares = [0] * len(sizes)
    left = n
    by_size = sorted(range(len(sizes)), key=lambda index: (sizes[index], -index))
    for done, index in enumerate(by_size):
        shares[index] = min(sizes[index], left // (len(sizes) - done))
        left -= shares[index]
    return shares


def _confidences(recording: Recording, frames: Frames) -> npt.NDArray[np.float32]:
    """How sure the extractor was of the least sure label of each frame."""
    sure = np.empty(len(frames), np.float32)
    for episode in recording:
        predictions = episode.predictions
        if predictions is None:
            raise InputError(
                f"{recording.path}: expected predicted labels of every episode, found none of episode {episode.index}; "
                f"make them with  agentlab label {recording.path} --from extractor RUN"
            )
        here = frames[:, 0] == episode.index
        sure[here] = predictions.confidences.min(axis=1)[frames[here, 1]]
    return sure


def _different(
    recording: Recording, candidates: Frames, known: Frames, n: int, first: int, progress: Progress
) -> Frames:
    """`n` candidates, each the farthest from the known frames and from those chosen before it.

    Where no frame is known, the candidate `first` is chosen first.
    """
    known = _spread(known, MOST_COMPARED)
    with progress.task("compare", len(candidates) + len(known), "frames") as task:
        pictures = [_thumbnails(recording, frames, task.advance) for frames in (candidates, known)]
    middle = pictures[0].mean(axis=0)
    looks, centres = (picture - middle for picture in pictures)
    norms = (looks**2).sum(axis=1)
    distances = np.full(len(candidates), np.inf, np.float32)
    for centre in centres:
        np.minimum(distances, _squared_distances(looks, norms, centre), out=distances)
    chosen: list[int] = []
    with progress.task("choose", min(n, len(candidates)), "frames") as task:
        while len(chosen) < min(n, len(candidates)):
            farthest = int(distances.argmax()) if np.isfinite(distances).all() else first
            chosen.append(farthest)
            np.minimum(distances, _squared_distances(looks, norms, looks[farthest]), out=distances)
            distances[farthest] = CHOSEN
            task.advance()
    return candidates[chosen]


def _squared_distances(looks: Pictures, norms: Pictures, centre: Pictures) -> Pictures:
    """How far each row of `looks`, whose squared lengths are `norms`, is from `centre`, `(n,)`."""
    distances: Pictures = np.maximum(norms - 2 * (looks @ centre) + centre @ centre, 0)
    return distances


def _thumbnails(recording: Recording, frames: Frames, on_frame: Callable[[], None]) -> Pictures:
    """Small grey pictures of frames, `(n, THUMBNAIL ** 2)`."""
    pictures = np.empty((len(frames), THUMBNAIL**2), np.float32)
    for position, (episode, frame) in enumerate(frames.tolist()):
        pixels = recording[episode].frame(frame).astype(np.float32)
        grey = pixels if pixels.ndim == 2 else pixels.mean(axis=2)
        pictures[position] = cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).ravel()
        on_frame()
    return pictures
