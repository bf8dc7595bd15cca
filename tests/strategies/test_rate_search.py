"""The search of a rate: few points far apart, wider where the best lies at the edge, then a parabola's top."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.strategies.rate_search import Attempt, RateSearch, Result


def searched(score, low=1e-4, high=1e-1, most=30) -> list[Result]:
    """All attempts until nothing more is proposed."""
    search, results = RateSearch(low, high), []
    while (attempt := search.next(results)) is not None and len(results) < most:
        results.append(Result(attempt, score(attempt.rate)))
    return results


def bump(best: float, width: float = 1.0):
    return lambda rate: 1 - (math.log(rate / best) / width) ** 2


def test_it_begins_with_five_rates_spaced_evenly_at_a_third_of_the_budget():
    first = searched(bump(3e-3))[:5]
    assert [result.attempt.budget for result in first] == [1 / 3] * 5
    assert [result.attempt.rate for result in first] == pytest.approx([1e-4 * 10 ** (0.75 * step) for step in range(5)])


@given(st.floats(2e-4, 5e-2), st.floats(0.5, 5))
def test_three_trials_on_the_whole_budget_find_the_top_of_a_parabola(best, width):
    results = searched(bump(best, width))
    whole = [result for result in results if result.attempt.budget == 1]
    found = max(whole, key=lambda result: result.score).attempt.rate
    assert abs(math.log(found / best)) < 0.05
    assert len(whole) <= 4


@pytest.mark.parametrize("best", [2e-6, 4.0])
def test_an_optimum_at_the_edge_widens_the_range(best):
    results = searched(bump(best, 3.0))
    small = [result.attempt.rate for result in results if result.attempt.budget < 1]
    assert min(small) < best < max(small)
    found = max(results, key=lambda result: result.score).attempt.rate
    assert abs(math.log(found / best)) < 0.3


def test_rates_that_fail_are_avoided():
    results = searched(lambda rate: math.nan if rate > 1e-2 else bump(5e-3)(rate))
    assert max(result.attempt.rate for result in results if result.attempt.budget == 1) < 3e-2
    assert searched(lambda _: math.nan)[-1].attempt.budget < 1


def test_what_comes_next_depends_on_the_results_alone():
    results = searched(bump(3e-3))
    for n in range(len(results)):
        assert RateSearch(1e-4, 1e-1).next(results[:n]) == results[n].attempt


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (1.0, 1.0), (1.0, 0.1), (1.0, math.inf)])
def test_rates_have_to_be_above_0_and_rising(low, high):
    with pytest.raises(ValueError, match="rates: expected 0 < low < high"):
        RateSearch(low, high)


def test_an_attempt_says_its_rate_and_budget():
    assert RateSearch(1e-4, 1e-1).next([]) == Attempt(pytest.approx(1e-4), 1 / 3)
