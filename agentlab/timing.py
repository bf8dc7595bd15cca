"""Where the time goes: seconds spent on each part of a work, shared out without overlap."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

OTHER = "other"


class TimeSplit:
    """Seconds by what they were spent on; what is spent on a part within another counts for the inner one only."""

    def __init__(self, before: Mapping[str, float]) -> None:
        """`before` are the seconds that were spent already."""
        self._seconds = defaultdict(float, before)
        self._now_on, self._since_s = OTHER, time.perf_counter()

    def switch(self, to: str) -> str:
        """From here on time is spent on `to`; gives what it was spent on before."""
        now_s, before = time.perf_counter(), self._now_on
        self._seconds[before] += now_s - self._since_s
        self._now_on, self._since_s = to, now_s
        return before

    def seconds(self) -> dict[str, float]:
        """The seconds spent on each part so far."""
        self.switch(self._now_on)
        return dict(self._seconds)


_recording: TimeSplit | None = None


@contextmanager
def recorded(before: Mapping[str, float] | None = None) -> Iterator[TimeSplit]:
    """Records meanwhile what the time of this process is spent on, as `spent` says in one thread at a time.

    It is added to the seconds that were spent `before`.
    """
    global _recording
    outer, _recording = _recording, TimeSplit(before or {})
    try:
        yield _recording
    finally:
        _recording = outer


class spent:  # noqa: N801
    """`with spent("update"):` counts the time within as spent on that, where it is recorded."""

    def __init__(self, on: str) -> None:
        self._on = on

    def __enter__(self) -> None:
        self._split = _recording
        if self._split is not None:
            self._before = self._split.switch(self._on)

    def __exit__(self, *failure: object) -> None:
        if self._split is not None:
            self._split.switch(self._before)
