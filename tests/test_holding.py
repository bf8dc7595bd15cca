"""How long random actions are held: short mostly, long at times, and on average as long as is said."""

from __future__ import annotations

import numpy as np
import pytest

from agentlab.holding import hold_lengths, mean_hold


@pytest.mark.parametrize("longest", [1, 2, 10, 100])
def test_the_mean_is_that_of_the_lengths_drawn(longest: int):
    drawn = hold_lengths(np.random.default_rng(0), 200_000, longest)
    assert (drawn.min(), drawn.max()) == (1, longest)
    assert mean_hold(longest) == pytest.approx(drawn.mean(), rel=0.02)
