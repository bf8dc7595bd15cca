"""What a stage measures while it runs: a JSON object a line, appended; a crash loses at most the last line."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Protocol


class MetricsLog(Protocol):
    """Where stages put their numbers; they are handed one and never build their own."""

    def write(self, step: int, **numbers: float) -> None:
        """Adds a line: `step` counts epochs (fit) or agent steps (train); `numbers` such as `loss` and `return`.

        A number that is not finite is kept as `null`.
        """


class NoMetrics:
    """The log that keeps nothing: the default of every stage."""

    def write(self, step: int, **numbers: float) -> None:
        pass


class JsonLines:
    """A `metrics.jsonl`: `{"stage", "t_s", "step", ...numbers}` a line, `t_s` in seconds since the stage began.

    A stage that goes on after an interruption says how many seconds it has run before.
    """

    def __init__(self, path: Path, stage: str, seconds_before: float = 0.0) -> None:
        self._path, self._stage = path, stage
        self._began_s = time.monotonic() - seconds_before
        _drop_cut_line(path)

    def write(self, step: int, **numbers: float) -> None:
        t_s = round(time.monotonic() - self._began_s, 3)
        finite = {name: float(number) if math.isfinite(number) else None for name, number in numbers.items()}
        with self._path.open("a") as file:
            file.write(json.dumps({"stage": self._stage, "t_s": t_s, "step": step, **finite}) + "\n")


def _drop_cut_line(path: Path) -> None:
    """Cuts off a last line without its newline, left by a crash."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        path.write_bytes(whole)
