"""Labelled frames streamed from recordings: split by episode, decoded ahead of the fit, never all in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from agentlab.errors import InputError
from agentlab.recording import FrameIndex

if TYPE_CHECKING:
    from agentlab.recording import Episode, Recording

Indices = npt.NDArray[np.int64]
Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]

BATCHES_AHEAD = 4


class FrameDataset:
    """The labelled frames of some episodes with their label rows, by number; `limit` takes so many, evenly spread.

    Labels are held in memory, 4 bytes a value; frames stay on disk and are decoded when asked for.
    """

    def __init__(self, episodes: Sequence[Episode], limit: int | None = None) -> None:
        self._index = FrameIndex(episodes)
        labelled = np.flatnonzero(np.concatenate([episode.labelled for episode in episodes]))
        self._taken = labelled[spread(len(labelled), limit or len(labelled))]
        labels: npt.NDArray[np.float32] = np.concatenate([episode.labels for episode in episodes])
        self.labels = labels[self._taken]

    def __len__(self) -> int:
        return len(self._taken)

    def frames(self, indices: Indices) -> npt.NDArray[np.uint8]:
        """The frames with these numbers, uint8 `(n, *frame_shape)`."""
        return self._index.frames(self._taken[indices])

    def where(self, index: int) -> dict[str, Any]:
        """The recording, the number of the episode and the step in it of the frame with this number."""
        of_episode, step = self._index.locate(self._taken[index : index + 1])
        episode = self._index.episodes[int(of_episode[0])]
        return {"recording": str(episode.recording.path), "episode": episode.index, "step": int(step[0])}

    def labels_by_episode(self) -> list[tuple[npt.NDArray[np.float32], Indices]]:
        """The label rows `(n, n_labels)` of each episode's frames, in order, and the steps `(n,)` they are of."""
        firsts = np.searchsorted(self._taken, self._index.starts[1:])
        return list(zip(np.split(self.labels, firsts), np.split(self._taken, firsts), strict=True))

    def change_rates(self) -> npt.NDArray[np.float64]:
        """The share of frames in which each label has another value than in the frame before, `(n_labels,)`.

        Frames of which the one before is not among these don't count; NaN if there are no others.
        """
        follows = (np.diff(self._taken) == 1) & ~np.isin(self._taken[1:], self._index.starts)
        if not follows.any():
            return np.full(self.labels.shape[1], np.nan)
        before, after = self.labels[:-1][follows], self.labels[1:][follows]
        rates: npt.NDArray[np.float64] = ((before != after) & ~np.isnan(before) & ~np.isnan(after)).mean(axis=0)
        return rates

    def batches(self, indices: Indices, batch_size: int) -> Iterator[Batch]:
        """Frames and label rows of `indices` in their order, `batch_size` at a time, decoded ahead in a thread."""
        parts = (indices[start : start + batch_size] for start in range(0, len(indices), batch_size))
        return _ahead(self._batch, parts)

    def _batch(self, indices: Indices) -> Batch:
        return self.frames(indices), self.labels[indices]


def _ahead(load: Callable[[Indices], Batch], parts: Iterable[Indices]) -> Iterator[Batch]:
    with ThreadPoolExecutor(max_workers=1) as pool:
        pending: deque[Future[Batch]] = deque()
        for part in parts:
            pending.append(pool.submit(load, part))
            if len(pending) > BATCHES_AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def spread(n: int, wanted: int) -> Indices:
    """At most `wanted` numbers below `n`, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, wanted)).astype(np.int64))


def split(
    recordings: Sequence[Recording], holdout: float, seed: int, limit: int | None = None
) -> tuple[FrameDataset, FrameDataset]:
    """The frames to train on, at most `limit`, and those held out: whole episodes, about the share `holdout` of frames.

    Which ones is drawn by `seed` in each recording for itself, so that what one more recording adds moves none of the
    others' episodes. Either side gets at least one episode; there must be two with labelled frames.
    """
    trained_on, held_out = _divided(_labelled(recordings), holdout, seed)
    return FrameDataset(_joined(trained_on), limit), FrameDataset(_joined(held_out))


def split_three(
    recordings: Sequence[Recording], holdout: float, validation: float, seed: int, limit: int | None = None
) -> tuple[FrameDataset, FrameDataset, FrameDataset]:
    """The same with the share `validation` of what is not held out between them, to choose by; there must be three
    episodes."""
    recorded = _labelled(recordings)
    rest, held_out = _divided(recorded, holdout, seed)
    if sum(map(len, rest)) < 2:
        n = sum(map(len, recorded))
        raise InputError(f"{recordings[0].path}: expected at least 3 episodes, to choose by one of them, found {n}")
    trained_on, validated_on = _divided(rest, validation, seed + 1)
    return (
        FrameDataset(_joined(trained_on), limit),
        FrameDataset(_joined(validated_on)),
        FrameDataset(_joined(held_out)),
    )


def _labelled(recordings: Sequence[Recording]) -> list[list[Episode]]:
    """The episodes of each recording that have labelled frames."""
    return [[episode for episode in recording if episode.labelled.any()] for recording in recordings]


def _divided(
    recorded: Sequence[list[Episode]], share: float, seed: int
) -> tuple[list[list[Episode]], list[list[Episode]]]:
    """The episodes of each recording, without those that make about a share of its frames, and those."""
    of_each = [_held_out(episodes, share, seed, number) for number, episodes in enumerate(recorded)]
    if not any(of_each):
        of_each[max(number for number, episodes in enumerate(recorded) if episodes)] = {0}
    sides: tuple[list[list[Episode]], list[list[Episode]]] = [], []
    for episodes, held_out in zip(recorded, of_each, strict=True):
        for is_held_out, side in enumerate(sides):
            side.append([episode for index, episode in enumerate(episodes) if (index in held_out) == is_held_out])
    return sides


def _joined(recorded: Sequence[list[Episode]]) -> list[Episode]:
    return [episode for episodes in recorded for episode in episodes]


def _held_out(episodes: Sequence[Episode], holdout: float, seed: int, number: int) -> set[int]:
    """Which episodes of a recording are held out: none of a single one, of several at least one, and not all."""
    if len(episodes) < 2:
        return set()
    order = np.random.default_rng((seed, number)).permutation(len(episodes)).tolist()
    lengths = [int(episode.labelled.sum()) for episode in episodes]
    held_out = {order.pop()}
    room = holdout * sum(lengths) - sum(lengths[index] for index in held_out)
    for index in order[:-1]:
        if lengths[index] <= room:
            held_out.add(index)
            room -= lengths[index]
    return held_out
