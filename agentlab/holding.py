"""Random actions that are held for a while, so that play gets further than by drawing each anew.

For n steps with a probability that falls as 1/n**2, cut at a longest one (Dabney et al. 2021, arXiv 2006.01782).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

EXPONENT = 2.0


def hold_lengths(rng: np.random.Generator, n: int, longest: int) -> npt.NDArray[np.int64]:
    """For how many steps each of `n` actions is held, at most `longest`."""
    lengths: npt.NDArray[np.int64] = np.minimum(rng.zipf(EXPONENT, n), longest)
    return lengths


@cache
def mean_hold(longest: int) -> float:
    """For how many steps an action is held on average."""
    shorter = np.arange(1, longest)
    shares = 6 / (np.pi * shorter) ** 2
    return float(shorter @ shares + longest * (1 - shares.sum()))
