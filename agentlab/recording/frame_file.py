"""Where each frame lies in an episode's file, so that it can be read alone: no file stays open."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from agentlab.errors import InputError

TELLS_AHEAD = hasattr(os, "posix_fadvise")
"""Whether a disk can be told what will be read; macOS has no such call."""

Span: TypeAlias = tuple[int, int, int]
"""A file descriptor, a number of bytes, and the position of the first."""


class FrameFile:
    """The stored frames of one episode; 8 bytes a frame stay in memory."""

    def __init__(self, path: Path, positions: npt.NDArray[np.int64]) -> None:
        """`positions[t]` is where frame t begins in the file, and one more where the last one ends."""
        self.path = str(path)
        self.positions = positions.data


class FrameReader:
    """Reads frames of one or many files, which it closes together; the disk reads all that it is asked for at once."""

    def __init__(self) -> None:
        self._descriptors: dict[str, int] = {}
        self._ended = -1

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)

    def ask_for(self, file: FrameFile, t: int) -> Span:
        """Begins to read a frame."""
        descriptor = self._descriptors.get(file.path)
        if descriptor is None:
            try:
                descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise InputError(f"{file.path}: cannot be read ({error.strerror})") from error
            self._descriptors[file.path] = descriptor
        start, end = file.positions[t], file.positions[t + 1]
        if TELLS_AHEAD and start != self._ended:  # what follows the frame before is read ahead in any case
            os.posix_fadvise(descriptor, start, end - start, os.POSIX_FADV_WILLNEED)
        self._ended = end
        return descriptor, end - start, start

    def read(self, asked_for: Span) -> bytes:
        """The frame's bytes, fewer than there should be if the file was cut."""
        return os.pread(*asked_for)


def positions_of_binary(column: pa.Array, file: pa.Buffer) -> npt.NDArray[np.int64]:
    """Where each value of a binary column begins in the file that it is mapped from, and where the last one ends."""
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32, count=len(column) + 1, offset=4 * column.offset)
    starts: npt.NDArray[np.int64] = ends.astype(np.int64) + (data.address - file.address)
    return starts


def positions_of_lists(column: pa.Array, file: pa.Buffer) -> npt.NDArray[np.int64]:
    """The same for a column of lists of so many bytes each."""
    size = column.type.list_size
    numbers = np.arange(column.offset, column.offset + len(column) + 1, dtype=np.int64)
    starts: npt.NDArray[np.int64] = size * numbers + (column.buffers()[-1].address - file.address)
    return starts
