"""Processes for work that falls into independent parts."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context


@contextmanager
def processes(n: int, prepare: Callable[[], None] | None = None) -> Iterator[ProcessPoolExecutor]:
    """So many processes, each prepared before its first work by a function of a module.

    On an error or an interrupt what is not done yet is dropped.
    """
    pool = ProcessPoolExecutor(n, mp_context=get_context("spawn"), initializer=_begin, initargs=(prepare,))
    with pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():
                process.terminate()
            raise


def _begin(prepare: Callable[[], None] | None) -> None:
    """An interrupt is for the process that waits for the outcomes, which then ends this one; it leaves no files."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    if prepare is not None:
        prepare()
