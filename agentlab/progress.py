"""How long work tells people where it is: a bar on a terminal, plain lines elsewhere, nothing in libraries."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    import rich.progress
    from rich.text import Text

LINE_EVERY_S = 10.0
"""Time between two plain lines of one task."""


class Task(Protocol):
    """One piece of long work."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Counts `steps` more units done; `note` is shown beside them, such as `loss 0.12`."""


class Progress(Protocol):
    """Where stages report to; they are handed one and never build their own."""

    def say(self, line: str) -> None:
        """Shows one line of text."""

    def task(self, name: str, total: int, unit: str, done: int = 0) -> AbstractContextManager[Task]:
        """A task of `total` units, `done` of them before it began (they count for no rate)."""


class NoTask:
    """The task that shows nothing."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        pass


class NoProgress:
    """The progress that shows nothing: the default of every stage."""

    def say(self, line: str) -> None:
        pass

    @contextmanager
    def task(self, name: str, total: int, unit: str, done: int = 0) -> Iterator[NoTask]:  # noqa: ARG002
        yield NoTask()


class PlainTask:
    """A task as a line every `LINE_EVERY_S` seconds and one at its end."""

    def __init__(self, name: str, total: int, unit: str, done: int, stream: TextIO) -> None:
        self._name, self._total, self._unit, self._stream = name, total, unit, stream
        self._done_before, self._done = done, done
        self._note = ""
        self._started_s = self._shown_s = time.monotonic()

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._done += steps
        self._note = note or self._note
        now_s = time.monotonic()
        if now_s - self._shown_s >= LINE_EVERY_S:
            self._shown_s = now_s
            rate = self._rate(now_s)
            self._print(
                f"{_rate_text(rate, self._unit)}, {_clock(max(self._total - self._done, 0) / rate)} left"
                if rate
                else ""
            )

    def end(self) -> None:
        now_s = time.monotonic()
        self._print(f"{_rate_text(self._rate(now_s), self._unit)}, {_clock(now_s - self._started_s)} in all")

    def _rate(self, now_s: float) -> float:
        return (self._done - self._done_before) / max(now_s - self._started_s, 1e-9)

    def _print(self, pace: str) -> None:
        parts = [f"{self._name}: {self._done:,}/{self._total:,} {self._unit}", pace, self._note]
        print(", ".join(part for part in parts if part), file=self._stream, flush=True)


class PlainProgress:
    """Plain lines on a stream that is no terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)

    @contextmanager
    def task(self, name: str, total: int, unit: str, done: int = 0) -> Iterator[PlainTask]:
        task = PlainTask(name, total, unit, done, self._stream)
        yield task
        task.end()


class BarTask:
    """A task as a bar of rich."""

    def __init__(self, bars: rich.progress.Progress, name: str, total: int, unit: str, done: int) -> None:
        self._bars = bars
        self._note = ""
        self._id = bars.add_task(name, total=total, completed=done, unit=unit, note="", done_before=done)

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._note = note or self._note
        self._bars.update(self._id, advance=steps, note=self._note)


class BarProgress:
    """Bars with rate and time left on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self._console = Console(file=stream, highlight=False)

    def say(self, line: str) -> None:
        self._console.print(line, markup=False)

    @contextmanager
    def task(self, name: str, total: int, unit: str, done: int = 0) -> Iterator[BarTask]:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        with Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=30),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} {task.fields[unit]}"),
            _rate_column(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
        ) as bars:
            yield BarTask(bars, name, total, unit, done)


def by_steps(task: Task) -> Callable[[int, int], None]:
    """A hook that is told (episodes finished, steps taken) and advances `task` to as many steps."""
    done = 0

    def on_step(_episodes: int, steps: int) -> None:
        nonlocal done
        task.advance(steps - done)
        done = steps

    return on_step


def on_stderr() -> Progress:
    """The progress of the command line: bars when stderr is a terminal, else plain lines."""
    return BarProgress(sys.stderr) if sys.stderr.isatty() else PlainProgress(sys.stderr)


def _rate_column() -> rich.progress.ProgressColumn:
    from rich.progress import ProgressColumn
    from rich.text import Text

    class RateColumn(ProgressColumn):
        """Units a second since the task began."""

        def render(self, task: rich.progress.Task) -> Text:
            rate = (task.completed - task.fields["done_before"]) / max(task.elapsed or 0.0, 1e-9)
            return Text(_rate_text(rate, task.fields["unit"]))

    return RateColumn()


def _rate_text(rate: float, unit: str) -> str:
    return f"{rate:,.0f} {unit}/s" if rate >= 10 else f"{rate:.2g} {unit}/s"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
