"""Ctrl-C as something to be noticed when it suits, so that what was reached is kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


@contextmanager
def interrupt_noticed() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; a second one stops at once."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def notice(number: int, frame: Any) -> None:  # noqa: ARG001
        interrupted.set()
        _restore_handlers(before)

    for number in before:
        signal.signal(number, notice)
    try:
        yield interrupted
    finally:
        _restore_handlers(before)


def _restore_handlers(handlers: Mapping[int, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
