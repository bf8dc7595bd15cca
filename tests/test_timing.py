"""Where time goes: the parts add up to the whole, and inner parts are not counted twice."""

from __future__ import annotations

import pytest

from agentlab import timing
from agentlab.timing import spent


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    return now


def test_time_is_shared_out_without_overlap(clock: list[float]):
    with timing.recorded() as split:
        clock[0] = 1
        with spent("game"):
            clock[0] = 3
            with spent("extractor"):
                clock[0] = 7
            clock[0] = 8
        clock[0] = 10
        assert split.seconds() == {"other": 3, "game": 3, "extractor": 4}
        clock[0] = 11
        assert split.seconds()["other"] == 4


def test_nothing_is_recorded_unless_asked_for():
    with spent("game"):
        pass
    with timing.recorded() as split:
        pass
    with spent("game"):
        pass
    assert set(split.seconds()) == {"other"}


def test_a_failure_within_ends_what_time_was_spent_on(clock: list[float]):
    def fail() -> None:
        with spent("game"):
            clock[0] = 2
            raise ValueError("no")

    with timing.recorded() as split:
        with pytest.raises(ValueError, match="no"):
            fail()
        clock[0] = 5
        assert split.seconds() == {"game": 2, "other": 3}
