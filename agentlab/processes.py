"""Processes for work that falls into independent parts."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from multiprocessing.resource_tracker import ensure_running
from threading import Lock, Thread, Timer
from typing import Any, ParamSpec, TypeVar

from agentlab.errors import InputError

P = ParamSpec("P")
Outcome = TypeVar("Outcome")

WAITING_SIGNALS = (signal.SIGINT, signal.SIGTERM)
TIME_TO_END_S = 10.0
"""After which a process is killed; one that waits for a lock that a killed one held would never end."""


@contextmanager
def processes(n: int, prepare: Callable[[], None] | None = None) -> Iterator[ProcessPoolExecutor]:
    """So many processes, each prepared before its first work by a function of a module.

    On an error or an interrupt, work that runs is ended by `SystemExit`, so that it leaves no files, and work that
    waits is dropped; what has not ended after `TIME_TO_END_S`, or at a second interrupt, is killed. Raises `InputError`
    where a process ends by itself or is ended by somebody else.
    """
    with _Pool(n, mp_context=get_context("spawn"), initializer=_begin, initargs=(prepare,)) as pool:
        try:
            yield pool
        except BaseException as error:
            pool.end()
            if isinstance(error, BrokenProcessPool):
                raise InputError(
                    "a process ended in the midst of its part of the work: it was killed, perhaps for want of memory, "
                    "or what it ran ended it"
                ) from error
            raise


@contextmanager
def signals_wait() -> Iterator[None]:
    """A process that is started meanwhile gets no interrupt and no SIGTERM before it lets them through itself."""
    ensure_running()  # the process that tracks semaphores, whose own start would let the signals through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, WAITING_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Pool(ProcessPoolExecutor):
    """Its processes end between two works, never while they hold a lock or half a message of them all."""

    def submit(self, work: Callable[P, Outcome], /, *args: P.args, **kwargs: P.kwargs) -> Future[Outcome]:
        with signals_wait():
            return super().submit(_work, work, args, kwargs)

    def end(self) -> None:
        children = list(self._processes.values())
        last_resort = Timer(TIME_TO_END_S, _kill, [children])
        try:
            for process in children:
                process.terminate()
            last_resort.start()
            self.shutdown(cancel_futures=True)
        except BaseException:
            _kill(children)
            raise
        finally:
            last_resort.cancel()


def _kill(children: Sequence[BaseProcess]) -> None:
    for process in children:
        process.kill()


class _Ending:
    """Whether this process was told to end, and whether it is at work, which can be ended at once."""

    def __init__(self) -> None:
        self.was_told = False
        self.at_work = Lock()

    def tell(self, *_: object) -> None:
        was_told, self.was_told = self.was_told, True
        if self.at_work.locked() and not was_told:
            raise SystemExit

    def follow_the_parent(self) -> None:
        if parent := parent_process():
            parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        with self.at_work:
            os._exit(1)


_ending = _Ending()
"""Of a process that works for another."""


def _begin(prepare: Callable[[], None] | None) -> None:
    """An interrupt is for the process that waits for the outcomes, which then tells this one to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _ending.tell)
    Thread(target=_ending.follow_the_parent, daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, WAITING_SIGNALS)
    if prepare is not None:
        prepare()


def _work(work: Callable[..., Outcome], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Outcome:
    """What the work gives; a process that was told to end begins none."""
    try:
        with _ending.at_work:
            if _ending.was_told:
                raise SystemExit
            return work(*args, **kwargs)
    except SystemExit:
        if _ending.was_told:
            raise BrokenProcessPool("a process was told to end") from None
        raise
