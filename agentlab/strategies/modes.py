"""The modes that steps of a training can run in: precision, memory layout, compilation."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from torch import nn

from agentlab.errors import nearest


def _as_it_is(model: nn.Module) -> AbstractContextManager[Any]:  # noqa: ARG001
    return nullcontext()


def _lacks_nothing(model: nn.Module) -> str | None:  # noqa: ARG001
    return None


@dataclass(frozen=True)
class Mode:
    """A way to run the steps of a training."""

    name: str
    around_step: Callable[[nn.Module], AbstractContextManager[Any]] = _as_it_is
    """Entered around each step."""
    around_stage: Callable[[nn.Module], AbstractContextManager[Any]] = _as_it_is
    """Entered before a stage and left after it: switches the mode on and off while the training goes on."""
    lacks: Callable[[nn.Module], str | None] = _lacks_nothing
    """What this machine lacks to run the model so, or None."""


def _autocast(model: nn.Module) -> AbstractContextManager[Any]:
    return torch.autocast(_device(model).type, torch.bfloat16)


def _lacks_bfloat16(model: nn.Module) -> str | None:
    is_there = _device(model).type != "cuda" or torch.cuda.is_bf16_supported()
    return None if is_there else "an accelerator that knows bfloat16"


@contextmanager
def _channels_last(model: nn.Module) -> Iterator[None]:
    before = {tensor: _layout(tensor) for tensor in model.parameters() if tensor.dim() == 4}
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    try:
        yield
    finally:
        for tensor, layout in before.items():
            tensor.data = tensor.data.contiguous(memory_format=layout)


def _layout(tensor: torch.Tensor) -> torch.memory_format:
    return torch.contiguous_format if tensor.is_contiguous() else torch.channels_last


@contextmanager
def _compiled(model: nn.Module) -> Iterator[None]:
    """Calls go through `torch.compile`, which keeps what it has compiled for the next time."""
    own = vars(model).get("forward")
    model.forward = torch.compile(model.forward)
    try:
        yield
    finally:
        del model.forward
        if own is not None:
            model.forward = own


def _lacks_compiler(model: nn.Module) -> str | None:
    compilers = [os.environ["CXX"]] if "CXX" in os.environ else ["g++", "clang++"]
    needs_one = _device(model).type == "cpu" and not any(map(_runs, compilers))
    return "a C++ compiler such as g++" if needs_one else None


@cache
def _runs(compiler: str) -> bool:
    try:
        return subprocess.run([*shlex.split(compiler), "--version"], capture_output=True).returncode == 0
    except OSError:
        return False


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


FLOAT32 = Mode("float32")
BFLOAT16 = Mode("bfloat16", around_step=_autocast, lacks=_lacks_bfloat16)
CHANNELS_LAST = Mode("channels-last", around_stage=_channels_last)
COMPILED = Mode("compiled", around_stage=_compiled, lacks=_lacks_compiler)


def combined(*modes: Mode) -> Mode:
    """Several modes at once, named after all, as `bfloat16+channels-last`."""
    return Mode(
        "+".join(mode.name for mode in modes),
        around_step=partial(_all_around, [mode.around_step for mode in modes]),
        around_stage=partial(_all_around, [mode.around_stage for mode in modes]),
        lacks=partial(_first_lack, [mode.lacks for mode in modes]),
    )


@contextmanager
def _all_around(
    contexts: Sequence[Callable[[nn.Module], AbstractContextManager[Any]]], model: nn.Module
) -> Iterator[None]:
    with ExitStack() as stack:
        for context in contexts:
            stack.enter_context(context(model))
        yield


def _first_lack(lacks: Sequence[Callable[[nn.Module], str | None]], model: nn.Module) -> str | None:
    return next((lack for each in lacks if (lack := each(model))), None)


MODES = {mode.name: mode for mode in (FLOAT32, BFLOAT16, CHANNELS_LAST, COMPILED)}
"""The modes that are known by name; a `+` between names combines them."""


def named(name: str) -> Mode:
    """The mode of a name, `+` between several; `ValueError` with the nearest name."""
    parts = name.split("+")
    for part in parts:
        if part not in MODES:
            raise ValueError(f"modes: unknown mode {part!r}.{nearest(part, MODES)}")
    return MODES[name] if len(parts) == 1 else combined(*(MODES[part] for part in parts))
