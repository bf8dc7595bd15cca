"""Random patience draws once, counts misses in a row, raises the rounds and keeps the best."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from agentlab.strategies import RandomPatience

SCORES = st.lists(st.floats(0, 1) | st.just(math.nan), min_size=1, max_size=60)
SETTINGS = st.fixed_dictionaries(
    {"rounds": st.integers(1, 30), "ratio": st.floats(0.7, 0.9), "seed": st.integers(0, 1_000)}
)


def spent(patience: RandomPatience, scores: list[float]) -> int:
    """Rounds until it stops, on scores that repeat the last one when they run out."""
    number = 0
    while not patience.after_round(scores[min(number, len(scores) - 1)]):
        number += 1
    return number + 1


def test_the_patience_is_uniform_up_to_the_ratio_of_the_rounds():
    """round(U * 0.8 * 20) for U uniform: 1 to 16, of which 1 takes what would be 0 and 16 only half a share."""
    patience = [RandomPatience(20, 0.8, seed).patience for seed in range(4_000)]
    expected = np.array([1.5, *[1.0] * 14, 0.5]) / 16 * len(patience)
    assert chisquare(np.bincount(patience, minlength=17)[1:], expected).pvalue > 0.001


@pytest.mark.parametrize(("p", "expected"), [(0.0, 8), (math.log(0.5), 4), (math.log(0.3125), 3), (-50.0, 1)])
def test_halves_are_rounded_up_and_the_least_is_one(p: float, expected: int):
    assert RandomPatience(10, 0.8, p=p).patience == expected


def test_it_is_drawn_once_from_a_generator_of_its_own():
    np.random.seed(1)
    first = RandomPatience(50, 0.8, seed=3)
    drawn = first.patience
    np.random.seed(2)
    assert RandomPatience(50, 0.8, seed=3).patience == drawn
    for _ in range(10):
        first.after_round(0.5)
    assert first.patience == drawn


def test_so_many_misses_in_a_row_stop_it():
    patience = RandomPatience(10, 0.8, p=math.log(0.375))
    assert patience.patience == 3
    assert [patience.after_round(score) for score in (0.5, 0.4, 0.3, 0.6, 0.1, 0.2, 0.5)] == [False] * 6 + [True]
    assert (patience.best_round, patience.best_score) == (3, 0.6)


def test_a_tie_is_no_miss_unless_it_is_to_be_one():
    ties, misses = RandomPatience(4, 0.8, p=-9.0), RandomPatience(4, 0.8, p=-9.0, ties_count_as_misses=True)
    assert spent(ties, [1.0]) == ties.max_rounds == 8
    assert spent(misses, [1.0]) == 2
    assert ties.best_round == 0


def test_rounds_are_raised_when_the_patience_exceeds_those_left():
    patience = RandomPatience(10, 0.8, p=0.0, max_rounds=14)
    limits = []
    for score in range(14):
        stopped = patience.after_round(float(score))
        limits.append(patience.rounds)
    assert limits == [10, 10, 11, 12, 13, 14, 14, 14, 14, 14, 14, 14, 14, 14]
    assert stopped


def test_failed_rounds_count_as_misses_and_are_never_the_best():
    patience = RandomPatience(10, 0.8, p=math.log(0.375))
    patience.after_round(math.nan)
    patience.after_round(0.1)
    assert patience.best_round == 1
    assert [patience.after_round(score) for score in (math.nan, -math.inf, math.inf)] == [False, False, True]
    assert patience.best_score == 0.1


def test_no_round_with_a_score_is_an_error():
    patience = RandomPatience(3, 0.8)
    spent(patience, [math.nan])
    with pytest.raises(ValueError, match="expected one round with a score, found none"):
        _ = patience.best_round


@given(SETTINGS, SCORES)
def test_it_stops_by_the_highest_number_of_rounds_with_the_best_of_them(settings: dict, scores: list[float]):
    patience = RandomPatience(**settings)
    n = spent(patience, scores)
    assert 1 <= patience.patience <= max(1, round(0.9 * settings["rounds"]))
    assert n <= patience.rounds <= patience.max_rounds
    seen = [scores[min(number, len(scores) - 1)] for number in range(n)]
    if not all(map(math.isnan, seen)):
        assert patience.best_round == np.nanargmax(seen)


@given(SETTINGS, SCORES, st.integers(0, 60))
def test_going_on_from_its_state_is_not_interrupting_it(settings: dict, scores: list[float], interrupted: int):
    whole, before = RandomPatience(**settings), RandomPatience(**settings)
    stops = False
    for number, score in enumerate(scores):
        if number == interrupted:
            resumed = RandomPatience(settings["rounds"], settings["ratio"], seed=settings["seed"] + 1)
            resumed.load_state_dict(before.state_dict())
            before = resumed
        if not stops:
            stops = whole.after_round(score)
            assert before.after_round(score) is stops
    assert before.state_dict() == whole.state_dict()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rounds": 0}, "rounds: expected at least 1, found 0"),
        ({"rounds": 10, "max_rounds": 9}, "max_rounds: expected at least the 10 rounds, found 9"),
        ({"rounds": 10, "ratio": 0.95}, r"ratio: expected 0.7 to 0.9, found 0.95"),
        ({"rounds": 10, "ratio": 0.5}, r"ratio: expected 0.7 to 0.9, found 0.5"),
        ({"rounds": 10, "p": 0.1}, "p: expected at most 0, found 0.1"),
        ({"rounds": 10, "p": math.nan}, "p: expected at most 0, found nan"),
    ],
)
def test_bad_settings_are_named(settings: dict, message: str):
    with pytest.raises(ValueError, match=message):
        RandomPatience(**settings)
