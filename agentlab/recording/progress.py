"""The hook through which long work on recordings tells how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

OnStep: TypeAlias = Callable[[int, int], None]
"""Told (episodes finished, steps taken) after every step."""


def silent(episodes: int, steps: int) -> None:
    """Tells nobody."""
