"""Recordings as PyTorch datasets: frames are read from disk when asked for, a batch at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torch.utils.data._utils.collate import default_collate_fn_map

from agentlab.errors import InputError
from agentlab.recording.frame_index import FrameIndex

if TYPE_CHECKING:
    from agentlab.recording.reader import Recording


class Row(Mapping[str, Tensor]):
    """One row of a batch that is there already, which a `DataLoader` takes as it is instead of stacking its rows."""

    __slots__ = ("columns", "position")

    def __init__(self, columns: dict[str, Tensor], position: int) -> None:
        self.columns, self.position = columns, position

    def __getitem__(self, name: str) -> Tensor:
        return self.columns[name][self.position]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)


def _collate(rows: list[Row], **_: Any) -> dict[str, Tensor]:
    """The batch that the rows are all of, in their order, or one made of them."""
    columns = rows[0].columns
    whole = len(rows) == len(next(iter(columns.values())))
    if whole and all(row.columns is columns and row.position == place for place, row in enumerate(rows)):
        return columns
    return {name: torch.stack([row[name] for row in rows]) for name in columns}


default_collate_fn_map[Row] = _collate


class RecordedFrames(Dataset[dict[str, Tensor]]):
    """Every frame of a recording as `{"frame", "episode", "step"}`, and `"labels"` where it has any.

    A frame is uint8 of the recording's `frame_shape`, `step` its number in the episode; labels are float32
    `(n_labels,)` in the encoding of `LabelSchema`, NaN where absent, held in memory. A `DataLoader` fetches a whole
    batch at once.
    """

    def __init__(self, recording: Recording) -> None:
        recording.require_episodes()
        self._index = FrameIndex(list(recording))
        labelled = recording.label_schema is not None
        self.labels = torch.from_numpy(np.concatenate([episode.labels for episode in recording])) if labelled else None

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        return dict(self.__getitems__([number])[0])

    def __getitems__(self, numbers: Sequence[int]) -> list[Row]:
        chosen = _all_from_start(numbers, len(self))
        of_episode, steps = self._index.locate(chosen)
        columns = {
            "frame": torch.from_numpy(self._index.frames(chosen)),
            "episode": torch.from_numpy(of_episode),
            "step": torch.from_numpy(steps),
        }
        if self.labels is not None:
            columns["labels"] = self.labels[torch.from_numpy(chosen)]
        return [Row(columns, position) for position in range(len(numbers))]


class CloningPairs(Dataset[tuple[Tensor, Tensor]]):
    """For every step of a recording the frames before it and the action taken then, for behaviour cloning.

    The frames are the last `stack` ones, uint8 `(stack, *frame_shape)`, oldest first; before an episode's beginning its
    first frame stands in. Actions, as the recording's action space has them, are held in memory.

    Raises `InputError` for fewer frames than one.
    """

    def __init__(self, recording: Recording, stack: int = 1) -> None:
        if stack < 1:
            raise InputError(f"stack: expected at least 1, found {stack}")
        recording.require_episodes()
        self._index = FrameIndex(list(recording))
        self._stack = stack
        self.actions = torch.from_numpy(np.concatenate([episode.actions for episode in recording]))
        lasts = self._index.starts + [episode.n_steps for episode in recording]
        self._taken_at = np.setdiff1d(np.arange(len(self._index)), lasts)

    def __len__(self) -> int:
        return len(self._taken_at)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        return self.__getitems__([number])[0]

    def __getitems__(self, numbers: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        chosen = _all_from_start(numbers, len(self))
        wanted = self._stacked(self._taken_at[chosen])
        needed, places = np.unique(wanted, return_inverse=True)
        frames = torch.from_numpy(self._index.frames(needed)[places.reshape(wanted.shape)])
        return list(zip(frames, self.actions[torch.from_numpy(chosen)], strict=True))

    def _stacked(self, lasts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The numbers of the last `stack` frames of the episode up to each of `lasts`, `(n, stack)`."""
        of_episode, _ = self._index.locate(lasts)
        back: Any = lasts[:, None] + np.arange(1 - self._stack, 1)
        stacked: npt.NDArray[np.int64] = np.maximum(back, self._index.starts[of_episode][:, None])
        return stacked


def _all_from_start(numbers: Sequence[int], length: int) -> npt.NDArray[np.int64]:
    """Numbers that may count from the end, as in any sequence, counted from 0; `IndexError` beyond either."""
    chosen = np.asarray(numbers, dtype=np.int64)
    beyond = (chosen < -length) | (chosen >= length)
    if beyond.any():
        raise IndexError(f"number {chosen[beyond][0]} of {length}")
    return chosen % length
