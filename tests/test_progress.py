"""Progress on a terminal and off it, and the log of metrics."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from agentlab import progress as progresses
from agentlab.metrics import JsonLines, NoMetrics
from agentlab.progress import BarProgress, NoProgress, PlainProgress, Progress


class Clock:
    """A clock that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        monkeypatch.setattr(progresses.time, "monotonic", lambda: self.now_s)


def test_plain_lines_give_rate_and_time_left(monkeypatch: pytest.MonkeyPatch):
    clock, stream = Clock(monkeypatch), io.StringIO()
    with PlainProgress(stream).task("train", 1000, "steps", done=500) as task:
        for _ in range(4):
            clock.now_s += 5
            task.advance(100, note="return 0.5")
    assert stream.getvalue().splitlines() == [
        "train: 700/1,000 steps, 20 steps/s, 0:00:15 left, return 0.5",
        "train: 900/1,000 steps, 20 steps/s, 0:00:05 left, return 0.5",
        "train: 900/1,000 steps, 20 steps/s, 0:00:20 in all, return 0.5",
    ]


def test_no_time_is_left_beyond_the_end(monkeypatch: pytest.MonkeyPatch):
    clock, stream = Clock(monkeypatch), io.StringIO()
    with PlainProgress(stream).task("record", 100, "steps") as task:
        clock.now_s += 10
        task.advance(120)
    assert "record: 120/100 steps, 12 steps/s, 0:00:00 left" in stream.getvalue()


def test_a_task_that_fails_does_not_claim_its_end():
    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt), PlainProgress(stream).task("fit", 3, "epochs"):
        raise KeyboardInterrupt
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar_with_rate_and_what_was_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "140")
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    progress = BarProgress(stream)
    progress.say("fit: [on] 3 recordings")
    with progress.task("fit", 30, "epochs", done=10) as task:
        task.advance(20, note="loss 0.25")
    assert "fit: [on] 3 recordings" in stream.getvalue()
    assert "30/30 epochs" in stream.getvalue()
    assert "epochs/s" in stream.getvalue()
    assert "loss 0.25" in stream.getvalue()


@pytest.mark.parametrize("make", [NoProgress, lambda: PlainProgress(io.StringIO())])
def test_tasks_may_follow_each_other_and_nest(make: type[Progress]):
    progress = make()
    with progress.task("run", 2, "stages") as outer:
        for _ in range(2):
            with progress.task("stage", 1, "steps") as inner:
                inner.advance()
            outer.advance()


def test_metrics_are_a_json_object_a_line(tmp_path: Path):
    log = JsonLines(tmp_path / "metrics.jsonl", "fit")
    log.write(1, loss=np.float32(0.5), r2=float("nan"))
    log.write(2, loss=0.25)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["stage"], line["step"], line["loss"]) for line in lines] == [("fit", 1, 0.5), ("fit", 2, 0.25)]
    assert lines[0]["r2"] is None
    assert lines[0]["t_s"] <= lines[1]["t_s"]


def test_metrics_go_on_after_a_crash_in_the_middle_of_a_line(tmp_path: Path):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"stage": "fit", "t_s": 1, "step": 1}\n{"stage": "fi')
    JsonLines(file, "fit", seconds_before=60.0).write(2)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert lines[1]["t_s"] >= 60


def test_no_metrics_keep_nothing(tmp_path: Path):
    NoMetrics().write(1, loss=0.5)
    assert list(tmp_path.iterdir()) == []
