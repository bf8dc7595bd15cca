"""Where networks run, and how: device, threads and the precision that is fastest there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from agentlab.errors import InputError, nearest

if TYPE_CHECKING:
    from agentlab.recipe import Precision


def pick(name: str) -> torch.device:
    """The device of that name; `auto` is an accelerator if there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        there = ["auto", "cpu", *(["cuda"] if torch.cuda.is_available() else [])]
        raise InputError(f"device {name!r}: not on this machine.{nearest(name, there)}") from error
    return device


def cores() -> int:
    """The processor's cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_computing = 0
"""How many `computing` are under way; torch does not tell whether it flushes subnormals."""


@contextmanager
def computing(threads: int) -> Iterator[None]:
    """Meanwhile torch works with so many threads, 0 for one per core that this process may use, and without subnormals.

    Numbers too small for their format count as 0: processors are up to 60 times slower at those.
    """
    if threads < 0:
        raise InputError(f"threads: expected at least 0, found {threads}")
    global _computing
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads or cores())
    torch.set_flush_denormal(True)
    _computing += 1
    try:
        yield
    finally:
        _computing -= 1
        torch.set_flush_denormal(_computing > 0)
        torch.set_num_threads(threads_before)


def uses_bfloat16(precision: Precision, device: torch.device) -> bool:
    """Whether to compute in bfloat16: `auto` is where it is fast."""
    return bfloat16_is_fast(device) if precision == "auto" else precision == "bfloat16"


def bfloat16_is_fast(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 matrices in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
