"""Counters: what changes seldom and one way only counts; what moves, rests or comes back does not."""

from __future__ import annotations

import numpy as np
import pytest

from agentlab.extractor.counters import counters
from agentlab.labels import LabelSchema

STEPS = np.arange(100)


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        (STEPS // 20, True),
        (9 - STEPS // 20, True),
        (np.where(STEPS < 5, np.nan, STEPS // 20), True),
        (STEPS, False),
        (STEPS // 5, False),
        (STEPS // 20 % 2, False),
        (np.zeros(100), False),
    ],
    ids=["rises", "falls", "absent at first", "moves", "moves slowly", "comes back", "rests"],
)
def test_change_seldom_and_one_way_only(values: np.ndarray, counts: bool):
    schema = LabelSchema.from_dict({"x": {"kind": "number", "low": 0, "high": 99}}, "test")
    episode = values[:, None].astype(np.float32)
    assert counters(schema, [(episode, STEPS)]) == (["x"] if counts else [])


def test_beginning_an_episode_anew_is_no_step_back():
    schema = LabelSchema.from_dict({"hits": {"kind": "number", "low": 0, "high": 9}}, "test")
    episode = (STEPS // 20)[:, None].astype(np.float32)
    assert counters(schema, [(episode, STEPS), (episode, STEPS)]) == ["hits"]
    assert counters(schema, [(episode, STEPS), (episode[::-1], STEPS)]) == []


@pytest.mark.parametrize(("values", "counts"), [(STEPS // 20, True), (STEPS, False), (STEPS // 5, False)])
def test_are_told_from_rows_far_apart_too(values: np.ndarray, counts: bool):
    schema = LabelSchema.from_dict({"x": {"kind": "number", "low": 0, "high": 99}}, "test")
    episode = values[:, None].astype(np.float32)
    for apart in (7, 20, 33):
        episodes = [(episode[first::apart], STEPS[first::apart]) for first in range(7)]
        assert counters(schema, episodes) == (["x"] if counts else [])


def test_flags_and_categories_are_none():
    schema = LabelSchema.from_dict(
        {"over": {"kind": "flag"}, "screen": {"kind": "category", "classes": ["a", "b"]}}, "test"
    )
    rows = np.stack([STEPS // 50, STEPS // 50], axis=1).astype(np.float32)
    assert counters(schema, [(rows, STEPS)]) == []
