"""Where networks run, and how: device, threads and the precision that is fastest there."""

from __future__ import annotations

import os
from typing import Literal, TypeAlias

import torch

from agentlab.errors import InputError, nearest

Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]


def pick(name: str) -> torch.device:
    """The device of that name; `auto` is an accelerator if there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r}: not on this machine.{nearest(name, ['auto', 'cpu', 'cuda'])}") from error
    return device


def use_threads(threads: int) -> None:
    """Sets torch's threads for this process; 0 takes one for each core this process may use.

    In all of them numbers too small for their format become 0: processors are up to 60 times slower at those.
    """
    if threads < 0:
        raise InputError(f"threads: expected at least 0, found {threads}")
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads or len(os.sched_getaffinity(0)))


def uses_bfloat16(precision: Precision, device: torch.device) -> bool:
    """Whether to compute in bfloat16: `auto` is where it is fast."""
    return bfloat16_is_fast(device) if precision == "auto" else precision == "bfloat16"


def bfloat16_is_fast(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 matrices in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
