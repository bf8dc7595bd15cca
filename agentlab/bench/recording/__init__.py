"""What recordings cost in time, room and memory, and what they survive; measured on Atari games."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from agentlab.errors import InputError, nearest
from agentlab.progress import Progress

PARTS = ("pace", "size", "reads", "page", "crashes")
"""The modules beside this one, each with `measure` and `lines`."""


def measure(names: Sequence[str], out: Path, *, seed: int, progress: Progress) -> dict[str, Any]:
    """Measures the parts of these names, all if there are none; large recordings are made in `out` once and kept.

    Raises `InputError` for an unknown part, with the nearest.
    """
    for name in names:
        if name not in PARTS:
            raise InputError(f"bench recording: unknown part {name!r}.{nearest(name, PARTS)}")
    out.mkdir(parents=True, exist_ok=True)
    return {name: _part(name).measure(out, seed=seed, progress=progress) for name in names or PARTS}


def table(found: Mapping[str, Any]) -> str:
    """The measurements as lines for people."""
    return "\n".join(line for name in PARTS if name in found for line in _part(name).lines(found[name]))


def plot(found: Mapping[str, Any], path: Path) -> None:
    """Draws frames a second of whatever was measured into an SVG."""
    from agentlab.bench.drawing import bars

    rates = {what: rate for name in PARTS if name in found for what, rate in found[name].get("rates", {}).items()}
    if rates:
        bars(rates, "frames a second", path)


def _part(name: str) -> Any:
    return import_module(f"agentlab.bench.recording.{name}")
