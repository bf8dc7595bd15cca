"""How fast a training converges, with intervals that say whether one is faster than another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

RESAMPLES = 1_000
"""How often steps and probe samples are drawn again for an interval."""
CENTRAL_95 = (0.025, 0.975)


@dataclass(frozen=True)
class Trial:
    """What a stage showed of one mode."""

    step_s: float
    """Median seconds of a step."""
    fall: float = math.nan
    """By how much the mean float32 loss of the probe set fell."""
    rate: float = math.nan
    """The fall a second."""
    interval: tuple[float, float] = (math.nan, math.nan)
    """The central 95% of the rates when steps and probe samples are drawn again."""
    accuracy: float = math.nan
    """The accuracy after the stage, where that decides."""
    warmup_s: float = 0.0
    """Seconds of the steps before, which compile and fill caches."""
    failed: str | None = None
    """Why the mode cannot win."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; numbers that there are none of are None."""
        interval = list(self.interval) if all(map(math.isfinite, self.interval)) else None
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in (vars(self) | {"interval": interval}).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Trial:
        """The one that `to_dict` was taken of."""
        known = {name: value for name, value in values.items() if value is not None}
        return cls(**known | {"interval": tuple(known.get("interval", cls.interval))})


def judged_by_rate(
    falls: Mapping[str, Tensor], times: Mapping[str, Sequence[float]], n_steps: int, current: str, seed: int
) -> tuple[dict[str, Trial], str]:
    """The trials of modes and the one to go on under: that of the highest rate, if it is faster than the current one
    in 95% of the resamples; else the current one, unless its loss is not finite.

    `falls`: of each mode, the fall of the loss of each probe sample `(n,)`; `times`: the seconds of steps.
    """
    rng = np.random.default_rng(seed)
    samples = {name: fall.detach().cpu().double().numpy() for name, fall in falls.items()}
    n = len(samples[current])
    drawn = rng.integers(n, size=(RESAMPLES, n))
    rates: dict[str, npt.NDArray[np.float64]] = {}
    trials: dict[str, Trial] = {}
    for name, fall in samples.items():
        step_s = np.asarray(times[name])
        medians = np.median(rng.choice(step_s, (RESAMPLES, len(step_s))), axis=1)
        rates[name] = fall[drawn].mean(axis=1) / (n_steps * medians)
        low, high = np.quantile(rates[name], CENTRAL_95).tolist()
        mean, typical_s = float(fall.mean()), float(np.median(step_s))
        trials[name] = Trial(typical_s, mean, mean / (n_steps * typical_s), (low, high), failed=_failure(mean))
    finite = [name for name, trial in trials.items() if math.isfinite(trial.fall)]
    fit = [name for name in finite if trials[name].failed is None]
    best = max(fit or finite, key=lambda name: trials[name].rate, default=current)
    if not math.isfinite(trials[current].fall) or not fit:
        return trials, current if current in finite else best
    is_faster = float(np.quantile(rates[best] - rates[current], CENTRAL_95[0])) > 0
    return trials, best if is_faster else current


def judged_by_accuracy(
    accuracies: Mapping[str, float], times: Mapping[str, Sequence[float]], current: str
) -> tuple[dict[str, Trial], str]:
    """The trials of modes and the one of the highest accuracy, the current one if that is as high."""
    trials = {
        name: Trial(
            float(np.median(times[name])),
            accuracy=accuracy,
            failed=None if math.isfinite(accuracy) else f"the accuracy became {accuracy}",
        )
        for name, accuracy in accuracies.items()
    }
    fit = {name: accuracies[name] for name, trial in trials.items() if trial.failed is None}
    if not fit or fit.get(current) == max(fit.values()):
        return trials, current
    return trials, max(fit, key=lambda name: fit[name])


def _failure(fall: float) -> str | None:
    if not math.isfinite(fall):
        return "the loss was not finite"
    return None if fall > 0 else f"the loss did not fall: it rose by {-fall:.3g}"
