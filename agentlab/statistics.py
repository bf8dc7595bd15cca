"""Statistics of returns as pure functions: the interquartile mean and its bootstrap interval.

Both as in Agarwal et al. 2021, "Deep RL at the Edge of the Statistical Precipice", arXiv 2108.13264.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

T_QUANTILES = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""Between minus and plus which 95% of Student's t lies, for 1 degree of freedom and more."""

Values: TypeAlias = npt.NDArray[np.float64]
Statistic: TypeAlias = Callable[[Values], Values]
"""Reduces the last axis."""


def iqm(values: npt.ArrayLike) -> Any:
    """The interquartile mean: what is left of the last axis without its lowest and highest quarter, averaged.

    A quarter of n values is `n // 4` values, so fewer than four values give their mean.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=-1)
    n = ordered.shape[-1]
    if n == 0:
        raise ValueError("iqm: expected at least one value, found none")
    cut = n // 4
    return ordered[..., cut : n - cut].mean(axis=-1)


def bootstrap_interval(
    *strata: Sequence[float] | Values,
    statistic: Statistic = iqm,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile bootstrap interval of `statistic` over the values of all strata, as (low, high).

    Each stratum (a game, a training seed) is resampled with replacement within itself, so none gains or loses weight.
    Equal seeds give equal intervals. Raises `ValueError` for an empty stratum and a confidence outside (0, 1).
    """
    if not strata or any(len(stratum) == 0 for stratum in strata):
        raise ValueError("bootstrap_interval: expected at least one value in each stratum, found none")
    if not 0 < confidence < 1:
        raise ValueError(f"bootstrap_interval: expected a confidence between 0 and 1, found {confidence}")
    rng = np.random.default_rng(seed)
    resampled = [_resample(np.asarray(stratum, dtype=np.float64), resamples, rng) for stratum in strata]
    estimates = statistic(np.concatenate(resampled, axis=-1))
    tail = (1 - confidence) / 2
    low, high = np.quantile(estimates, [tail, 1 - tail])
    return float(low), float(high)


def mean_interval(values: Sequence[float] | Values) -> tuple[float, float] | None:
    """The 95% interval of the mean of normal values by Student's t, as (low, high); none for fewer than two values.

    For a few values, of which a bootstrap would make too narrow an interval.
    """
    known = np.asarray(values, dtype=np.float64)
    if len(known) < 2:
        return None
    quantile = T_QUANTILES[min(len(known) - 1, len(T_QUANTILES)) - 1]
    reach = quantile * float(known.std(ddof=1)) / len(known) ** 0.5
    return float(known.mean()) - reach, float(known.mean()) + reach


def _resample(values: Values, resamples: int, rng: np.random.Generator) -> Values:
    """`resamples` rows of `len(values)` draws with replacement."""
    return values[rng.integers(len(values), size=(resamples, len(values)))]
