"""Small trainings that have nothing to do with each other, one on each core."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from typing import TypeVar

import torch

from agentlab.progress import Progress

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")


@contextmanager
def one_process_a_core() -> Iterator[ProcessPoolExecutor]:
    """Processes that begin with their first work; on an error or an interrupt what is not done yet is dropped."""
    n_cores = len(os.sched_getaffinity(0))
    pool = ProcessPoolExecutor(n_cores, mp_context=get_context("spawn"), initializer=_on_one_core)
    with pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():
                process.terminate()
            raise


def outcomes(
    pool: ProcessPoolExecutor,
    work: Callable[[Job], Outcome],
    jobs: Sequence[Job],
    name: str,
    progress: Progress,
    *,
    unit: str = "trainings",
) -> list[Outcome]:
    """What `work`, a function of a module, gives for each job, in their order."""
    found = []
    with progress.task(name, len(jobs), unit) as task:
        for outcome in pool.map(work, jobs):
            found.append(outcome)
            task.advance()
    return found


def _on_one_core() -> None:
    """An interrupt is for the process that waits for the outcomes, which then ends this one; it leaves no files."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    torch.set_num_threads(1)
