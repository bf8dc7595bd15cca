"""Where each frame lies in an episode's file, so that it can be read alone: no file stays open, none stays mapped."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa


class FrameFile:
    """The stored frames of one episode; 8 bytes a frame stay in memory."""

    def __init__(self, path: Path, positions: npt.NDArray[np.int64]) -> None:
        """`positions[t]` is where frame t begins in the file, and one more where the last one ends."""
        self._path = path
        self._positions = positions

    def read(self, ts: Iterable[int]) -> Iterator[bytes]:
        """The bytes of the frames `ts`, each as it is asked for; fewer than there should be if the file was cut."""
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            for t in ts:
                start, end = self._positions[t : t + 2].tolist()
                yield os.pread(descriptor, end - start, start)
        finally:
            os.close(descriptor)


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
