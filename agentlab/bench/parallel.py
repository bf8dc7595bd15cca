"""Small trainings that have nothing to do with each other, one on each core."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

import torch

from agentlab.progress import Progress

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")


def outcomes(work: Callable[[Job], Outcome], jobs: Sequence[Job], name: str, progress: Progress) -> list[Outcome]:
    """What `work`, a function of a module, gives for each job, in their order."""
    n_cores = len(os.sched_getaffinity(0))
    pool = ProcessPoolExecutor(n_cores, mp_context=get_context("spawn"), initializer=_on_one_core)
    found = []
    with pool, progress.task(name, len(jobs), "trainings") as task:
        try:
            for outcome in pool.map(work, jobs, chunksize=4):
                found.append(outcome)
                task.advance()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found


def _on_one_core() -> None:
    """An interrupt is for the process that waits for the outcomes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
