"""Work on the next thing while the last one is used."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """Things made one after the other, each in a thread while the one before is used.

    `begin(n)` is called for a thing of size `n` where the order of calls counts, and gives what is left to do in the
    thread, which should depend on nothing that changes meanwhile.
    """

    def __init__(self, begin: Callable[[int], Callable[[], T]]) -> None:
        self._begin = begin
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._underway: tuple[int, Future[T]] | None = None

    def take(self, n: int) -> T:
        """The next thing, of size `n`; begins one more of that size."""
        if self._underway is None or self._underway[0] != n:
            self._start(n)
        assert self._underway is not None
        made = self._underway[1].result()
        self._start(n)
        return made

    def drop(self) -> None:
        """Forgets what is underway."""
        if self._underway is not None:
            self._underway[1].exception()
        self._underway = None

    def _start(self, n: int) -> None:
        self.drop()
        self._underway = n, self._thread.submit(self._begin(n))
