"""Small trainings that have nothing to do with each other, one on each core."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from agentlab.processes import processes
from agentlab.progress import Progress

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")


@contextmanager
def one_process_a_core() -> Iterator[ProcessPoolExecutor]:
    """Processes that begin with their first work; on an error or an interrupt what is not done yet is dropped."""
    with processes(len(os.sched_getaffinity(0)), _compute_on_one_core) as pool:
        yield pool


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


def _compute_on_one_core() -> None:
    torch.set_num_threads(1)
