"""What the fixture `agentlab` gives: a command that runs, and what it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """What one command did."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]
