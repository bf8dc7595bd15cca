"""The frames behind a replay memory, so that another eye can see them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agentlab.errors import InputError

Frames = npt.NDArray[np.uint8]

FASTEST = 1
KEPT = ("frame_rows", "frame_last", "frame_lengths", "frame_bytes")


class FrameArchive:
    """The newest frame of each state in a replay memory, compressed: some hundred bytes each for Atari games.

    The environment shows every frame that it makes a state of; the memory keeps those of the states that it stores,
    under its own rows, and apart from them the last frames of episodes that were cut off.
    """

    def __init__(self, frame_shape: tuple[int, ...]) -> None:
        self._frame_shape = frame_shape
        self._rows: dict[int, list[bytes]] = {}
        self._last: dict[tuple[int, int], bytes] = {}
        self._before = self._shown = self._led_to = np.empty((0, *frame_shape), np.uint8)
        self._ended: Mapping[int, Frames] = {}
        self._led_to_ends: Mapping[int, Frames] = {}

    def show(self, frames: Frames, ended: Mapping[int, Frames] | None = None) -> None:
        """The frames `(n_envs, *frame_shape)` of the states after a step, and the last ones of episodes that it ended;
        after a reset those of the first states."""
        self._before, self._shown, self._ended = self._shown, frames, ended or {}

    def keep(self, row: int) -> None:
        """Keeps the frames of the states before those shown last, and remembers what the step led to."""
        self._led_to, self._led_to_ends = self._shown, self._ended
        self._rows[row] = [_packed(frame) for frame in self._before]
        for env in range(len(self._before)):
            self._last.pop((row, env), None)

    def keep_last(self, row: int, env: int) -> None:
        """Keeps the frame that the step at `row`, the newest one kept, led to in an environment, where the episode was
        cut off."""
        self._last[row, env] = _packed(self._led_to_ends.get(env, self._led_to[env]))

    def rows(self) -> Iterator[tuple[int, Frames]]:
        """Each row kept, with its frames `(n_envs, *frame_shape)`."""
        for row, packed in self._rows.items():
            yield row, self._unpacked(packed)

    def last_frames(self, places: list[tuple[int, int]]) -> Frames:
        """The frames `(n, *frame_shape)` that the steps at `places`, rows and environments, led to."""
        return self._unpacked([self._last[place] for place in places])

    def state(self) -> dict[str, Tensor]:
        """All it holds, as named tensors."""
        packed = [*(frame for frames in self._rows.values() for frame in frames), *self._last.values()]
        return {
            "frame_rows": torch.tensor(list(self._rows), dtype=torch.int64),
            "frame_last": torch.tensor(list(self._last), dtype=torch.int64).reshape(-1, 2),
            "frame_lengths": torch.tensor([len(frame) for frame in packed], dtype=torch.int64),
            "frame_bytes": torch.frombuffer(bytearray(b"".join(packed)) or bytearray(1), dtype=torch.uint8),
        }

    def restore(self, tensors: Mapping[str, Tensor], n_envs: int) -> None:
        """Takes over what `state` gave; `InputError` when that is not whole."""
        for name in KEPT:
            if name not in tensors:
                raise InputError(f"replay memory: expected {name!r}, found none")
        content, lengths = tensors["frame_bytes"].numpy().tobytes(), tensors["frame_lengths"].tolist()
        rows, places = tensors["frame_rows"].tolist(), [(row, env) for row, env in tensors["frame_last"].tolist()]
        if len(lengths) != len(rows) * n_envs + len(places) or sum(lengths) > len(content):
            raise InputError("replay memory: 'frame_lengths': expected one for each frame kept, found others")
        ends = np.cumsum(lengths, dtype=np.int64)
        packed = [content[end - length : end] for end, length in zip(ends, lengths, strict=True)]
        self._rows = {row: packed[at * n_envs : (at + 1) * n_envs] for at, row in enumerate(rows)}
        self._last = dict(zip(places, packed[len(rows) * n_envs :], strict=True))

    def _unpacked(self, packed: list[bytes]) -> Frames:
        flat = np.frombuffer(b"".join(map(zlib.decompress, packed)), np.uint8)
        return flat.reshape(len(packed), *self._frame_shape)


def _packed(frame: npt.NDArray[Any]) -> bytes:
    return zlib.compress(np.ascontiguousarray(frame).tobytes(), FASTEST)
