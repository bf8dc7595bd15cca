"""Work on the next thing while the last one is used."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """Things made one after the other, each in a thread while the one before is used.

    `begin(n)`, for a thing of size `n`, runs where `take` is called, so that random numbers are drawn in the order of
    calls; the function that it gives runs in the thread, and should read nothing that changes meanwhile.
    """

    def __init__(self, begin: Callable[[int], Callable[[], T]]) -> None:
        self._begin = begin
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._underway: tuple[int, Future[T]] | None = None

    def take(self, n: int, following: int | None = None) -> T:
        """A thing of size `n`; begins one of size `following`, if that is given, which the next call should ask for."""
        if self._underway is None or self._underway[0] != n:
            self.drop()
            self._start(n)
        assert self._underway is not None
        taken, self._underway = self._underway[1], None
        made = taken.result()
        if following is not None:
            self._start(following)
        return made

    def drop(self) -> None:
        """Forgets what is underway."""
        if self._underway is not None:
            self._underway[1].exception()
        self._underway = None

    def _start(self, n: int) -> None:
        self._underway = n, self._thread.submit(self._begin(n))
