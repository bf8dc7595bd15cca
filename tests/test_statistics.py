from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t, trim_mean

from agentlab.statistics import bootstrap_interval, iqm, mean_interval

finite = st.floats(-1e6, 1e6)


@given(st.lists(finite, min_size=1, max_size=60))
def test_iqm_equals_the_trimmed_mean_of_the_field(values: list[float]) -> None:
    assert iqm(values) == pytest.approx(trim_mean(values, 0.25), rel=1e-9, abs=1e-6)


@given(st.lists(finite, min_size=4, max_size=40), st.floats(1e6, 1e9))
def test_iqm_ignores_how_extreme_the_best_quarter_is(values: list[float], outlier: float) -> None:
    ordered = sorted(values)
    assert iqm([*ordered[:-1], ordered[-1] + outlier]) == pytest.approx(iqm(values))


def test_iqm_reduces_the_last_axis() -> None:
    assert iqm(np.array([[0, 1, 2, 99], [4, 4, 4, 4]])).tolist() == [1.5, 4.0]


def test_iqm_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        iqm([])


@given(st.lists(finite, min_size=1, max_size=30), st.integers(0, 100))
def test_the_interval_is_ordered_within_the_data_and_equal_for_equal_seeds(values: list[float], seed: int) -> None:
    low, high = bootstrap_interval(values, resamples=200, seed=seed)
    slack = 1e-9 * max(1, *map(abs, values))
    assert min(values) - slack <= low <= high <= max(values) + slack
    assert (low, high) == bootstrap_interval(values, resamples=200, seed=seed)


def test_95_percent_intervals_hold_the_true_value_about_95_times_in_100() -> None:
    rng = np.random.default_rng(0)
    intervals = [bootstrap_interval(rng.normal(size=60), resamples=500, seed=i) for i in range(200)]
    coverage = np.mean([low <= 0 <= high for low, high in intervals])
    assert 0.89 <= coverage <= 0.99


def test_strata_keep_their_weight() -> None:
    few, many = [0.0] * 3, [10.0] * 7
    assert bootstrap_interval(few, many, statistic=lambda x: x.mean(axis=-1)) == (7.0, 7.0)
    low, high = bootstrap_interval([*few, *many], statistic=lambda x: x.mean(axis=-1))
    assert low < 7.0 < high


@pytest.mark.parametrize("confidence", [0, 1, -1, 2])
def test_a_confidence_outside_0_to_1_is_an_error(confidence: float) -> None:
    with pytest.raises(ValueError, match=r"between 0 and 1"):
        bootstrap_interval([1.0], confidence=confidence)


def test_an_empty_stratum_is_an_error() -> None:
    with pytest.raises(ValueError, match="each stratum"):
        bootstrap_interval([1.0], [])


@pytest.mark.parametrize("n", [2, 3, 5, 12, 31])
def test_the_interval_of_a_mean_is_student_s(n: int) -> None:
    values = np.random.default_rng(n).normal(3, 2, n)
    expected = t.interval(0.95, n - 1, loc=values.mean(), scale=values.std(ddof=1) / n**0.5)
    assert mean_interval(values) == pytest.approx(expected, abs=2e-3)


def test_one_value_has_no_interval_of_its_mean() -> None:
    assert mean_interval([1.0]) is None
